"""Access tokens for development: what `make token` prints and demo.json holds."""

import argparse
import sys
import time
import uuid
from pathlib import Path

import jwt

from local.keys import SigningKey, signing_key
from shared.settings import DEVELOPMENT_ISSUER

AUDIENCE = "medic"
A_DAY = 24 * 60 * 60


def token(key: SigningKey, role: str, sub: uuid.UUID, *, seconds: int = A_DAY) -> str:
    """A token that the running system accepts."""
    now = int(time.time())
    claims = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": AUDIENCE,
        "sub": str(sub),
        "role": role,
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.id})


def print_tokens(keys: Path, options: argparse.Namespace) -> None:
    """One token, or as many lines of subject and token as were asked for."""
    key = signing_key(keys)
    if options.count is None:
        print(token(key, options.role, options.sub or uuid.uuid4()))
        return
    for _ in range(options.count):
        sub = uuid.uuid4()
        sys.stdout.write(f"{sub} {token(key, options.role, sub)}\n")
