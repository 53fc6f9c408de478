"""Each service's word that a patient's personal data is gone from it, as ``patient.deleted`` asked.

Ids stay where they are, because they name nobody once bookings has forgotten whom they stand for.
"""

from abc import ABC
from typing import ClassVar
from uuid import UUID

from shared.events.envelope import EventData


class PatientErased(EventData, ABC):
    """Said again when it is asked for again."""

    erasure_id: UUID
    patient_id: UUID
    version: int
    """That of ``patient.deleted``."""

    @property
    def subject(self) -> str:
        return str(self.patient_id)

    @property
    def sequence(self) -> int:
        return self.version


class AvailabilityPatientErased(PatientErased):
    type: ClassVar[str] = "availability.patient_erased"
    source: ClassVar[str] = "/availability"


class CalendarPatientErased(PatientErased):
    type: ClassVar[str] = "calendar.patient_erased"
    source: ClassVar[str] = "/calendar-sync"


class NotificationPatientErased(PatientErased):
    """Also nothing that is on its way to them, or about them, is left."""

    type: ClassVar[str] = "notification.patient_erased"
    source: ClassVar[str] = "/notifications"


class ReservationPatientErased(PatientErased):
    type: ClassVar[str] = "reservation.patient_erased"
    source: ClassVar[str] = "/reservations"
