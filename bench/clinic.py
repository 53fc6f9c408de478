"""The standard work of bookings: providers with one unit each, patients, and free times."""

import hashlib
import itertools
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from bench.load import post
from bench.stage import Stage
from bookings import consumers
from shared.auth.services import ServiceTokens
from shared.db import Connection
from shared.events.envelope import Event, EventData
from shared.events.provider import (
    AppointmentTypeUpdated,
    CancellationTerms,
    ProviderUpdated,
    ResourceUpdated,
)

PROVIDERS, PATIENTS = 40, 1_009
"""More patients than growth has providers: nobody is asked for twice at one time."""
DURATION = timedelta(minutes=30)
HELD_FOR = 3600


@dataclass
class Clinic:
    """Whom a hold can be for, and whose; the tokens of the patients and of reservations."""

    services: list[tuple[UUID, UUID]]
    """Provider and service."""
    patients: list[tuple[UUID, str]]
    """Id and access token."""
    inner_token: str
    first: datetime
    _taken: Iterator[int] = field(default_factory=itertools.count)

    def pairs(self, seconds: float) -> Iterator[bytes]:
        """A hold, its confirmation, and so on, each of a time that nobody has had."""
        for _ in until(seconds):
            number = next(self._taken)
            token = secrets.token_urlsafe(24)
            yield self._hold(number, number, token)
            _, access = self.patients[number % PATIENTS]
            yield post(
                "/v1/bookings",
                orjson.dumps({"reservationToken": token, "reason": "a cough"}),
                authorization=f"Bearer {access}",
                idempotency_key=token,
            )

    def holds(self, seconds: float) -> Iterator[bytes]:
        """Holds of times that are free."""
        for _ in until(seconds):
            number = next(self._taken)
            yield self._hold(number, number, secrets.token_urlsafe(24))

    def hot_holds(self, seconds: float, rivals: int) -> list[Iterator[bytes]]:
        """As many patients who all want the same times, one time after the other."""
        times: list[int] = []
        return [self._rival(seconds, each, times) for each in range(rivals)]

    def _rival(self, seconds: float, patient: int, times: list[int]) -> Iterator[bytes]:
        for turn in until(seconds):
            if turn == len(times):
                times.append(next(self._taken))
            yield self._hold(times[turn], patient, secrets.token_urlsafe(24))

    def _hold(self, number: int, patient: int, token: str) -> bytes:
        provider_id, service_id = self.services[number % len(self.services)]
        start = self.first + number // len(self.services) * DURATION
        body = {
            "userId": self.patients[patient % PATIENTS][0],
            "providerId": provider_id,
            "serviceId": service_id,
            "timeslotId": f"slot-{start:%Y%m%dT%H%M}",
            "start": start,
            "mode": "phone",
            "locationId": None,
            "roomId": None,
            "tokenHash": hashlib.sha256(token.encode()).hexdigest(),
        }
        return post(
            "/internal/holds", orjson.dumps(body), authorization=f"Bearer {self.inner_token}"
        )


def until(seconds: float) -> Iterator[int]:
    """Counts from 0 until so much time has passed."""
    end = time.perf_counter() + seconds
    for turn in itertools.count():
        if time.perf_counter() >= end:
            return
        yield turn


async def a_clinic(on: Stage, providers: int = PROVIDERS) -> Clinic:
    """Known to bookings as the other services would have told it."""
    services = []
    async with on.database.transaction() as db:
        for number in range(providers):
            provider, service, unit = _a_provider(number)
            await consumers.save_provider(db, told(provider))
            await consumers.save_appointment_type(db, told(service))
            await consumers.save_resource(db, told(unit))
            services.append((provider.id, service.id))
        patients = await some_patients(db)
    inner = ServiceTokens(on.settings["SERVICE_SECRET"], "reservations").token_for("bookings")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    with_tokens = [(id_, on.token(sub=id_)) for id_ in patients]
    return Clinic(services, with_tokens, inner, tomorrow)


async def some_patients(db: Connection) -> list[UUID]:
    """Known to bookings, and complete."""
    patients = [uuid4() for _ in range(PATIENTS)]
    await db.execute(
        "INSERT INTO patients (id, version, name, email, language, timezone) SELECT "
        "id, 1, 'Maria', 'maria@example.org', 'el', 'Europe/Athens' FROM unnest($1::uuid[]) id",
        patients,
    )
    return patients


def _a_provider(number: int) -> tuple[ProviderUpdated, AppointmentTypeUpdated, ResourceUpdated]:
    provider_id = uuid4()
    provider = ProviderUpdated(
        id=provider_id,
        version=1,
        name=f"Dr. {number}",
        email="doctor@example.org",
        phone=None,
        language="en",
        timezone="Europe/Athens",
        is_active=True,
        locations=[],
    )
    service = AppointmentTypeUpdated(
        id=uuid4(),
        version=1,
        provider_id=provider_id,
        slug="consultation",
        name="Consultation",
        description=None,
        mode="phone",
        duration_minutes=DURATION // timedelta(minutes=1),
        buffer_before_minutes=0,
        buffer_after_minutes=0,
        price_cents=5000,
        currency="EUR",
        requires_approval=False,
        hold_seconds=HELD_FOR,
        min_notice_minutes=0,
        max_future_days=365,
        allow_patient_reschedule=True,
        max_reschedule_count=2,
        cancellation=CancellationTerms(
            free_until_minutes=24 * 60, fee_cents=2000, fee_percent=0, cutoff_minutes=0
        ),
        required_equipment=[],
        location_ids=[],
        default_location_id=None,
        default_room_id=None,
        is_active=True,
    )
    unit = ResourceUpdated(
        id=uuid4(),
        version=1,
        provider_id=provider_id,
        kind="staff",
        label="staff",
        location_id=None,
        room_id=None,
        is_active=True,
    )
    return provider, service, unit


def told(data: EventData) -> Event[Any]:
    """As a consumer receives it."""
    return Event(
        id=uuid4(),
        type=data.type,
        source=data.source,
        subject=data.subject,
        sequence=data.sequence,
        time=datetime.now(UTC),
        data=data,
    )
