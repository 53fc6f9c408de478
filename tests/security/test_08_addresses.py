"""Line 8: an address that a user enters leads to the public network over TLS, or is refused.

What is checked at the socket, on every hop, and of sizes and times: shared/tests/test_outside.py;
XML: services/calendar-sync/tests/test_ics_url.py.
"""

from uuid import UUID

from fastapi import FastAPI

from shared.testing.raw_http import ask

from .apis import NOBODY, Operation, encoded, fields
from .conftest import Shown

HOSTILE = [
    "http://example.com/hook",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0.0.0.0/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://user:password@example.com/",
    "https://postgres/",
    "https://service.internal/",
    "https://printer.local/",
    "https:///nothing",
    "https://exa mple.com/",
    "//example.com/",
    "https://example.com:99999/",
    "javascript:alert(1)",
]
ENTERED = {
    "POST /v1/providers/{providerId}/webhook-endpoints",
    "PUT /v1/providers/{providerId}/webhook-endpoints/{endpointId}",
    "POST /v1/webhook-endpoints",
    "PUT /v1/webhook-endpoints/{endpointId}",
    "POST /v1/providers/{providerId}/calendar-connections",
}


def test_addresses_are_entered_here(every_operation: list[Operation]) -> None:
    """A new route that takes an address has to be thought of."""
    found = {
        str(operation)
        for operation in every_operation
        if operation.body_schema is not None
        for field in fields(operation.body_schema, operation.document)
        if str(field).lower().endswith(("url", "uri", "callback", "href"))
    }

    assert found == ENTERED


async def test_an_address_that_is_not_public_is_refused_by_name(
    app: FastAPI,
    own_operations: list[Operation],
    shown: Shown,
    provider_id: UUID,
) -> None:
    taken = []

    for operation in own_operations:
        if str(operation) not in ENTERED:
            continue
        for address in (*HOSTILE, NOBODY):
            answer = await ask(
                app,
                operation.method,
                operation.target(providerId=str(provider_id)),
                body=encoded(operation.body() | {"url": address}),
                headers=shown(operation),
            )
            named = {each["path"] for each in answer.json().get("errors", ())}
            if answer.status != 422 or named != {"url"}:
                taken.append(f"{operation}: {address}: {answer.status}")

    assert taken == []
