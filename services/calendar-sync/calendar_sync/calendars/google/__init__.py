"""Google Calendar, by its API v3."""

from calendar_sync.calendars.google.account import GoogleAccount
from calendar_sync.calendars.google.kind import GoogleKind, registration

__all__ = ["GoogleAccount", "GoogleKind", "registration"]
