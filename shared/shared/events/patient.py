"""What bookings tells about patients: how to reach them, in which language and zone."""

from typing import ClassVar
from uuid import UUID

from shared.events.envelope import Deletion, EventPart, Snapshot


class CommunicationPreferences(EventPart):
    """By which channels the patient wants to be reached at all."""

    email: bool = True
    sms: bool = True
    push: bool = True


class PatientUpdated(Snapshot):
    type: ClassVar[str] = "patient.updated"
    source: ClassVar[str] = "/bookings"

    name: str | None
    email: str | None
    phone: str | None
    language: str
    timezone: str
    communication_preferences: CommunicationPreferences = CommunicationPreferences()


class PatientDeleted(Deletion):
    """The patient's personal data is gone at bookings, and has to go everywhere.

    ``erasure_id`` names the request; whoever hears of it answers with it once that is done. The
    same person may become a patient again, with a higher version.
    """

    type: ClassVar[str] = "patient.deleted"
    source: ClassVar[str] = "/bookings"

    erasure_id: UUID | None = None
