"""Calendars of Microsoft 365, by Microsoft Graph v1.0."""

from calendar_sync.calendars.microsoft.account import MicrosoftAccount
from calendar_sync.calendars.microsoft.kind import MicrosoftKind, registration

__all__ = ["MicrosoftAccount", "MicrosoftKind", "registration"]
