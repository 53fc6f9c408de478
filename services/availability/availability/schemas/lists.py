"""What all lists and all bodies of PATCH have in common."""

from typing import Any

from pydantic import Field

from shared.fields import Cursor, Limit, Query


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


UNCHANGED: Any = Field(default=None, json_schema_extra=_without_default)
"""Of a field that a PATCH may leave out, but not empty with null."""


class PageQuery(Query):
    limit: Limit = 20
    cursor: Cursor | None = None
