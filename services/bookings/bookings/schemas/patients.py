"""A patient's profile, as it is changed and shown."""

from typing import Annotated
from uuid import UUID

from shared.fields import Answer, Body, Email, Flag, Instant, Language, Name, Phone, Text, ZoneId


class PreferencesIn(Body):
    """By which channels the patient wants to be reached; only the given ones change."""

    email: Flag = True
    sms: Flag = True
    push: Flag = True


class EmergencyContact(Body):
    """Whom to call; given and kept as a whole."""

    name: Name
    phone: Phone
    relation: Annotated[str, Text(50)] | None = None


class PatientIn(Body):
    """Only the fields that are given change; null empties one that may be empty."""

    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    language: Language = "en"
    timezone: ZoneId = "UTC"
    communication_preferences: PreferencesIn = PreferencesIn()
    emergency_contact: EmergencyContact | None = None


class PreferencesOut(Answer):
    email: bool = True
    sms: bool = True
    push: bool = True


class EmergencyContactOut(Answer):
    name: str
    phone: str
    relation: str | None = None


class PatientOut(Answer):
    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    language: str
    timezone: str
    communication_preferences: PreferencesOut
    emergency_contact: EmergencyContactOut | None
    version: int
    created_at: Instant
    updated_at: Instant
