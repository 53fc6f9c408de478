"""What costs more when there is more: ten appointments or a million, one provider or a thousand.

Each point of a curve is a database and an API process of its own, and they are asked in turns, so
that the number is all that differs.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import date
from statistics import median

from bench.availability_http import listing
from bench.bookings import pairs_per_second
from bench.bookings_scale import COPIES
from bench.clinic import Clinic, a_clinic
from bench.figures import Point, Row, at_most
from bench.load import get, load_after
from bench.practice import Bookings, Practice, a_practice, book, fortnight
from bench.stage import Stage, stage

PAST = (10, 10_000, 1_000_000)
PROVIDERS = (1, 30, 1_000)
BOOKED = 100
ROUNDS = 7
SECONDS = 0.5

Ask = Callable[[], Awaitable[float]]
"""What one of them costs, in milliseconds."""

_HISTORY = """
WITH past AS (
    INSERT INTO appointments (id, version, status, provider_id, user_id, service_id, timeslot_id,
        mode, starts_at, ends_at)
    SELECT gen_random_uuid(), 1, 'completed', '{provider}', gen_random_uuid(), '{service}', 'x',
        'in_person', at, at + interval '30 minutes'
    FROM generate_series(1, {count}) AS number,
        LATERAL (SELECT now() - interval '5 days' - number * interval '40 minutes') AS times (at)
    RETURNING id, starts_at, ends_at
)
INSERT INTO claims (appointment_id, resource_id, provider_id, kind, starts_at, ends_at)
SELECT id, '{unit}', '{provider}', 'staff', starts_at, ends_at FROM past
"""


async def run() -> list[Row]:
    """Ten to a million past appointments, one to a thousand providers."""
    return [
        *await _curve("14 days of availability", "past appointments", PAST, _old_practice),
        *await _curve("hold and confirm", "past appointments", PAST, _old_clinic),
        *await _curve("14 days of availability", "providers", PROVIDERS, _town),
        *await _curve("hold and confirm", "providers", PROVIDERS, _clinic_of),
    ]


async def _curve(
    name: str,
    of_what: str,
    numbers: Sequence[int],
    make: Callable[[AsyncExitStack, int], Awaitable[Ask]],
) -> list[Row]:
    async with AsyncExitStack() as stack:
        asks = [await make(stack, number) for number in numbers]
        for ask in asks:
            await ask()
        rounds = [[await ask() for ask in asks] for _ in range(ROUNDS)]
    return [
        Row(
            name=f"{name}, {count:,} {of_what}",
            figure=median(each[place] for each in rounds),
            unit="ms",
            ratio=median(each[place] / each[0] for each in rounds) if place else None,
            yardstick=f"with {numbers[0]}" if place else "",
            wanted=at_most(1.1) if count == numbers[-1] else None,
            point=Point(name, count, of_what),
        )
        for place, count in enumerate(numbers)
    ]


async def _old_practice(stack: AsyncExitStack, past: int) -> Ask:
    on = await stack.enter_async_context(stage("availability"))
    first_on = fortnight()
    practice = await a_practice(on.database, first_on)
    async with on.database.transaction() as db:
        await book(db, practice, first_on, 14, 500)
    unit = next(id_ for id_, kind in practice.units if kind == "staff")
    history = _HISTORY.format(
        provider=practice.provider_id, service=practice.service_id, unit=unit, count=past
    )
    await on.as_admin(history, "VACUUM ANALYZE")
    return await _asking(stack, on, practice, first_on)


async def _town(stack: AsyncExitStack, providers: int) -> Ask:
    on = await stack.enter_async_context(stage("availability"))
    first_on = fortnight()
    practices = [
        await a_practice(on.database, first_on, simple=True) for number in range(providers)
    ]
    async with on.database.transaction() as db:
        for each in practices:
            await book(db, each, first_on, 14, BOOKED)
    await on.as_admin("VACUUM ANALYZE")
    return await _asking(stack, on, practices[0], first_on)


async def _asking(stack: AsyncExitStack, on: Stage, practice: Practice, first_on: date) -> Ask:
    """With nothing kept of the answer before."""
    port = await stack.enter_async_context(on.serving("availability.app:make_app"))
    bookings = Bookings(on.database, [practice])
    request = get(listing(practice, first_on, 14), authorization=f"Bearer {on.token()}")

    async def ask() -> float:
        return (await load_after(port, [request], bookings.forget, seconds=SECONDS)).quartile_ms

    return ask


async def _old_clinic(stack: AsyncExitStack, past: int) -> Ask:
    on = await stack.enter_async_context(stage("bookings"))
    clinic = await a_clinic(on)
    port = await stack.enter_async_context(on.serving("bookings.app:make_app"))
    await pairs_per_second(port, clinic, 1)
    await on.as_admin(_past(clinic, past), "VACUUM ANALYZE")
    return _booking(port, clinic)


async def _clinic_of(stack: AsyncExitStack, providers: int) -> Ask:
    on = await stack.enter_async_context(stage("bookings"))
    clinic = await a_clinic(on, providers)
    port = await stack.enter_async_context(on.serving("bookings.app:make_app"))
    await pairs_per_second(port, clinic, 1)
    await on.as_admin("VACUUM ANALYZE")
    return _booking(port, clinic)


def _booking(port: int, clinic: Clinic) -> Ask:
    async def ask() -> float:
        return 1000 / await pairs_per_second(port, clinic, SECONDS)

    return ask


def _past(clinic: Clinic, count: int) -> str:
    """Spread over the patients and providers of the holds to come."""
    patients = "ARRAY[" + ", ".join(f"'{id_}'" for id_, _ in clinic.patients) + "]"
    providers = "ARRAY[" + ", ".join(f"'{id_}'" for id_, _ in clinic.services) + "]"
    return COPIES.format(
        count=count,
        direction=-1,
        status="completed",
        patient=f"({patients})[1 + number % {len(clinic.patients)}]",
        provider=f"({providers})[1 + number % {len(clinic.services)}]",
    )
