"""The key that signs development tokens, and its public half as every service reads it (JWKS).

Also runs alone, for containers: ``python keys.py FOLDER``.
"""

import base64
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

# Services refuse key ids that begin like this when they run in production.
KEY_ID_PREFIX = "development"


@dataclass(frozen=True)
class SigningKey:
    """A private key and the id under which the JWKS lists its public half."""

    private: rsa.RSAPrivateKey
    id: str


def signing_key(folder: Path) -> SigningKey:
    """The folder's key, made on first use; the JWKS beside it always belongs to it."""
    folder.mkdir(parents=True, exist_ok=True)
    pem, jwks = folder / "token-key.pem", folder / "jwks.json"
    if pem.exists():
        private = serialization.load_pem_private_key(pem.read_bytes(), password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise TypeError(f"{pem} is not an RSA key")
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        text = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write(pem, text, mode=0o600)
    document = _jwks(private)
    if not jwks.exists() or json.loads(jwks.read_text()) != document:
        _write(jwks, json.dumps(document, indent=2).encode(), mode=0o644)
    return SigningKey(private, document["keys"][0]["kid"])


def _jwks(private: rsa.RSAPrivateKey) -> dict[str, list[dict[str, str]]]:
    numbers = private.public_key().public_numbers()
    modulus, exponent = _base64(numbers.n), _base64(numbers.e)
    # RFC 7638: the id is the key's own fingerprint.
    canonical = f'{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}'
    fingerprint = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "n": modulus, "e": exponent}
    return {"keys": [key | {"kid": f"{KEY_ID_PREFIX}-{fingerprint}"}]}


def _base64(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _write(path: Path, data: bytes, *, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    draft.replace(path)


if __name__ == "__main__":
    print(signing_key(Path(sys.argv[1])).id)
