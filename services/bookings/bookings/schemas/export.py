"""Everything that is kept about a patient, in one document."""

from collections.abc import Mapping
from typing import Any, Self
from uuid import UUID

from pydantic import JsonValue

from bookings.domain.appointment import Actor, ActorType
from bookings.schemas.appointments import AppointmentOut, AuditOut
from bookings.schemas.erasures import ErasureOut
from bookings.schemas.notes import NoteOut
from bookings.schemas.patients import PatientOut
from bookings.use_cases.export import Own
from shared.fields import Answer, Instant


class ExportedAppointment(AppointmentOut):
    """With its audit trail, and the notes that the patient may see."""

    written_notes: list[NoteOut]


class ExportOut(Answer):
    """``isComplete`` is false when a service did not answer; ``missing`` names it, and asking again
    later may bring the rest."""

    user_id: UUID
    exported_at: Instant
    is_complete: bool
    missing: list[str]
    profile: PatientOut | None
    appointments: list[ExportedAppointment]
    erasure: ErasureOut | None
    notifications: dict[str, JsonValue] | None
    reservations: dict[str, JsonValue] | None
    calendars: dict[str, JsonValue] | None

    @classmethod
    def of(cls, patient_id: UUID, own: Own, others: Mapping[str, dict[str, Any] | None]) -> Self:
        """``others`` is what each further service keeps; None for one that did not answer."""
        by = Actor(ActorType.PATIENT, patient_id)
        missing = sorted(name for name, kept in others.items() if kept is None)
        return cls(
            user_id=patient_id,
            exported_at=own.now,
            is_complete=not missing,
            missing=missing,
            profile=PatientOut.model_validate(dict(own.profile)) if own.profile else None,
            appointments=[
                ExportedAppointment(
                    **dict(
                        AppointmentOut.of(
                            each,
                            by=by,
                            now=own.now,
                            audit=[AuditOut.of(row) for row in own.trails[each.id]],
                        )
                    ),
                    written_notes=[NoteOut.of(note) for note in own.notes.get(each.id, [])],
                )
                for each in own.appointments
            ],
            erasure=ErasureOut.of(own.erasure) if own.erasure else None,
            notifications=others["notifications"],
            reservations=others["reservations"],
            calendars=others["calendar-sync"],
        )
