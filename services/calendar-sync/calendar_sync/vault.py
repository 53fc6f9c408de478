"""The credentials of connections, as they are kept."""

from typing import Self
from uuid import UUID

from shared.encryption import Cipher, Place


class Vault:
    """Seals what only the worker needs, each value for its own row."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    @classmethod
    def of(cls, keys: str) -> Self:
        """From the setting; raises ValueError."""
        return cls(Cipher.of(keys))

    def seal(self, connection_id: UUID, credentials: bytes) -> str:
        return self._cipher.encrypt(credentials, _place(connection_id))

    def open(self, connection_id: UUID, sealed: str) -> bytes:
        """Raises NotDecryptable."""
        return self._cipher.decrypt(sealed, _place(connection_id))

    def seal_verifier(self, state_hash: bytes, verifier: str) -> str:
        return self._cipher.encrypt(verifier.encode(), _of_consent(state_hash))

    def open_verifier(self, state_hash: bytes, sealed: str) -> str:
        """Raises NotDecryptable."""
        return self._cipher.decrypt(sealed, _of_consent(state_hash)).decode()

    @property
    def prefix(self) -> str:
        """How everything begins that is sealed with the newest key."""
        return self._cipher.prefix


def _place(connection_id: UUID) -> Place:
    return Place("connections", "credentials", connection_id)


def _of_consent(state_hash: bytes) -> Place:
    return Place("consents", "verifier", state_hash.hex())
