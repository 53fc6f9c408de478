"""Whether the tables say what the model says, and no more."""

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from bookings import audit
from shared.db import Connection

from .life_model import Known, Model

Span = tuple[datetime, datetime]

_ROWS = """
SELECT id, status, version, audit_sequence, starts_at, ends_at, rescheduled_from, rescheduled_to,
    reschedule_count, cancellation_cause
FROM appointments WHERE provider_id = ANY ($1)
"""
_CLAIMS = """
SELECT c.appointment_id, c.resource_id AS of, lower(period), upper(period),
    lower_inc(period) AND NOT upper_inc(period) AS is_half_open
FROM claims c JOIN appointments a ON a.id = c.appointment_id
WHERE a.provider_id = ANY ($1) AND NOT isempty(period) ORDER BY period
"""
_OWN_TIME = """
SELECT c.appointment_id, c.patient_id AS of, lower(period), upper(period),
    lower_inc(period) AND NOT upper_inc(period) AS is_half_open
FROM patient_claims c JOIN appointments a ON a.id = c.appointment_id
WHERE a.provider_id = ANY ($1) AND NOT isempty(period) ORDER BY period
"""
_TRAIL = """
SELECT e.appointment_id, e.sequence, e.action FROM audit_events e
JOIN appointments a ON a.id = e.appointment_id WHERE a.provider_id = ANY ($1) ORDER BY sequence
"""
_TOLD = """
SELECT subject, sequence, data -> 'change' ->> 'action' AS action FROM outbox
WHERE position > $1 AND subject = ANY ($2) ORDER BY position
"""


class Rows:
    """The rows of a few providers, compared after each step."""

    def __init__(self, providers: list[UUID], *, first_event: int) -> None:
        self._providers = providers
        self._first_event = first_event
        self._verified: dict[UUID, int] = {}

    async def agree(self, db: Connection, model: Model) -> None:
        """Raises AssertionError at the first difference. What is overdue may end at any time."""
        rows = {row["id"]: row for row in await db.fetch(_ROWS, self._providers)}
        _adopt_stray(model, set(rows))
        assert set(rows) == {each.id for each in model.all}
        for each in model.all:
            _follow(each, rows[each.id])
            _compare(each, rows[each.id])
        await self._check_trails(db, model, rows)
        units, own = [
            _by_appointment(await db.fetch(statement, self._providers))
            for statement in (_CLAIMS, _OWN_TIME)
        ]
        for each in model.all:
            each.claims = units[each.id]
            _check_units(each, units)
            _check_own_time(each, own)
        for claimed in (units, own):
            _check_nothing_overlaps([span for spans in claimed.values() for span in spans])

    async def _check_trails(self, db: Connection, model: Model, rows: dict[UUID, Any]) -> None:
        trails, told = defaultdict(list), defaultdict(list)
        for row in await db.fetch(_TRAIL, self._providers):
            trails[row["appointment_id"]].append((row["sequence"], row["action"]))
        subjects = [str(id_) for id_ in rows]
        for row in await db.fetch(_TOLD, self._first_event, subjects):
            told[UUID(row["subject"])].append((row["sequence"], row["action"]))
        for each in model.all:
            assert trails[each.id] == list(enumerate(each.trail, 1))
            assert told[each.id] == list(enumerate(each.actions, 1))
            grown = rows[each.id]["audit_sequence"]
            if self._verified.get(each.id) != grown:
                report = await audit.verify(db, each.id)
                assert (report.fault, report.entries) == (None, len(each.trail))
                self._verified[each.id] = grown


def _adopt_stray(model: Model, ids: set[UUID]) -> None:
    unknown = ids - {each.id for each in model.all}
    if model.stray is not None:
        (model.stray.id,) = unknown
        model.all.append(model.stray)
        model.stray = None


def _follow(each: Known, row: Any) -> None:
    if each.overdue and row["status"] == "cancelled":
        each.expires()


def _compare(each: Known, row: Any) -> None:
    assert row["status"] == each.status, each.trail
    assert row["version"] == len(each.actions)
    assert row["audit_sequence"] == len(each.trail)
    assert (row["starts_at"], row["ends_at"]) == (each.start, each.end)
    assert row["reschedule_count"] == each.moves
    assert row["rescheduled_from"] == (each.replaces and each.replaces.id)
    assert row["rescheduled_to"] == (each.replaced_by and each.replaced_by.id)
    assert (row["cancellation_cause"] == "rescheduled") == (each.replaced_by is not None)
    if each.replaced_by is not None:
        assert not each.is_active, "the old one and the new one are both there"


def _by_appointment(rows: list[Any]) -> dict[UUID, list[tuple[UUID, datetime, datetime]]]:
    found = defaultdict(list)
    for row in rows:
        assert row["is_half_open"], "what only touches would overlap"
        found[row["appointment_id"]].append((row["of"], row["lower"], row["upper"]))
    return found


def _check_units(each: Known, claims: dict[UUID, list[Any]]) -> None:
    """One unit for the whole time, for a waiting move together with what it would replace."""
    if not each.is_active:
        assert not claims[each.id], f"a {each.status} one claims a unit"
    elif each.replaces is None or each.status == "confirmed":
        assert [claim[1:] for claim in claims[each.id]] == [(each.start, each.claimed_until)]
    elif (old := each.kept()) is not None:
        both = claims[each.id] + claims[old.id]
        units = {unit for unit, *_ in claims[each.id]} or {unit for unit, *_ in claims[old.id]}
        (unit,) = units
        spans = [claim[1:] for claim in both if claim[0] == unit]
        assert _covers(spans, each.start, each.claimed_until)


def _check_own_time(each: Known, own: dict[UUID, list[Any]]) -> None:
    if each.status not in ("pending", "confirmed"):
        assert not own[each.id], f"a {each.status} one keeps its patient busy"
    elif (old := each.kept()) is not None:
        both = [claim[1:] for claim in own[each.id] + own[old.id]]
        assert _covers(both, each.start, each.end)
    elif each.status == "confirmed" or each.replaces is None:
        assert own[each.id] == [(each.patient, each.start, each.end)]


def _covers(spans: list[Span], start: datetime, end: datetime) -> bool:
    for lower, upper in sorted(spans):
        if lower <= start < upper:
            start = upper
    return start >= end


def _check_nothing_overlaps(spans: list[tuple[UUID, datetime, datetime]]) -> None:
    spans = sorted(spans, key=lambda span: (str(span[0]), span[1]))
    for one, next_ in pairwise(spans):
        assert one[0] != next_[0] or one[2] <= next_[1], "two claims overlap"
