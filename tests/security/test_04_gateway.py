"""Line 4: the gateway leads to what a service offers under /v1, and to nothing else of it.

Tricky paths, hosts and headers: deploy/local/tests/test_gateway.py and test_gateway_limits.py.
"""

from pathlib import Path

from local.tests.front import a_gateway

from .apis import Operation
from .conftest import Apps

# The Pusher protocol's sockets have a path of their own; the rest of its paths is for our own.
OUTSIDE = ("/v1/", "/app/")


async def test_each_operation_is_where_its_service_is_or_nowhere(
    tmp_path: Path, every_operation: list[Operation]
) -> None:
    wrong = []

    async with a_gateway(tmp_path) as front:
        for operation in every_operation:
            answer = await front.get(
                operation.target(), method=operation.method, headers="Content-Length: 0\r\n"
            )
            reached = answer.json.get("service")
            expected = operation.service if operation.path.startswith(OUTSIDE) else None
            if reached != expected:
                wrong.append(f"{operation}: {reached}")

    assert wrong == []


async def test_nothing_that_operators_need_is_shown_outside(tmp_path: Path, apps: Apps) -> None:
    hidden = {
        route.path
        for app in apps.values()
        for route in app.routes
        if not str(getattr(route, "path", "/v1/")).startswith(OUTSIDE)
    } | {"/metrics", "/readyz", "/internal/holds", "/openapi.json", "/docs"}

    async with a_gateway(tmp_path) as front:
        answers = {path: await front.get(path) for path in hidden if path != "/healthz"}

        assert {answer.status for answer in answers.values()} == {404}
        assert front.reached == []
