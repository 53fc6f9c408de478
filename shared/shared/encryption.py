"""Secrets at rest: AES-256-GCM with a key from outside the database, and key ids for rotation.

A stored value is ``v1.<key id>.<nonce>.<ciphertext>``. It is bound to its place, so a value that
somebody copies into another row or column cannot be read there.
"""

import re
import secrets
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_URL_SAFE = str.maketrans("-_", "+/")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class NotDecryptable(Exception):
    """The value was not encrypted for this place with a key that we have; says which id is asked
    for, and nothing of the value."""


class Place(NamedTuple):
    """Where a secret is kept."""

    table: str
    column: str
    row: object
    """The row's id, as ``str`` writes it."""

    def _bytes(self) -> bytes:
        parts = [str(part).encode() for part in self]
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Cipher:
    """Encrypts with the first of its keys and decrypts with any."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Keys of 32 bytes by their ids. Raises ValueError."""
        if not keys:
            raise ValueError("at least one key is needed")
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError("a key's id has 1 to 32 letters, digits, - or _")
            if len(key) != _KEY_BYTES:
                raise ValueError(f"a key has {_KEY_BYTES} bytes")
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(self._keys))

    @classmethod
    def of(cls, text: str) -> Self:
        """From a setting: ``<id>:<base64 of 32 bytes>``, several separated by spaces, the one to
        encrypt with first. Raises ValueError, without the text."""
        keys: dict[str, bytes] = {}
        for entry in text.split():
            key_id, colon, encoded = entry.partition(":")
            try:
                padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
                key = b64decode(padded.translate(_URL_SAFE), validate=True)
            except ValueError:
                key = b""
            if not colon or key_id in keys or len(key) != _KEY_BYTES:
                raise ValueError("write keys as <id>:<base64 of 32 bytes>, each id once")
            keys[key_id] = key
        return cls(keys)

    def encrypt(self, secret: bytes, place: Place) -> str:
        """What may be stored at ``place``; never the same text twice."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, secret, place._bytes())
        return ".".join((_VERSION, self._current, _text(nonce), _text(sealed)))

    def decrypt(self, stored: str, place: Place) -> bytes:
        """The secret again; raises NotDecryptable for whatever is wrong."""
        version, _, rest = stored.partition(".")
        key_id, _, rest = rest.partition(".")
        nonce, _, sealed = rest.partition(".")
        if version != _VERSION or not _KEY_ID.fullmatch(key_id):
            raise NotDecryptable("is not an encrypted value")
        key = self._keys.get(key_id)
        if key is None:
            raise NotDecryptable(f"needs the key {key_id}, which is not set")
        try:
            return key.decrypt(_bytes(nonce), _bytes(sealed), place._bytes())
        except (InvalidTag, ValueError):
            raise NotDecryptable(
                f"was not encrypted here with the key {key_id}, or is damaged"
            ) from None

    @property
    def prefix(self) -> str:
        """How every value begins that is encrypted with the newest key; others are due to be
        encrypted anew."""
        return f"{_VERSION}.{self._current}."


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
