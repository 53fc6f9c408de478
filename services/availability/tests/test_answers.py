"""An answer is given again while it is right, and not a moment longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.answers import Answers, KeptAnswer, Question
from availability.facts import LiveHold
from availability.queries import look
from availability.schemas.timeslots import AvailabilityQuery
from availability.set_up import SetUps
from availability.situation import Situation
from availability.sources import STALE_AFTER, Source
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import Practice, a_booking, a_practice, in_days, later, receive
from .conftest import As

NINE = in_days(3)


def path(practice: Practice) -> str:
    return f"{practice.path()}&date={NINE:%Y-%m-%d}"


def statuses(answer: Response) -> list[str]:
    return [each["status"] for each in answer.json()["timeslots"]]


async def secretly(database: Database, statement: str) -> None:
    """A change that nothing is noted of."""
    async with database.transaction() as db:
        await db.execute(statement)


async def test_an_answer_is_kept_until_the_version_is_another(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    await receive(database, a_booking(practice, NINE))
    first = await api.get(path(practice))
    await secretly(database, "DELETE FROM claims")

    second = await api.get(path(practice))
    await secretly(database, "UPDATE schedule_versions SET version = version + 1")
    third = await api.get(path(practice))

    assert statuses(first)[0] == "booked"
    assert (second.content, second.headers["etag"]) == (first.content, first.headers["etag"])
    assert second.headers["cache-control"] == first.headers["cache-control"]
    assert statuses(third)[0] == "available"


async def test_a_booking_is_seen_by_the_next_who_asks(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    seen = [(await api.get(path(practice))).headers["etag"]]
    held = a_booking(practice, NINE, "held")

    for fact in (held, later(held, practice, "confirmed"), a_booking(practice, in_days(3, 10))):
        await receive(database, fact)
        seen.append((await api.get(path(practice))).headers["etag"])

    assert len(set(seen)) == 4


async def test_a_holder_is_told_of_their_hold_and_nobody_else_is(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, holder = await a_practice(database), uuid4()
    await receive(database, a_booking(practice, NINE, "held", user_id=holder))
    mine, others = as_user("patient", holder), as_user("patient", uuid4())

    seen = [
        (await api.get(path(practice), headers=headers)).json()["timeslots"][0]["heldByYou"]
        for headers in (others, mine, others, mine)
    ]

    assert seen == [False, True, False, True]


async def test_a_kept_answer_is_for_those_who_may_ask(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    assert (await api.get(path(practice))).status_code == 200

    nobody = await api.get(path(practice), headers={"Authorization": "Bearer x"})
    async with database.orm_transaction() as db:
        await change_provider(db, practice.provider_id, {"is_active": False})
    closed = await api.get(path(practice))

    assert (nobody.status_code, nobody.json()["code"]) == (401, "invalid_token")
    assert (closed.status_code, closed.json()["code"]) == (404, "provider_not_found")


async def test_who_has_the_answer_is_told_so_and_who_has_not_gets_it(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    etag = (await api.get(path(practice))).headers["etag"]
    again = path(practice).upper().replace("/V1/PROVIDERS", "/v1/providers")
    again = again.replace("AVAILABILITY?SERVICEID", "availability?serviceId")
    again = again.replace("DATE", "date")
    known = {"If-None-Match": etag}

    answers = [await api.get(again, headers=headers) for headers in (known, known, {}, known, {})]

    assert [answer.status_code for answer in answers] == [304, 304, 200, 304, 200]
    assert answers[2].content == answers[4].content
    assert {answer.headers["etag"] for answer in answers} == {etag}


@pytest.fixture
async def situation(database: Database) -> Situation:
    practice = await a_practice(database)
    async with database.reading() as db:
        return await look(
            db,
            SetUps(),
            provider_id=practice.provider_id,
            service_id=practice.service_id,
            user_id=None,
            since=NINE,
            until=NINE,
        )


NOW = datetime(2026, 5, 4, 12, 0, 20, tzinfo=UTC)


def a_hold(expires_at: datetime, service_id: UUID) -> LiveHold:
    return LiveHold(uuid4(), uuid4(), service_id, "x", NINE, expires_at)


def a_source(as_of: datetime | None, state: str = "connected") -> Source:
    return Source(uuid4(), "google", state, as_of)


def test_time_alone_ends_an_answer_with_the_minute(situation: Situation) -> None:
    at = replace(situation, now=NOW)
    on_the_minute = replace(situation, now=NOW.replace(second=0))

    assert at.holds_until == NOW.replace(minute=1, second=0)
    assert on_the_minute.holds_until <= on_the_minute.now


def test_a_hold_that_ends_sooner_ends_it_sooner(situation: Situation) -> None:
    soon = NOW + timedelta(seconds=3)
    service = situation.set_up.offer.service_id
    holds = [a_hold(soon + timedelta(seconds=1), service), a_hold(soon, uuid4())]

    at = replace(situation, now=NOW, holds=holds)

    assert at.holds_until == soon
    assert at.holders == {holds[0].user_id}


def test_a_calendar_that_turns_stale_ends_it(situation: Situation) -> None:
    soon = NOW + timedelta(seconds=5)
    sources = [
        a_source(soon - STALE_AFTER),
        a_source(NOW - timedelta(days=1)),
        a_source(None),
        a_source(soon - STALE_AFTER - timedelta(seconds=1), "broken"),
    ]

    assert replace(situation, now=NOW, sources=sources).holds_until == soon


def an_answer(**changes: Any) -> KeptAnswer:
    values = {"version": 1, "until": NOW, "holders": set(), "etag": "x", "body": b""}
    return KeptAnswer(**values | changes)


def test_it_is_right_for_its_version_and_before_its_end() -> None:
    answer = an_answer(version=7)
    before = NOW - timedelta(microseconds=1)

    assert answer.is_right(7, before)
    assert not answer.is_right(8, before)
    assert not answer.is_right(7, NOW)


def test_the_memory_has_a_size() -> None:
    answers = Answers(most_bytes=100_000)
    wanted = AvailabilityQuery.model_validate({"serviceId": str(uuid4()), "date": "2026-05-04"})
    question = Question(uuid4(), wanted, an_answer(body=b"x" * 20_000))

    for number in range(10):
        answers.keep(("/", str(number).encode()), question)
        answers.keep(("/", b"0"), question)

    kept = [number for number in range(10) if answers.find(("/", str(number).encode()))]
    assert kept == [0, 7, 8, 9]
