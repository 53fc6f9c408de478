"""The units that an appointment locks."""

from typing import Any

from bookings.domain.appointment import Appointment, Claim, claims_in_full
from shared.db import Connection


async def take_over(db: Connection, new: Appointment) -> tuple[Claim, ...] | None:
    """All that the new appointment locks of its units, now that the old one is gone.

    In the transaction that has ended the old one, whose claims nobody else can have taken before
    it commits. None if something else stands there nevertheless.
    """
    units = await db.fetch(
        "SELECT DISTINCT resource_id, kind FROM claims WHERE appointment_id = $1", new.id
    )
    claims = claims_in_full(new, [(unit["resource_id"], unit["kind"]) for unit in units])
    done = await db.fetchval(
        """
        WITH wanted AS (
            SELECT claim.resource_id, claim.kind, tstzrange(claim.start, claim.end, '[)') AS period
            FROM jsonb_to_recordset($2::jsonb)
                AS claim (resource_id uuid, kind text, start timestamptz, "end" timestamptz)
        ), partial AS (
            DELETE FROM claims USING wanted
            WHERE claims.appointment_id = $1 AND claims.resource_id = wanted.resource_id
              AND claims.period <> wanted.period
            RETURNING wanted.*
        ), missing AS (
            SELECT DISTINCT resource_id, kind, period FROM partial
        ), claimed AS (
            INSERT INTO claims (appointment_id, resource_id, kind, period)
            SELECT $1, resource_id, kind, period FROM missing ORDER BY resource_id
            ON CONFLICT DO NOTHING RETURNING resource_id
        ), own_time AS (
            DELETE FROM patient_claims WHERE appointment_id = $1
        )
        SELECT (SELECT count(*) FROM claimed) = (SELECT count(*) FROM missing)
        """,
        new.id,
        [claim_row(claim) for claim in claims],
    )
    return tuple(claims) if done else None


def claim_row(claim: Claim) -> dict[str, Any]:
    return {
        "resource_id": claim.resource_id,
        "kind": claim.kind,
        "start": claim.start,
        "end": claim.end,
    }
