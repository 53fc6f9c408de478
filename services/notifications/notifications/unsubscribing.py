"""Links in mails that end one kind of them with one click (RFC 8058), without a login."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from notifications.domain.news import Category

PATH = "/v1/notification-unsubscribe"
_PURPOSE = b"unsubscribe from notifications\n"
_BYTES = 16


@dataclass(frozen=True, slots=True)
class UnsubscribeLink:
    """Only its hash is stored; whoever has the token may end this category for this user."""

    url: str
    token_hash: bytes
    user_id: UUID
    category: Category


class UnsubscribeLinks:
    def __init__(self, public_origin: str, *, secret: str) -> None:
        """Another ``secret`` makes other links; those that were sent before stay valid."""
        self._origin = public_origin
        self._secret = secret.encode()

    def link(self, user_id: UUID, category: Category) -> UnsubscribeLink:
        """The same each time, so that a table of them grows with the users, not with the mails."""
        about = _PURPOSE + f"{user_id}\n{category}".encode()
        derived = hmac.digest(self._secret, about, "sha256")[:_BYTES]
        token = urlsafe_b64encode(derived).decode().rstrip("=")
        return UnsubscribeLink(
            f"{self._origin}{PATH}/{token}", token_hash(token), user_id, category
        )


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
