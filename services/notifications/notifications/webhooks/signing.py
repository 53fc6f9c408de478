"""Standard Webhooks 1.0: what an endpoint gets, and how it knows from whom."""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

SECRET_BYTES = 32
_PREFIX = "whsec_"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """As every Standard Webhooks library takes it."""
    return _PREFIX + b64encode(secret).decode()


def signed_headers(
    message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """``timestamp`` is the attempt's, in seconds; each of the keys signs."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [hmac.new(key, content, sha256).digest() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{b64encode(each).decode()}" for each in signatures),
    }
