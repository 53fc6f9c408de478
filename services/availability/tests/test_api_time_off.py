"""Time off over HTTP: asked for, decided once, withdrawn."""

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from availability.domain.time_off import TRANSITIONS, Action, IllegalTransition, Status, after
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.fields import instant_text
from shared.http import AsyncClient, Response

from .builders import Practice, a_practice, in_days
from .conftest import As

START, END = in_days(3, 0), in_days(4, 0)


def time_off(**changes: Any) -> dict[str, Any]:
    return {"start": instant_text(START), "end": instant_text(END)} | changes


class Desk:
    """The time off of one practice, in the hands of its provider and of an admin."""

    def __init__(self, api: AsyncClient, as_user: As, practice: Practice) -> None:
        self.api, self.practice = api, practice
        self.path = f"/v1/providers/{practice.provider_id}/time-off"
        self.own = as_user("provider", practice.provider_id)
        self.admin = as_user("admin", uuid4())

    async def ask(self, **changes: Any) -> Any:
        made = await self.api.post(self.path, json=time_off(**changes), headers=self.own)
        assert made.status_code == 201, made.text
        assert made.headers["location"] == f"{self.path}/{made.json()['id']}"
        return made.json()

    async def act(
        self, request: Any, action: str, headers: dict[str, str] | None = None
    ) -> Response:
        one = f"{self.path}/{request['id']}"
        if action == "withdraw":
            return await self.api.delete(one, headers=headers or self.own)
        return await self.api.post(f"{one}/{action}", headers=headers or self.admin)

    async def status(self, request: Any) -> str:
        answer = await self.api.get(f"{self.path}/{request['id']}", headers=self.own)
        return str(answer.json()["status"])

    async def offered(self) -> int:
        """How many timeslots there are on the day in question."""
        listed = await self.api.get(f"{self.practice.path()}&date={START:%Y-%m-%d}")
        return len(listed.json()["timeslots"])

    async def exceptions(self) -> list[Any]:
        answer = await self.api.get(
            f"/v1/providers/{self.practice.provider_id}/exceptions", headers=self.own
        )
        return list(answer.json()["items"])


@pytest.fixture
async def desk(api: AsyncClient, as_user: As, database: Database) -> Desk:
    return Desk(api, as_user, await a_practice(database))


@pytest.mark.parametrize(("status", "action"), list(product(Status, Action)))
def test_every_move_that_is_not_in_the_table_is_refused(status: Status, action: Action) -> None:
    if (status, action) in TRANSITIONS:
        assert after(status, action) is TRANSITIONS[status, action]
    else:
        with pytest.raises(IllegalTransition):
            after(status, action)


async def test_approved_time_off_is_a_blocked_exception(desk: Desk) -> None:
    request = await desk.ask(reason="Holiday")
    assert request == request | time_off(
        status="pending", reason="Holiday", decidedBy=None, decidedAt=None, exceptionId=None
    )
    assert await desk.offered() == 6

    answer = await desk.act(request, "approve")

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "approved"
    assert answer.json()["decidedAt"] is not None
    assert await desk.offered() == 0
    [exception] = await desk.exceptions()
    assert exception == exception | time_off(
        kind="blocked", source="time_off", reason="Holiday", id=answer.json()["exceptionId"]
    )


async def test_rejected_time_off_changes_nothing(desk: Desk) -> None:
    request = await desk.ask()

    answer = await desk.act(request, "reject")

    assert answer.json()["status"] == "rejected"
    assert await desk.exceptions() == []
    assert await desk.offered() == 6


async def test_withdrawn_time_off_is_open_again(desk: Desk) -> None:
    pending, approved = await desk.ask(), await desk.ask()
    await desk.act(approved, "approve")

    answers = [await desk.act(each, "withdraw") for each in (pending, approved)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert [await desk.status(each) for each in (pending, approved)] == ["withdrawn"] * 2
    assert await desk.exceptions() == []
    assert await desk.offered() == 6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("approve", "approve"),
        ("approve", "reject"),
        ("reject", "approve"),
        ("reject", "withdraw"),
        ("withdraw", "approve"),
        ("withdraw", "withdraw"),
    ],
)
async def test_what_is_decided_is_not_decided_again(desk: Desk, first: str, second: str) -> None:
    request = await desk.ask()
    assert (await desk.act(request, first)).status_code in (200, 204)
    before = await desk.status(request)

    answer = await desk.act(request, second)

    assert answer.status_code == 409
    assert answer.json()["code"] == "invalid_transition"
    assert await desk.status(request) == before
    assert len(await desk.exceptions()) == (1 if before == "approved" else 0)


