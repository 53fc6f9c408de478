"""Books one appointment through the gateway and tells it as it happens; every step is verified."""

import asyncio
import random
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from local.api import Answer, Api
from local.calendar_connection import CalendarConnection
from local.calendar_story import CalendarStory
from local.console import Console, WentWrong
from local.demo_data import Clinic, Patient, Provider
from local.mail_story import MailStory
from local.waiting import wait_for

DAYS_AHEAD = 30
EFFECT_LIMIT = 20.0
"""Seconds until every effect of a confirmed appointment must have been seen."""


@dataclass(frozen=True)
class Held:
    """A timeslot that nobody else can take for the moment."""

    timeslot: dict[str, Any]
    token: str
    appointment_id: str


class Story:
    """One patient, one provider, one appointment."""

    def __init__(
        self,
        api: Api,
        clinic: Clinic,
        calendar: CalendarConnection,
        mail: Path,
        console: Console,
    ) -> None:
        self._api = api
        self._clinic = clinic
        self._calendar = calendar
        self._mail = mail
        self._console = console
        self._began = time.monotonic()

    async def tell(self) -> None:
        """See the whole path work; WentWrong at the first step that is not seen."""
        provider = self._calendar.provider
        service = provider.services[0]
        self._console.say()
        timeslots = await self._free_timeslots(provider, service["id"])
        self._tell_timeslots(provider, service["title"], timeslots)
        patient, token, held = await self._hold(provider, service["id"], timeslots)
        asked_at = time.time()
        channel = f"/v1/realtime?channels=user.{patient.id}.bookings"
        async with self._api.stream(channel, token=token) as lines:
            await anext(lines)  # it is open from here on
            appointment = await self._confirm(held, token, provider)
            await self._see_stream(lines, appointment)
        await self._see_audit_trail(appointment, token)
        post = MailStory(self._mail, self._clinic, self._tell, self._more)
        await post.see_mail(patient, since=asked_at, limit=EFFECT_LIMIT)
        await self._see_inbox(patient, token, appointment)
        await self._see_calendar(appointment, token, provider)
        await self._see_timeslot_gone(provider, service["id"], held)
        own = CalendarStory(self._api, self._calendar, self._tell, self._more)
        await own.see_appointment(appointment)
        free = [slot for slot in timeslots if not _overlap(slot, appointment)]
        if free:
            await own.see_event_take_time(free[-1], service["id"], token)

    def _tell(self, line: str) -> None:
        self._console.say(f"  {time.monotonic() - self._began:6.2f} s  {line}")

    def _more(self, line: str) -> None:
        self._console.say(f"            {line}")

    # --- What is free ------------------------------------------------------------------------

    async def _free_timeslots(self, provider: Provider, service_id: str) -> list[dict[str, Any]]:
        """The bookable timeslots of the first day that has any."""
        today = datetime.now(ZoneInfo(provider.timezone)).date()

        async def look() -> list[dict[str, Any]] | None:
            for ahead in range(1, DAYS_AHEAD):
                on = today + timedelta(days=ahead)
                if free := _bookable(await self._timeslots(provider, service_id, on)):
                    return free
            return None

        what = f"a free timeslot of {provider.name} within {DAYS_AHEAD} days"
        return await wait_for(look, what, limit=15, every=0.5)

    async def _timeslots(
        self, provider: Provider, service_id: str, on: date
    ) -> list[dict[str, Any]]:
        path = f"/v1/providers/{provider.id}/availability?serviceId={service_id}&date={on}"
        answer = await self._api.expect(200, "GET", path, token=self._clinic.patients[0][1])
        timeslots: list[dict[str, Any]] = answer.json["timeslots"]
        return timeslots

    def _tell_timeslots(self, provider: Provider, title: str, free: list[dict[str, Any]]) -> None:
        local = [_local(slot["start"], provider) for slot in free]
        times = " ".join(f"{start:%H:%M}" for start in local[:8])
        more = f" … {local[-1]:%H:%M}" if len(local) > 8 else ""
        self._tell(
            f"{provider.name} ({provider.timezone}) has {len(free)} free timeslots for “{title}”"
        )
        self._more(f"on {local[0]:%A %d %B}: {times}{more}")

    # --- Reserve -----------------------------------------------------------------------------

    async def _hold(
        self, provider: Provider, service_id: str, timeslots: list[dict[str, Any]]
    ) -> tuple[Patient, str, Held]:
        """Reserve the first timeslot that nobody takes before us, for somebody who is free then."""
        for timeslot in timeslots:
            patient, token = await self._somebody_free(timeslot)
            body = {
                "providerId": provider.id,
                "serviceId": service_id,
                "timeslotId": timeslot["id"],
            }
            answer = await self._reserve(body, token)
            if answer.status == 201:
                made = answer.json
                held = Held(timeslot, made["reservationToken"], made["appointmentId"])
                await self._tell_countdown(held, token, patient, provider, made["expiresAt"])
                return patient, token, held
        raise WentWrong("no timeslot could be reserved: somebody else was always faster")

    async def _somebody_free(self, timeslot: dict[str, Any]) -> tuple[Patient, str]:
        """Nobody is booked in two places at once, not even in a demonstration."""
        everybody = self._clinic.patients
        for patient, token in random.sample(everybody, k=len(everybody)):
            path = f"/v1/users/{patient.id}/appointments?filter=upcoming"
            booked = (await self._api.expect(200, "GET", path, token=token)).json["items"]
            if not any(_overlap(appointment, timeslot) for appointment in booked):
                return patient, token
        raise WentWrong(f"every patient has an appointment at {timeslot['start']}")

    async def _reserve(self, body: dict[str, str], token: str) -> Answer:
        """Reserved, or taken by somebody else; right after a first start a service may still have
        to hear of the provider, so any other answer is asked for again."""
        answers: list[Answer] = []

        async def look() -> Answer | None:
            answer = await self._api.call("POST", "/v1/reservations", token=token, body=body)
            answers.append(answer)
            return answer if answer.status == 201 or answer.code == "slot_taken" else None

        try:
            return await wait_for(look, "a reservation", limit=15, every=0.3)
        except WentWrong as error:
            raise WentWrong(f"{error}; the last answer was {answers[-1].text}") from None

    async def _tell_countdown(
        self, held: Held, token: str, patient: Patient, provider: Provider, expires_at: str
    ) -> None:
        start = _local(held.timeslot["start"], provider)
        self._tell(f"{start:%H:%M} is reserved for {patient.name}; the hold would end by itself")
        first = _instant(expires_at) - datetime.now(UTC)
        path = f"/v1/reservations/{held.token}"
        seen = (await self._api.expect(200, "GET", path, token=token)).json
        left = _instant(seen["expiresAt"]) - datetime.now(UTC)
        if seen["status"] != "active" or not timedelta(0) < left < first:
            raise WentWrong(f"the reservation does not count down: {seen}")
        self._more(f"in {first.total_seconds():.2f} s … {left.total_seconds():.2f} s …")

    # --- Confirm, and what follows from it ------------------------------------------------------

    async def _confirm(self, held: Held, token: str, provider: Provider) -> dict[str, Any]:
        appointment: dict[str, Any] = (
            await self._api.expect(
                201,
                "POST",
                "/v1/bookings",
                token=token,
                body={"reservationToken": held.token, "reason": "a first visit"},
                headers={"Idempotency-Key": str(uuid.uuid4())},
            )
        ).json
        if appointment["status"] != "confirmed" or appointment["id"] != held.appointment_id:
            raise WentWrong(f"the appointment is not confirmed: {appointment}")
        start = _local(appointment["start"], provider)
        self._tell(f"confirmed: {appointment['serviceTitle']}, {start:%A %d %B, %H:%M}")
        self._more(f"appointment {appointment['id']}")
        return appointment

    async def _see_audit_trail(self, appointment: dict[str, Any], token: str) -> None:
        path = f"/v1/appointments/{appointment['id']}/audit"
        entries = (await self._api.expect(200, "GET", path, token=token)).json["items"]
        actions = [entry["action"] for entry in entries]
        if actions[:2] != ["held_created", "confirmed"]:
            raise WentWrong(f"the audit trail is not held_created, confirmed but {actions}")
        self._tell(f"audit trail: {' → '.join(actions)}")

    async def _see_stream(self, lines: AsyncIterator[str], appointment: dict[str, Any]) -> None:
        """The patient's open stream is told of the same appointment."""
        event = ""
        try:
            async with asyncio.timeout(EFFECT_LIMIT):
                async for line in lines:
                    event = line.removeprefix("event: ") if line.startswith("event: ") else event
                    if line.startswith("data: ") and appointment["id"] in line:
                        self._tell(f"stream: {event} {line[:70]}…")
                        return
        except TimeoutError:
            pass
        raise WentWrong("the patient's stream was told nothing of the appointment")

    async def _see_inbox(self, patient: Patient, token: str, appointment: dict[str, Any]) -> None:
        async def look() -> dict[str, Any] | None:
            path = f"/v1/users/{patient.id}/notifications"
            inbox = (await self._api.expect(200, "GET", path, token=token)).json
            found = (i for i in inbox["items"] if i["appointmentId"] == appointment["id"])
            return next(found, None)

        entry = await wait_for(look, "an entry in the patient's inbox", limit=EFFECT_LIMIT)
        self._tell(f"inbox: “{entry['title']}”")

    async def _see_calendar(
        self, appointment: dict[str, Any], token: str, provider: Provider
    ) -> None:
        start = f"{_instant(appointment['start']):%Y%m%dT%H%M%SZ}"

        def _shows(answer: Answer) -> bool:
            is_calendar = answer.headers.get("Content-Type", "").startswith("text/calendar")
            text = answer.text.replace("\r\n ", "")
            return is_calendar and appointment["id"] in text and _starts_at(text, start)

        for path, reader in (
            (f"/v1/providers/{provider.id}/calendar-feed", provider.token),
            (f"/v1/appointments/{appointment['id']}/calendar.ics", token),
        ):

            async def look(path: str = path, reader: str = reader) -> bool:
                answer = await self._api.call("GET", path, token=reader)
                return answer.status == 200 and _shows(answer)

            await wait_for(look, f"the appointment in {path}", limit=EFFECT_LIMIT)
            self._tell(f"calendar entry: GET {path}")

    async def _see_timeslot_gone(self, provider: Provider, service_id: str, held: Held) -> None:
        on = _local(held.timeslot["start"], provider).date()
        before = held.timeslot["capacityLeft"]

        async def look() -> bool:
            timeslots = _bookable(await self._timeslots(provider, service_id, on))
            left = sum(t["capacityLeft"] for t in timeslots if t["id"] == held.timeslot["id"])
            return bool(left < before)

        start = _local(held.timeslot["start"], provider)
        await wait_for(look, f"availability without {start:%H:%M}", limit=EFFECT_LIMIT)
        self._tell(f"availability no longer offers {start:%H:%M}")


def _bookable(timeslots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [slot for slot in timeslots if slot["status"] == "available"]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _local(text: str, provider: Provider) -> datetime:
    return _instant(text).astimezone(ZoneInfo(provider.timezone))


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return _instant(one["start"]) < _instant(other["end"]) and _instant(other["start"]) < _instant(
        one["end"]
    )


def _starts_at(calendar: str, start: str) -> bool:
    """Calendars may tell the start in UTC or in the zone of the place; the former is certain."""
    return f"DTSTART:{start}" in calendar or re.search(r"DTSTART;TZID=", calendar) is not None
