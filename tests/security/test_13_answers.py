"""Line 13: personal answers are stored nowhere on their way; errors tell ids, and nothing of us."""

import re

from fastapi import FastAPI

from shared.problems import Problem
from shared.testing.raw_http import RawAnswer, ask

from .apis import Operation, encoded
from .conftest import Apps, Shown

# Timeslots name nobody, and may be asked for again with their ETag.
MAY_BE_KEPT = {"GET /v1/providers/{providerId}/availability": "private"}
OURS = re.compile(
    rb"Traceback|File \"|line \d+, in |asyncpg|sqlalchemy|SELECT |INSERT |postgresql://|amqp://"
    rb"|127\.0\.0\.1|ConnectionRefused|/site-packages/|/app/|0x[0-9a-f]{6,}"
)


def told_of_us(answer: RawAnswer) -> str | None:
    """What an answer says that is nobody's business."""
    found = OURS.search(answer.body)
    return found[0].decode() if found else None


async def test_no_answer_may_be_stored(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    stored = []

    for operation in own_operations:
        for role in ("patient", "admin"):
            answer = await ask(
                app,
                operation.method,
                operation.target(),
                body=encoded(operation.body()),
                headers=shown(operation, role),
            )
            said = answer.headers.get("cache-control", "")
            if "no-store" not in said and MAY_BE_KEPT.get(str(operation), "-") not in said:
                stored.append(f"{operation}: {said!r}")
            if answer.headers.get("x-content-type-options") != "nosniff":
                stored.append(f"{operation}: may be taken for something else")

    assert stored == []


async def test_without_a_database_errors_tell_ids_and_nothing_of_us(
    apps: Apps, every_operation: list[Operation], shown: Shown
) -> None:
    told = []

    for service, app in apps.items():
        async with app.router.lifespan_context(app):
            for operation in every_operation:
                if operation.service != service or operation.path == "/v1/realtime":
                    continue
                answer = await ask(
                    app,
                    operation.method,
                    operation.target(),
                    body=encoded(operation.body()),
                    headers=shown(operation),
                )
                if answer.status < 400:
                    continue
                problem = Problem.model_validate(answer.json())
                if not problem.instance.startswith("urn:request:") or len(problem.trace_id) != 32:
                    told.append(f"{operation}: no ids")
                if ours := told_of_us(answer):
                    told.append(f"{operation}: {answer.status} {ours}")
                if answer.status == 503 and "retry-after" not in answer.headers:
                    told.append(f"{operation}: no Retry-After")
                if answer.status >= 500 and answer.status != 503:
                    told.append(f"{operation}: {answer.status}")

    assert told == []
