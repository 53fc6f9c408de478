"""Reservation tokens: made from the reservation's id, so that none is ever stored."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

_BYTES = 24
"""192 bits, which are 32 characters."""


def token_of(reservation_id: UUID, secret: str) -> str:
    """The token of a reservation: the same for as long as the secret is the same."""
    digest = hmac.digest(secret.encode(), reservation_id.bytes, "sha256")
    return urlsafe_b64encode(digest[:_BYTES]).decode()


def hash_of(token: str) -> bytes:
    """What is stored of a token: enough to recognise it, useless for using it."""
    return hashlib.sha256(token.encode()).digest()
