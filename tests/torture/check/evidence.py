"""History and final state, as the checks want to look at them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Json = dict[str, Any]
Rows = list[Json]

_CLOSE = 0.5
"""Seconds between two excuses that are one."""
AFTERMATH = 1.0
"""Seconds after a fault has healed that still count as its window."""
ENDED = ("cancelled", "completed", "no_show")


@dataclass(frozen=True)
class Change:
    """One version of an appointment, as its event tells it; valid until the next one's position."""

    position: int
    until: float
    occurred_at: float
    type: str
    data: Json

    @property
    def status(self) -> str:
        return str(self.data["status"])


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run."""

    history: Rows
    state: dict[str, Any]

    def of(self, kind: str) -> Rows:
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, Rows]:
        found: dict[str, Rows] = defaultdict(list)
        for entry in self.history:
            found[entry["kind"]].append(entry)
        return found

    def rows(self, table: str) -> Rows:
        """Of the final state, such as ``bookings.claims``."""
        return list(self.state.get(table, []))

    @cached_property
    def practices(self) -> dict[str, Json]:
        """By the provider's id."""
        return {each["provider"]: each for each in self.of("practice")}

    # --- Faults ---------------------------------------------------------------------------------

    @cached_property
    def windows(self) -> list[tuple[float, float]]:
        """From each fault's beginning until a moment after its target was well again.

        A wrong clock is no excuse for anything.
        """
        return sorted(
            (f["start"], f["end"] + AFTERMATH) for f in self.of("fault") if f["type"] != "clock"
        )

    def is_calm(self, start: float, end: float) -> bool:
        """Whether no fault's window touches that time."""
        return not any(a < end and start < b for a, b in self.windows)

    @cached_property
    def _starved(self) -> list[tuple[float, float]]:
        return [(entry["start"], entry["end"]) for entry in self.of("starved")]

    @cached_property
    def excuses(self) -> list[tuple[float, float]]:
        """Windows, and times in which the machine had no processor to spare, as few spans."""
        spans: list[tuple[float, float]] = []
        for start, end in sorted([*self.windows, *self._starved]):
            if spans and start <= spans[-1][1] + _CLOSE:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        return spans

    def is_quiet(self, start: float, end: float) -> bool:
        """Calm, and with a processor to spare: then promises about speed are judged."""
        return not any(a < end and start < b for a, b in self.excuses)

    def deadline(self, moment: float, allowed: float) -> float:
        """When something must be done that may take so long, counted anew after each excuse."""
        until = moment + allowed
        for start, end in self.excuses:
            if start < until and end > moment:
                until = max(until, end + allowed)
        return until

    def rested(self, moment: float, allowed: float) -> float:
        """The same where only a machine without time is an excuse."""
        until = moment + allowed
        for start, end in sorted(self._starved):
            if start < until and end > moment:
                until = max(until, end + allowed)
        return until

    def since(self, moment: float, allowed: float) -> float:
        """The earliest moment whose news may still be unheard of at ``moment``."""
        since = moment - allowed
        for start, end in reversed(self.excuses):
            if start < moment and end + allowed > since:
                since = min(since, start - allowed)
        return since

    # --- Appointments ---------------------------------------------------------------------------

    @cached_property
    def appointments(self) -> dict[str, Json]:
        return {row["id"]: row for row in self.rows("bookings.appointments")}

    @cached_property
    def changes(self) -> dict[str, list[Change]]:
        """Each appointment's events in the order of the outbox, which is one of their commits where
        they claim the same thing."""
        events: dict[str, Rows] = defaultdict(list)
        for row in sorted(self.rows("bookings.outbox"), key=lambda row: int(row["position"])):
            if row["type"].startswith("booking."):
                events[row["subject"]].append(row)
        return {subject: list(_changes(rows)) for subject, rows in events.items()}

    @cached_property
    def audits(self) -> dict[str, Rows]:
        found: dict[str, Rows] = defaultdict(list)
        for row in sorted(self.rows("bookings.audit_events"), key=lambda row: row["sequence"]):
            found[row["appointment_id"]].append(row)
        return found

    # --- Requests -------------------------------------------------------------------------------

    @cached_property
    def intents(self) -> dict[tuple[str, str], Rows]:
        """Requests with the same key of the same caller, in the order they were sent."""
        found: dict[tuple[str, str], Rows] = defaultdict(list)
        for request in self.of("request"):
            if request["key"]:
                found[request["by"], request["key"]].append(request)
        for requests in found.values():
            requests.sort(key=lambda request: request["start"])
        return found


def _changes(rows: Sequence[Json]) -> Iterable[Change]:
    following = [float(row["position"]) for row in rows[1:]] + [float("inf")]
    for row, until in zip(rows, following, strict=True):
        yield Change(row["position"], until, row["occurred_at"], row["type"], row["data"])


def code_of(request: Json) -> str:
    return str((request.get("answer") or {}).get("code", ""))


def is_final(request: Json) -> bool:
    """An answer that the same key must get again: an effect, or a refusal by how things are."""
    status = request["status"]
    return 200 <= status < 300 or (status == 409 and "in_progress" not in code_of(request))


def quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
