"""A small history in which every promise is kept, for tests to break one of them."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from tests.torture.check.checker import check
from tests.torture.check.evidence import Evidence, Json
from tests.torture.check.verdicts import violations

PROVIDER, SERVICE, STAFF = (str(UUID(int=number)) for number in (1, 2, 3))
BEGAN = 1_800_000_000.0
_DAY = 1_800_090_000.0
_TYPES = {
    "held": "booking.held",
    "confirmed": "booking.confirmed",
    "cancelled": "booking.cancelled",
}


class MadeUp:
    """Entries and rows as a run writes them; the clock goes on by a second with every change."""

    def __init__(self, *, capacity: int = 1) -> None:
        self.history: list[Json] = []
        self.state: dict[str, Any] = {
            "taken_at": BEGAN + 10_000,
            "inbox": [],
            "tampered": [],
            "audit": {"code": 0, "output": "intact"},
            "looked": {"before": {"bookings.claims": "1"}, "after": {"bookings.claims": "1"}}
            | {"requests": 1},
            "availability.claims": [],
            "rebuilt.availability.claims": [],
        }
        self.clock = BEGAN
        self._positions = 0
        self.add(
            "practice",
            name="solo",
            provider=PROVIDER,
            service=SERVICE,
            capacity=capacity,
            stable=True,
            approval=False,
            calendar=True,
        )

    def add(self, kind: str, **values: Any) -> None:
        self.history.append({"kind": kind, **values})

    def rows(self, table: str) -> list[Json]:
        found: list[Json] = self.state.setdefault(table, [])
        return found

    def evidence(self) -> Evidence:
        return Evidence(deepcopy(self.history), deepcopy(self.state))

    def request(self, by: str, path: str, status: int, **more: Any) -> Json:
        entry: Json = {"kind": "request", "by": by, "role": "patient", "method": "POST"}
        entry |= {"path": path, "status": status, "key": None, "sent": {}, "digest": str(status)}
        entry |= {"replayed": False, "error": None, "answer": {}, "start": self.clock}
        entry |= {"end": self.clock + 0.1, **more}
        self.history.append(entry)
        return entry

    def hold(
        self,
        *,
        patient: str = "ann",
        hour: int = 0,
        resource: str = STAFF,
        seconds: float = 60,
        replaces: "Booked | None" = None,
    ) -> "Booked":
        return Booked(self, patient, _DAY + 3600 * hour, resource, seconds, replaces)

    def confirmed(self, **wish: Any) -> "Booked":
        booked = self.hold(**wish)
        booked.becomes("confirmed", "confirmed")
        return booked


class Booked:
    """One appointment with all that must exist about it."""

    def __init__(
        self,
        run: MadeUp,
        patient: str,
        start: float,
        resource: str,
        seconds: float,
        replaces: "Booked | None" = None,
    ) -> None:
        self.run = run
        run._positions += 1
        self.id = str(uuid5(UUID(int=9), str(run._positions)))
        self.claims = [{"resourceId": resource, "start": iso(start), "end": iso(start + 1800)}]
        self.row: Json = {
            "id": self.id,
            "version": 0,
            "status": "held",
            "patient_id": patient,
            "provider_id": PROVIDER,
            "timeslot_id": f"slot {start}",
            "starts_at": start,
            "source": "patient_portal",
            "hold_expires_at": run.clock + 1 + seconds,
            "cancelled_at": None,
            "rescheduled_to": None,
            "created_at": run.clock + 1,
        }
        run.rows("bookings.appointments").append(self.row)
        origin: Json = {}
        if replaces is not None:
            origin["rescheduledFrom"] = replaces.id
            if replaces.claims == self.claims:
                origin["claims"] = []
        self.becomes("held", "held_created", **origin)

    def becomes(self, status: str, action: str, **data: Any) -> None:
        """The next version, with its audit entry, event and everything that follows from it."""
        run = self.run
        if data.pop("later", True):
            run.clock += 1
        run._positions += 1
        self.row["version"] += 1
        self.row["status"] = status
        if status == "cancelled":
            self.row["cancelled_at"] = run.clock
            data.setdefault("cancellation", {"cause": "patient"})
        audits = run.rows("bookings.audit_events")
        sequence = 1 + sum(audit["appointment_id"] == self.id for audit in audits)
        audits.append(
            {"appointment_id": self.id, "sequence": sequence, "action": action}
            | {"actor_id": self.row["patient_id"], "occurred_at": run.clock, "metadata": {}}
        )
        event = {
            "id": str(uuid5(UUID(int=8), str(run._positions))),
            "position": run._positions,
            "type": data.pop("type", _TYPES[status]),
            "subject": self.id,
            "sequence": self.row["version"],
            "occurred_at": run.clock,
            "published_at": run.clock + 0.01,
            "data": {
                "version": self.row["version"],
                "status": status,
                "providerId": PROVIDER,
                "userId": self.row["patient_id"],
                "start": iso(self.row["starts_at"]),
                "end": iso(self.row["starts_at"] + 1800),
                "holdExpiresAt": iso(self.row["hold_expires_at"]) if status == "held" else None,
                "claims": [] if status == "cancelled" else self.claims,
                **data,
            },
        }
        run.rows("bookings.outbox").append(event)
        self._hear(event)
        self._show()
        if status == "confirmed":
            self._tell()

    def _hear(self, event: Json) -> None:
        consumers = ["availability"]
        if event["type"] != "booking.held":
            consumers += ["reservations", "notifications", "notifications-realtime"]
            consumers += ["calendar-sync"]
        for consumer in consumers:
            self.run.rows("inbox").append(
                {"consumer": consumer, "event_id": event["id"]}
                | {"received_at": event["occurred_at"] + 0.05}
            )

    def _show(self) -> None:
        """Every read model has the newest version."""
        seen = {"id": self.id, "version": self.row["version"], "status": self.row["status"]}
        for table in (
            "availability.appointments",
            "rebuilt.availability.appointments",
            "notifications.appointments",
            "calendar-sync.entries",
        ):
            _replace(self.run.rows(table), "id", self.id, [dict(seen)])
        claims = [
            {"appointment_id": self.id, "resource_id": claim["resourceId"]}
            | {"starts_at": _at(claim["start"]), "ends_at": _at(claim["end"])}
            for claim in (self.claims if self.row["status"] != "cancelled" else [])
        ]
        for table in ("bookings.claims", "availability.claims", "rebuilt.availability.claims"):
            _replace(self.run.rows(table), "appointment_id", self.id, claims)
        here = self.run.state.setdefault("calendar", [])
        mine = {"uid": f"{self.id}@clinic", "starts_at": self.row["starts_at"], "stays": True}
        row = {"id": self.id, "external_id": f"calendar/{self.id}.ics"}
        written = self.run.rows("calendar-sync.written_events")
        _replace(written, "id", self.id, [row] if self.row["status"] == "confirmed" else [])
        _replace(here, "uid", mine["uid"], [mine] if self.row["status"] == "confirmed" else [])

    def _tell(self) -> None:
        for party in ("patient", "provider"):
            job = f"{self.id} {party}"
            self.run.rows("notifications.notification_jobs").append(
                {"id": job, "kind": "confirmed", "channel": "email", "party": party}
                | {"appointment_id": self.id, "appointment_version": 2, "status": "sent"}
            )
            self.run.rows("mails").append(
                {"message_id": f"<{job}@example.org>", "arrived": self.run.clock + 0.2}
            )


def _replace(rows: list[Json], name: str, value: str, by: list[Json]) -> None:
    rows[:] = [row for row in rows if row[name] != value] + by


def iso(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat()


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def moved(run: MadeUp, old: Booked, *, hour: int, together: bool = True) -> Booked:
    """The appointment that replaces the old one, in one transaction or in two."""
    new = run.hold(patient=old.row["patient_id"], hour=hour, replaces=old)
    cause = {"cancellation": {"cause": "rescheduled"}, "rescheduledTo": new.id}
    old.becomes("cancelled", "rescheduled", **cause)
    new.becomes(
        "confirmed",
        "confirmed",
        type="booking.rescheduled",
        rescheduledFrom=old.id,
        later=not together,
    )
    return new


def broken(run: MadeUp) -> list[str]:
    return [line.promise for line in violations(check(run.evidence()))]


def fault(start: float, end: float, **more: Any) -> dict[str, Any]:
    entry = {"kind": "fault", "name": "pause x", "type": "pause", "target": "x", "start": start}
    return {**entry, "end": end, "over": end, "healed": end, **more}
