"""The providers that are tortured: each with the property that makes it worth it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.console import WentWrong
from tests.torture.history import Json
from tests.torture.people import Door, Person, query

DAYS = 55
HOLD_SECONDS = 60


@dataclass(frozen=True)
class Practice:
    """A provider, their service, and how many sessions they hold at once."""

    name: str
    person: Person
    service_id: str
    capacity: int = 1
    is_stable: bool = True
    """Nobody changes its hours, and no calendar is connected: only bookings take time away."""
    needs_approval: bool = False
    has_calendar: bool = False
    buffers: tuple[int, int] = (0, 0)
    """Minutes before and after."""

    @property
    def path(self) -> str:
        return f"/v1/providers/{self.person.id}"

    def facts(self) -> Json:
        """For the history."""
        return {
            "name": self.name,
            "provider": self.person.id,
            "service": self.service_id,
            "capacity": self.capacity,
            "stable": self.is_stable,
            "approval": self.needs_approval,
            "calendar": self.has_calendar,
        }

    async def timeslots(self, by: Person, *, days: int = 7, offset: int = 1) -> list[Json]:
        """What is offered in some days from then on; nothing when that is not answered."""
        first = datetime.now(UTC).date() + timedelta(days=offset)
        asked = {
            "serviceId": self.service_id,
            "from": first,
            "to": first + timedelta(days=days - 1),
            "status": "available",
        }
        answer = await by.ask("GET", f"{self.path}/availability?{query(asked)}")
        return list(answer.body["timeslots"]) if answer.status == 200 else []


async def built(door: Door) -> list[Practice]:
    """All of them, made through the API by an admin, known to bookings and bookable."""
    admin = door.person("admin")
    practices = await asyncio.gather(
        _practice(door, admin, "solo", {}),
        _practice(door, admin, "group", {"maxParallelSessions": 3}, capacity=3),
        _practice(door, admin, "approval", {}, service={"requiresApproval": True}),
        _practice(door, admin, "buffers", {}, service=_BUFFERS),
        _practice(door, admin, "rooms", {"maxParallelSessions": 2}, rooms=1),
        _practice(door, admin, "changing", {}, stable=False),
        _practice(door, admin, "texts", {"maxParallelSessions": 20}, service=_SHORT, capacity=20),
    )
    for practice in practices:
        await _bookable(door, practice)
    return list(practices)


_SHORT = {"durationMinutes": 5}
_BUFFERS = {"bufferBeforeMinutes": 10, "bufferAfterMinutes": 5}


async def _practice(
    door: Door,
    admin: Person,
    name: str,
    profile: Json,
    *,
    service: Json | None = None,
    capacity: int = 1,
    rooms: int = 0,
    stable: bool = True,
) -> Practice:
    made = await _insist(
        admin,
        "/v1/providers",
        {"name": f"Torture {name}", "timezone": "UTC", **profile}
        | {"email": f"{name}.{admin.id[:8]}@example.org"},
    )
    provider = door.person("provider", made["id"])
    path = f"/v1/providers/{provider.id}"
    wish: Json = {
        "slug": name,
        "name": f"Torture {name}",
        "mode": "phone",
        "durationMinutes": 30,
        "holdSeconds": HOLD_SECONDS,
        "maxRescheduleCount": 20,
        **(service or {}),
    }
    if rooms:
        location = await _insist(provider, f"{path}/locations", {"name": "Here", "timezone": "UTC"})
        room = {"name": "Room", "capacity": rooms}
        await _insist(provider, f"{path}/locations/{location['id']}/rooms", room)
        wish |= {"mode": "in_person", "locationIds": [location["id"]]}
    offered = await _insist(provider, f"{path}/appointment-types", wish)
    await set_hours(provider, "07:00", "22:00")
    return Practice(
        name,
        provider,
        offered["id"],
        capacity,
        stable,
        needs_approval="requiresApproval" in wish,
        buffers=(wish.get("bufferBeforeMinutes", 0), wish.get("bufferAfterMinutes", 0)),
    )


async def set_hours(provider: Person, start: str, end: str) -> None:
    """The same hours on every day of the week."""
    window = {"workStartLocal": start, "workEndLocal": end, "slotIntervalMinutes": 30}
    days = [{"dayOfWeek": day, "enabled": True, "windows": [window]} for day in range(1, 8)]
    form = {"scope": {"timezone": "UTC"}, "days": days, "replaceMode": "replace_selected_days"}
    path = f"/v1/providers/{provider.id}/schedule/rules/bulk_upsert"
    answer = await provider.insist("POST", path, form)
    if answer.is_final and answer.status != 200:
        raise WentWrong(f"POST {path} answered {answer.status}: {answer.body}")


async def _insist(by: Person, path: str, body: Json) -> Json:
    answer = await by.insist("POST", path, body)
    if answer.status != 201:
        raise WentWrong(f"POST {path} answered {answer.status}: {answer.body}")
    made: Json = answer.body
    return made


async def _bookable(door: Door, practice: Practice) -> None:
    """Bookings has heard of the provider, too: a first hold succeeds and is let go."""
    somebody = door.person()
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    answer: Any = None
    while datetime.now(UTC) < deadline:
        if slots := await practice.timeslots(somebody):
            answer = await somebody.insist("POST", "/v1/reservations", wish_for(practice, slots[0]))
            if answer.status == 201:
                path = f"/v1/reservations/{answer.body['reservationToken']}"
                await somebody.ask("DELETE", path)
                return
        await asyncio.sleep(0.2)
    raise WentWrong(f"{practice.name} cannot be booked: {answer}")


def wish_for(practice: Practice, slot: Json) -> Json:
    """The body of a reservation; the history is told what that timeslot would claim."""
    before, after = (60 * minutes for minutes in practice.buffers)
    practice.person.door.history.add(
        "slot",
        id=slot["id"],
        start=slot["start"],
        **{"from": datetime.fromisoformat(slot["start"]).timestamp() - before},
        to=datetime.fromisoformat(slot["end"]).timestamp() + after,
    )
    return {
        "providerId": practice.person.id,
        "serviceId": practice.service_id,
        "timeslotId": slot["id"],
    }


def calendar_practice(door: Door, demo: Json) -> Practice:
    """The demo provider whose own calendar is connected to the local Radicale."""
    known = next(p for p in demo["providers"] if p["id"] == demo["calendar"]["providerId"])
    service = next(s for s in known["services"] if "call" in s["title"].lower())
    person = door.person("provider", known["id"])
    return Practice("calendar", person, service["id"], is_stable=False, has_calendar=True)
