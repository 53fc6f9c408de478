"""What has left the platform: events in a calendar, mails in a mailbox."""

from email import message_from_binary_file
from pathlib import Path

import icalendar

from tests.torture.history import Json


def events_in(calendar: str) -> list[Json]:
    return [
        {"uid": str(event["UID"]), "starts_at": event.start.timestamp()}
        for event in icalendar.Calendar.from_ical(calendar).walk("VEVENT")
    ]


def mails_in(folder: Path) -> list[Json]:
    found = []
    for path in folder.iterdir():
        with path.open("rb") as file:
            mail = message_from_binary_file(file)
        found.append(
            {
                "message_id": str(mail["Message-ID"]),
                "to": str(mail["X-RcptTo"]),
                "unsubscribe": str(mail["List-Unsubscribe"] or ""),
                "arrived": path.stat().st_mtime,
            }
        )
    return found
