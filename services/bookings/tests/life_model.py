"""What should become of appointments: a small model, which knows neither tables nor locks."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

_NEXT = {
    "hold_extended": "held",
    "request_submitted": "pending",
    "confirmed": "confirmed",
    "approved": "confirmed",
    "completed": "completed",
    "no_show": "no_show",
}
"""Where an action leads; any other one cancels."""

MOST_MOVES = 2
NO_TOKEN = "0" * 32
"""Stands for the token of what was booked without any."""


@dataclass(frozen=True)
class Who:
    role: str
    id: UUID


@dataclass(frozen=True)
class Offered:
    """A service, and the units of its provider."""

    id: UUID
    provider: UUID
    units: tuple[UUID, ...]
    minutes: int
    buffer_after: int
    needs_approval: bool
    ends_as: str
    """What its provider lets become of visits that nobody speaks about."""


@dataclass(eq=False)
class Known:
    """An appointment as it should be."""

    id: UUID
    patient: UUID
    service: Offered
    start: datetime
    source: str
    token: str
    replaces: "Known | None" = None
    replaced_by: "Known | None" = None
    status: str = "held"
    moves: int = 0
    overdue: bool = False
    begun: bool = False
    trail: list[str] = field(default_factory=lambda: ["held_created"])
    claims: list[tuple[UUID, datetime, datetime]] = field(default_factory=list)
    """What it claims of its provider's units, as it was last seen and found right."""

    @property
    def end(self) -> datetime:
        return self.start + timedelta(minutes=self.service.minutes)

    @property
    def claimed_until(self) -> datetime:
        return self.end + timedelta(minutes=self.service.buffer_after)

    @property
    def is_active(self) -> bool:
        return self.status in ("held", "pending", "confirmed")

    @property
    def is_live(self) -> bool:
        return self.is_active and not self.overdue

    @property
    def actions(self) -> list[str]:
        """Its changes; a note is none."""
        return [action for action in self.trail if action != "note_added"]

    def becomes(self, action: str) -> None:
        self.trail.append(action)
        self.status = _NEXT.get(action, "cancelled")
        if not self.is_active:
            self.overdue = False

    def expires(self) -> None:
        self.becomes("hold_expired" if self.status == "held" else "pending_expired")

    def kept(self) -> "Known | None":
        """The appointment that stays until this hold or request to move it takes its place."""
        old = self.replaces
        return old if old and old.is_active and self.is_active else None


class Model:
    """All appointments of a few providers and patients."""

    def __init__(self) -> None:
        self.all: list[Known] = []
        self.stray: Known | None = None
        """What a refused call may have left behind, in this state and under an unknown id."""

    def pick(self, number: int, *statuses: str) -> Known | None:
        """One of them; in these states, or whatever is active before what has ended."""
        found = [each for each in self.all if not statuses or each.status in statuses]
        found.sort(key=lambda each: not each.is_active)
        return found[number % len(found)] if found else None

    def allowed(self, who: Who, of: Known) -> list[str]:
        """What this actor may do now, for whoever has a part in the appointment."""
        staff, live = who.role != "patient", of.is_live
        asked = of.status == "pending" and live
        to_move = of.status == "pending" and of.kept() is not None
        movable = of.status in ("pending", "confirmed") and live and not to_move
        within_limits = of.moves < MOST_MOVES and not of.begun
        over = of.status == "confirmed" and of.begun
        verdicts = {
            "confirm": not staff and of.status == "held" and live and of.replaces is None,
            "approve": staff and asked,
            "reject": staff and asked,
            "reschedule": movable and (staff or within_limits),
            "cancel": live and (staff or not of.begun),
            "complete": staff and over,
            "no_show": staff and over,
        }
        return [name for name, verdict in verdicts.items() if verdict]

    def has_unit(self, service: Offered, start: datetime, *, beside: Known | None) -> bool:
        """Whether a unit is free, or blocked only by what is over."""
        end = start + timedelta(minutes=service.minutes + service.buffer_after)
        taken = {
            unit
            for each in self.all
            if each.is_live and each is not beside
            for unit, lower, upper in each.claims
            if lower < end and start < upper
        }
        return not taken.issuperset(service.units)

    def is_busy(self, patient: UUID, start: datetime, end: datetime, *besides: Known) -> bool:
        """Whether the patient has another appointment then."""
        return any(
            each.patient == patient
            and each.status in ("pending", "confirmed")
            and each.is_live
            and each not in besides
            and each.start < end
            and start < each.end
            for each in self.all
        )

    def moves_of(self, old: Known, *, besides: Known | None = None) -> list[Known]:
        """The holds and requests to replace it."""
        return [
            each
            for each in self.all
            if each.replaces is old and each is not besides and each.status in ("held", "pending")
        ]

    def end_moves_of(self, old: Known, *, besides: Known | None = None) -> None:
        for each in self.moves_of(old, besides=besides):
            each.becomes("hold_released" if each.status == "held" else "cancelled_by_system")

    def put_in_place(self, old: Known, new: Known, action: str) -> None:
        old.becomes("rescheduled")
        new.becomes(action)
        old.replaced_by, new.replaces, new.moves = new, old, old.moves + 1
        self.end_moves_of(old, besides=new)
