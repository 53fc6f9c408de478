"""The patient's own time, which crosses providers."""

from bookings.domain.appointment import Appointment
from shared.db import Connection


async def claim_patient_time(db: Connection, appointment: Appointment) -> bool:
    """Lock the patient's own time, without buffers; False when another appointment has it."""
    status = await db.execute(
        """
        INSERT INTO patient_claims (appointment_id, patient_id, period)
        VALUES ($1, $2, tstzrange($3, $4, '[)')) ON CONFLICT DO NOTHING
        """,
        appointment.id,
        appointment.patient_id,
        appointment.start,
        appointment.end,
    )
    return status == "INSERT 0 1"


async def claim_patient_time_beside(db: Connection, asked: Appointment) -> bool:
    """Likewise for a request to move, while the appointment that it may replace keeps its own."""
    done: bool = await db.fetchval(
        """
        WITH wanted AS (
            SELECT unnest(tstzmultirange(tstzrange($3, $4, '[)')) - coalesce(
                (SELECT range_agg(period) FROM patient_claims WHERE appointment_id IN ($1, $5)),
                '{}'
            )) AS period
        ), claimed AS (
            INSERT INTO patient_claims (appointment_id, patient_id, period)
            SELECT $1, $2, period FROM wanted ORDER BY period
            ON CONFLICT DO NOTHING RETURNING period
        )
        SELECT (SELECT count(*) FROM claimed) = (SELECT count(*) FROM wanted)
        """,
        asked.id,
        asked.patient_id,
        asked.start,
        asked.end,
        asked.rescheduled_from,
    )
    return done
