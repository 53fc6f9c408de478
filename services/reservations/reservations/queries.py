"""The statements of reservations; few, and on the way of every booking."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import asyncpg

from reservations.models import Status
from shared.db import Connection
from shared.events.reservation import ReservationCreated
from shared.messaging import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A row, with the status that it has by the database's clock."""

    id: UUID
    version: int
    status: Status
    user_id: UUID
    reserved_by: UUID
    reschedule_of: UUID | None
    provider_id: UUID
    service_id: UUID
    timeslot_id: str
    timeslot: dict[str, Any] | None
    token_hash: bytes
    appointment_id: UUID | None
    expires_at: datetime
    now: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(**dict(row) | {"status": Status(row["status"])})


_COLUMNS = (
    "id, version, status, user_id, reserved_by, reschedule_of, provider_id, service_id, "
    "timeslot_id, timeslot, token_hash, appointment_id, expires_at, now() AS now"
)


async def lock_user(db: Connection, user_id: UUID) -> None:
    """From here to the commit nobody else reserves for this user."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(user_id))


async def of_late(db: Connection, reserved_by: UUID, *, window_seconds: int) -> list[Reservation]:
    """What the user holds, is asking for or has let expire lately, what ends first in front."""
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM reservations
        WHERE reserved_by = $1 AND (status IN ('requested', 'active')
            OR status = 'expired' AND expires_at > now() - make_interval(secs => $2))
        ORDER BY expires_at
        """,
        reserved_by,
        window_seconds,
    )
    return [Reservation.of(row) for row in rows]


async def by_token(
    db: Connection, token_hash: bytes, *, for_update: bool = False
) -> Reservation | None:
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM reservations WHERE token_hash = $1 AND status <> 'requested' "
        + ("FOR UPDATE" if for_update else ""),
        token_hash,
    )
    return Reservation.of(row) if row else None


async def request(
    db: Connection,
    id_: UUID,
    *,
    user_id: UUID,
    reserved_by: UUID,
    reschedule_of: UUID | None,
    provider_id: UUID,
    service_id: UUID,
    timeslot_id: str,
    token_hash: bytes,
    seconds: int,
) -> None:
    """Note that a timeslot is being asked for; if nothing comes of it, it ends by itself."""
    await db.execute(
        """
        INSERT INTO reservations (id, version, status, user_id, provider_id, service_id,
            timeslot_id, token_hash, expires_at, reserved_by, reschedule_of)
        VALUES ($1, 0, 'requested', $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9)
        """,
        id_,
        user_id,
        provider_id,
        service_id,
        timeslot_id,
        token_hash,
        seconds,
        reserved_by,
        reschedule_of,
    )


_ACTIVATE = f"""
WITH active AS (
    UPDATE reservations SET version = $2, status = 'active', appointment_id = $3, timeslot = $4,
        expires_at = $5
    WHERE id = $1 AND status = 'requested' RETURNING {_COLUMNS}
), announced AS (
    INSERT INTO outbox (id, type, subject, sequence, traceparent, data)
    SELECT event.id, event.type, event.subject, event.sequence, event.traceparent, event.data
    FROM active, jsonb_populate_record(NULL::outbox, $6) AS event
)
SELECT * FROM active
"""


async def activate(
    db: Connection, created: ReservationCreated, *, timeslot: dict[str, Any]
) -> Reservation | None:
    """What was asked for is the user's from now on, and that is announced: one statement.

    None when that has taken so long that nothing is known of it any more.
    """
    row = await db.fetchrow(
        _ACTIVATE,
        created.id,
        created.version,
        created.appointment_id,
        timeslot,
        created.expires_at,
        outbox.row(created),
    )
    return Reservation.of(row) if row else None


async def forget(db: Connection, id_: UUID) -> None:
    """Nothing came of asking."""
    await db.execute("DELETE FROM reservations WHERE id = $1 AND status = 'requested'", id_)


async def end(db: Connection, id_: UUID, status: Status) -> Reservation:
    row = await db.fetchrow(
        f"""
        UPDATE reservations SET version = version + 1, status = $2
        WHERE id = $1 RETURNING {_COLUMNS}
        """,
        id_,
        status.value,
    )
    if row is None:
        raise LookupError(f"reservation {id_} has vanished")
    return Reservation.of(row)


async def set_expiry(db: Connection, id_: UUID, expires_at: datetime) -> Reservation:
    """The countdown by bookings' word, also when it ran out here while bookings was asked."""
    row = await db.fetchrow(
        f"""
        UPDATE reservations SET version = version + 1,
            status = CASE WHEN status = 'expired' AND $2 > now() THEN 'active' ELSE status END,
            expires_at = CASE WHEN status IN ('active', 'expired') THEN $2 ELSE expires_at END
        WHERE id = $1 RETURNING {_COLUMNS}
        """,
        id_,
        expires_at,
    )
    if row is None:
        raise LookupError(f"reservation {id_} has vanished")
    return Reservation.of(row)


async def end_by_appointment(db: Connection, appointment_id: UUID, status: Status) -> None:
    """What bookings says of the appointment ends the reservation that led to it."""
    await db.execute(
        """
        UPDATE reservations SET version = version + 1, status = $2
        WHERE appointment_id = $1 AND status IN ('active', 'expired')
        """,
        appointment_id,
        status.value,
    )


async def due(db: Connection, limit: int) -> list[Reservation]:
    """Open ones whose time is over, locked against other workers."""
    rows = await db.fetch(
        f"""
        SELECT {_COLUMNS} FROM reservations
        WHERE status IN ('requested', 'active') AND expires_at <= now()
        ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    return [Reservation.of(row) for row in rows]
