"""What bookings tells about patients: how to reach them, in which language and zone."""

from typing import ClassVar

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
    type: ClassVar[str] = "patient.deleted"
    source: ClassVar[str] = "/bookings"
