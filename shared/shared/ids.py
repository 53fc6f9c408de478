"""Identifiers of new rows, events and requests."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A UUID of version 7 (RFC 9562): unique, and later ones sort behind earlier ones."""
    return uuid7()
