"""Identifiers as clients send them."""

import re
from typing import Annotated, Any
from uuid import UUID

from shared.fields.parsed import Parsed, wrong

_CANONICAL = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _id(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _CANONICAL.fullmatch(value):
        raise wrong("NOT_AN_ID", "Write an id as 018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10.")
    return UUID(value)


Id = Annotated[
    UUID,
    Parsed(
        _id,
        {
            "type": "string",
            "format": "uuid",
            "examples": ["018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10"],
        },
        str,
    ),
]
"""A UUID in its canonical text, in upper or lower case: no braces, ``urn:uuid:`` or bare digits."""
