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
    max_expired_holds: int = Field(default=5, ge=1, le=1000)
    """After so many timeslots that a patient let expire unused, the next one has to wait."""
    expired_holds_window_seconds: int = Field(default=600, ge=1, le=86400)
    """How long an expired timeslot counts towards that; it ends the wait, too."""
