"""The secrets of a consent: what leaves with the browser, and how it is known again."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Self
from uuid import UUID

COOKIE_PATH = "/v1/calendar-connections/oauth"


@dataclass(frozen=True, slots=True)
class Journey:
    """One way to a provider and back. Each secret has 256 bits, which are 43 characters."""

    state: str
    """Goes to the provider and comes back with the browser."""
    browser: str
    """Stays in a cookie of the browser in which the journey began, and opens nothing elsewhere."""
    verifier: str
    """PKCE's: never leaves us but for the provider's token endpoint."""

    @classmethod
    def of(cls, id_: UUID, secret: str) -> Self:
        """Made anew when a request is repeated, so that what is kept for it holds no secret."""
        return cls(
            *(_derived(secret, purpose, id_) for purpose in ("state", "browser", "verifier"))
        )

    @property
    def challenge(self) -> str:
        """RFC 7636, S256."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


def hash_of(state: str, browser: str) -> bytes:
    """By which a journey is found: a state without its browser finds nothing."""
    both = f"consent\0{state}\0{browser}"
    return hashlib.sha256(both.encode(errors="replace")).digest()


def cookie_of(state: str) -> str:
    """The name of the journey's cookie: several may be under way in one browser."""
    return f"consent-{hashlib.sha256(state.encode(errors='replace')).hexdigest()[:16]}"


def _derived(secret: str, purpose: str, id_: UUID) -> str:
    message = b"consent " + purpose.encode() + b"\0" + id_.bytes
    return _text(hmac.digest(secret.encode(), message, "sha256"))


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode().rstrip("=")
