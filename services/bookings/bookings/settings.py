"""The variables that only bookings reads."""

from pydantic import HttpUrl

from shared.settings import ServiceSettings


class BookingsSettings(ServiceSettings):
    """Which services are asked when a patient wants all their data; one that is not set is named
    as missing in the answer."""

    calendar_sync_url: HttpUrl | None = None
    notifications_url: HttpUrl | None = None
    reservations_url: HttpUrl | None = None
