"""The variables that only reservations reads."""

from pydantic import Field, HttpUrl, SecretStr

from shared.settings import ServiceSettings


class ReservationsSettings(ServiceSettings):
    availability_url: HttpUrl
    bookings_url: HttpUrl
    reservation_token_secret: SecretStr = Field(min_length=32)
    """Makes reservation tokens; changing it invalidates those that are not yet used."""
    max_active_holds: int = Field(default=3, ge=1, le=100)
    """How many timeslots one user may hold at the same time."""
