"""What bodies, answers and query strings are made of."""

from typing import Annotated, TypeVar

import fastapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_Choice = TypeVar("_Choice")
_Query = TypeVar("_Query", bound="Query")


class Body(BaseModel):
    """A JSON object that a client sends: strict types, camelCase names, no field too many."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


class Query(BaseModel):
    """All query parameters of one route, camelCase: ``wanted: FromQuery[Wanted]``.

    Values are text by nature; only the field types turn them into anything else.
    """

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        hide_input_in_errors=True,
    )


class Answer(BaseModel):
    """A JSON object that a client gets: camelCase names, made from rows, objects or keywords."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        from_attributes=True,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
    )


FromQuery = Annotated[_Query, fastapi.Query()]
"""The argument of a route that is read from the query string."""

OneOf = Annotated[_Choice, Field(strict=False)]
"""``OneOf[Mode]``: a member of an enum by its value; strictly, JSON could name none."""
