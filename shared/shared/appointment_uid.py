"""By which id calendars know an appointment, whoever writes it into them."""

from urllib.parse import urlsplit
from uuid import UUID


def appointment_uid(appointment_id: UUID, host: str) -> str:
    """An iCalendar UID; the SEQUENCE of an appointment is its version, so it grows.

    ``host`` is the platform's public name.
    """
    return f"{appointment_id}@{host}"


def host_of(public_origin: str) -> str:
    return urlsplit(public_origin).hostname or "localhost"
