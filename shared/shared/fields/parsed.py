"""The building block of the field types: a parser, and how OpenAPI describes what it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

OURS = "ours:"
"""Begins the types of our own errors, because pydantic calls some of its own like our codes."""


def wrong(code: str, message: str) -> PydanticCustomError:
    """What a validator raises: ``raise wrong("END_BEFORE_START", "The end is before the start.")``.

    The message is shown to the client as it is, so it never repeats what the client sent.
    """
    return PydanticCustomError(OURS + code, message)


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """Annotates a type with the only way in (``parse``) and out as JSON (``write``)."""

    parse: Callable[[Any], Any]
    schema: dict[str, Any]
    write: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=None
            if self.write is None
            else core_schema.plain_serializer_function_ser_schema(self.write, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)
