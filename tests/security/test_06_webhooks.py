"""Line 6: what others tell us counts when they prove who they are, and else has no effect.

Replays, the handshake and the right signatures: services/calendar-sync/tests/test_push_*.py and
services/notifications/tests/test_sms.py.
"""

import base64
import hashlib
import hmac
from time import time
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from shared.db import Database
from shared.testing.raw_http import ask

from .apis import Operation, encoded

JSON = [("content-type", "application/json")]
FORM = [("content-type", "application/x-www-form-urlencoded")]
STATUS = b"MessageSid=SM0&MessageStatus=delivered"
FORGED_MICROSOFT = {
    "value": [
        {
            "subscriptionId": str(uuid4()),
            "clientState": "guessed",
            "changeType": "updated",
            "lifecycleEvent": "subscriptionRemoved",
            "resource": "me/events",
        }
    ]
}


def forgeries(operation: Operation) -> list[tuple[str, bytes, list[tuple[str, str]]]]:
    """Targets, bodies and headers with which somebody else would try."""
    target = operation.target()
    if "google" in operation.path:
        shown = [("x-goog-channel-id", str(uuid4())), ("x-goog-resource-state", "exists")]
        return [
            (target, b"", []),
            (target, b"", shown),
            (target, b"", [*shown, ("x-goog-channel-token", "guessed")]),
            (target, b"", [*shown, ("x-goog-channel-token", "")]),
        ]
    if "microsoft" in operation.path:
        nameless = {"value": [{"subscriptionId": str(uuid4()), "changeType": "updated"}]}
        return [(target, encoded(body), JSON) for body in (FORGED_MICROSOFT, nameless)]
    if "twilio" in operation.path:
        here = f"http://api.test{operation.path}?notification={uuid4()}"
        mac = hmac.digest(b"guessed", here.encode() + STATUS, hashlib.sha1)
        return [
            (target, STATUS, [*FORM, *signature])
            for signature in (
                [],
                [("x-twilio-signature", "guessed")],
                [("x-twilio-signature", base64.b64encode(mac).decode())],
            )
        ]
    body = encoded({"name": "booking.confirmed", "channels": ["x"], "data": "{}"})
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    signed = f"auth_key=a-key&auth_timestamp={int(time())}&auth_version=1.0&body_md5={md5}"
    return [
        (f"{operation.path.replace('{appId}', '1')}?{query}", body, JSON)
        for query in (f"{signed}&auth_signature={'0' * 64}", f"{signed}&auth_signature={'f' * 64}")
    ]


async def test_what_is_forged_is_refused_and_changes_nothing(
    app: FastAPI, own_operations: list[Operation], database: Database
) -> None:
    told_to = [
        each
        for each in own_operations
        if each.caller == "nobody" and each.path.startswith(("/v1/webhooks/", "/apps/"))
    ]
    believed = []
    before = await contents(database)

    for operation in told_to:
        for target, body, headers in forgeries(operation):
            answer = await ask(app, operation.method, target, body=body, headers=headers)
            if answer.status not in (401, 403, 404):
                believed.append(f"{operation}: {answer.status} {answer.body[:150]!r}")

    assert believed == []
    assert await contents(database) == before


async def contents(database: Database) -> list[Any]:
    """How much every table holds, and when it was last written."""
    async with database.reading() as db:
        tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [
            await db.fetchval(f'SELECT array_agg(t::text ORDER BY t::text) FROM "{each[0]}" t')
            for each in tables
        ]
