"""Twilio's signature over its callbacks, and how far its words say a message has come."""

import base64
import hmac
from collections.abc import Sequence

RECEIPTS = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "undelivered",
    "canceled": "undelivered",
}


def is_signed(
    url: str, form: Sequence[tuple[str, str]], signature: str, *, auth_token: str
) -> bool:
    """Whether Twilio, or whoever knows the token, has sent this form to this public URL."""
    names = sorted({name for name, _ in form})
    signed = url + "".join(
        name + value
        for name in names
        for value in sorted({value for each, value in form if each == name})
    )
    expected = base64.b64encode(
        hmac.digest(auth_token.encode(), signed.encode("utf-8", "surrogatepass"), "sha1")
    )
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