async def test_of_many_decisions_at_once_one_wins(desk: Desk) -> None:
    request = await desk.ask()

    answers = await asyncio.gather(
        *[desk.act(request, action) for action in ("approve", "reject") * 10]
    )

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 19]
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert await desk.status(request) == winner["status"]
    assert len(await desk.exceptions()) == (1 if winner["status"] == "approved" else 0)


async def test_where_approval_is_wanted_providers_do_not_decide_themselves(desk: Desk) -> None:
    request = await desk.ask()

    answers = [await desk.act(request, action, desk.own) for action in ("approve", "reject")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert await desk.status(request) == "pending"


async def test_where_no_approval_is_wanted_time_off_is_approved_at_once(
    desk: Desk, database: Database
) -> None:
    earlier = await desk.ask()
    async with database.orm_transaction() as db:
        await change_provider(db, desk.practice.provider_id, {"time_off_needs_approval": False})

    request = await desk.ask(start=instant_text(END), end=instant_text(END + timedelta(days=1)))

    assert request["status"] == "approved"
    assert [each["id"] for each in await desk.exceptions()] == [request["exceptionId"]]
    assert (await desk.act(earlier, "approve", desk.own)).json()["status"] == "approved"


async def test_the_exception_of_time_off_goes_only_with_it(desk: Desk) -> None:
    request = await desk.ask()
    await desk.act(request, "approve")
    [exception] = await desk.exceptions()
    path = f"/v1/providers/{desk.practice.provider_id}/exceptions/{exception['id']}"

    answers = [
        await desk.api.delete(path, headers=desk.own),
        await desk.api.patch(path, json={"kind": "available"}, headers=desk.own),
    ]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert {answer.json()["code"] for answer in answers} == {"belongs_to_time_off"}
    assert await desk.exceptions() == [exception]


async def test_the_list_is_filtered_and_goes_by_the_beginning(desk: Desk) -> None:
    later_ = await desk.ask(start=instant_text(END), end=instant_text(END + timedelta(days=1)))
    first = await desk.ask()
    await desk.act(first, "approve")

    async def listed(query: str = "") -> list[str]:
        answer = await desk.api.get(f"{desk.path}{query}", headers=desk.own)
        return [each["id"] for each in answer.json()["items"]]

    assert await listed() == [first["id"], later_["id"]]
    assert await listed("?status=pending") == [later_["id"]]
    assert await listed(f"?to={instant_text(END)}") == [first["id"]]
    page = (await desk.api.get(f"{desk.path}?limit=1", headers=desk.own)).json()
    assert await listed(f"?limit=1&cursor={page['nextCursor']}") == [later_["id"]]


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"end": instant_text(START)}, "end", "END_BEFORE_START"),
        ({"end": instant_text(START + timedelta(days=367))}, "end", "RANGE_TOO_LONG"),
        ({"start": "tomorrow"}, "start", "NOT_AN_INSTANT"),
        ({"status": "approved"}, "status", "UNKNOWN_FIELD"),
        ({"reason": ""}, "reason", "BLANK"),
    ],
)
async def test_bad_input_is_refused_by_its_field(
    desk: Desk, changes: dict[str, Any], path: str, code: str
) -> None:
    answer = await desk.api.post(desk.path, json=time_off(**changes), headers=desk.own)

    assert answer.status_code == 422
    assert (path, code) in [(each["path"], each["code"]) for each in answer.json()["errors"]]
    assert (await desk.api.get(desk.path, headers=desk.own)).json()["items"] == []


async def test_time_off_of_others_does_not_exist(
    desk: Desk, as_user: As, database: Database
) -> None:
    request = await desk.ask()
    other = await a_practice(database)
    stranger = as_user("provider", other.provider_id)
    elsewhere = Desk(desk.api, as_user, other)

    for asked, headers, code in (
        (desk, stranger, "provider_not_found"),
        (desk, as_user("patient", desk.practice.provider_id), "provider_not_found"),
        (elsewhere, elsewhere.own, "time_off_not_found"),
        (elsewhere, elsewhere.admin, "time_off_not_found"),
    ):
        for action in ("approve", "reject", "withdraw"):
            answer = await asked.act(request, action, headers)
            assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert (await desk.api.get(desk.path, headers=stranger)).status_code == 404
    assert await desk.status(request) == "pending"


async def test_the_same_key_decides_once(desk: Desk) -> None:
    request = await desk.ask()
    headers = desk.admin | {"Idempotency-Key": "yes"}

    first, again = [await desk.act(request, "approve", headers) for _ in range(2)]

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
