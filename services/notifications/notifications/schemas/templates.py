"""Templates, looked at and tried by admins."""

from typing import Literal
from uuid import UUID

from notifications.catalogues import WRITTEN_IN
from notifications.schemas.preferences import KnownLanguage
from shared.fields import Answer, Body, Id, ZoneId


class TemplatesOut(Answer):
    names: list[str]
    languages: list[str]


class PreviewIn(Body):
    language: KnownLanguage = WRITTEN_IN
    timezone: ZoneId = "UTC"


class PreviewOut(Answer):
    subject: str
    text: str
    html: str
    short: str
    """As an SMS."""
    language: str
    """In which it is written, the nearest to the wanted one."""


class TestSendIn(Body):
    user_id: Id
    """A patient or provider who is known; they get it in their language and zone."""
    channel: Literal["email", "sms", "push", "in_app"] = "email"


class TestSendOut(Answer):
    notification_id: UUID
    """Of its deliveries in the user's list."""
