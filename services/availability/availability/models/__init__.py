"""The tables of the availability database: what providers set up, and what is known of bookings."""

from availability.models.metadata import Base
from availability.models.providers import (
    AppointmentType,
    Location,
    Provider,
    Resource,
    Room,
    appointment_type_locations,
)
from availability.models.read_models import (
    appointments,
    calendar_imports,
    calendar_sources,
    claims,
    external_busy_spans,
    external_busy_times,
)
from availability.models.schedules import (
    AvailabilityException,
    ScheduleRule,
    TimeOffRequest,
    schedule_changes,
    schedule_rule_breaks,
    schedule_versions,
)

__all__ = [
    "AppointmentType",
    "AvailabilityException",
    "Base",
    "Location",
    "Provider",
    "Resource",
    "Room",
    "ScheduleRule",
    "TimeOffRequest",
    "appointment_type_locations",
    "appointments",
    "calendar_imports",
    "calendar_sources",
    "claims",
    "external_busy_spans",
    "external_busy_times",
    "schedule_changes",
    "schedule_rule_breaks",
    "schedule_versions",
]
