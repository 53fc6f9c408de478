"""Whole numbers within bounds. In a body they must be numbers, in a URL canonical decimal text."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from shared.fields.parsed import Parsed, wrong

_CANONICAL = re.compile("0|-?[1-9][0-9]{0,17}")
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Whole:
    """``Annotated[int, Whole(1, 9)]``: no bool, float, ``"7"`` in a body or ``+7`` in a URL."""

    least: int
    most: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        number = core_schema.int_schema(ge=self.least, le=self.most, strict=True)
        # Strict is a body (JSON has numbers), lax is a path or query parameter (only text).
        return core_schema.lax_or_strict_schema(
            strict_schema=number,
            lax_schema=core_schema.no_info_before_validator_function(_from_text, number),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class _Flag:
    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        flag = core_schema.bool_schema(strict=True)
        return core_schema.lax_or_strict_schema(
            strict_schema=flag,
            lax_schema=core_schema.no_info_before_validator_function(
                lambda value: _FLAGS.get(value, value) if isinstance(value, str) else value, flag
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "boolean"}


def _from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not _CANONICAL.fullmatch(value):
        raise wrong("NOT_AN_INTEGER", "Must be a whole number such as 7.")
    return int(value)


def _degrees(most: int) -> Parsed:
    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong("NOT_A_NUMBER", "Must be a number of degrees such as 37.98.")
        if not -most <= value <= most:
            raise wrong("OUT_OF_RANGE", f"Must be from -{most} to {most} degrees.")
        return float(value)

    return Parsed(parse, {"type": "number", "minimum": -most, "maximum": most})


Count = Annotated[int, Whole(0, 10_000)]
Minutes = Annotated[int, Whole(0, 7 * 24 * 60)]
"""A length of time of up to a week; ``Annotated[int, Whole(5, 480)]`` where a rule is narrower."""
Cents = Annotated[int, Whole(0, 1_000_000_00)]
"""An amount in minor units, up to a million."""
Weekday = Annotated[int, Whole(1, 7)]
"""ISO: Monday is 1."""
Limit = Annotated[int, Whole(1, 100)]
"""How many items of a list to answer with at most."""
Flag = Annotated[bool, _Flag()]
"""``true`` or ``false``, and nothing that resembles them."""
Latitude = Annotated[float, _degrees(90)]
Longitude = Annotated[float, _degrees(180)]
