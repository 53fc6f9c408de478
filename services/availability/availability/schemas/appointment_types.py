"""Bodies and answers about services."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from availability.domain.resources import Mode
from availability.models import AppointmentType
from availability.schemas.lists import UNCHANGED
from availability.use_cases.appointment_types import NewAppointmentType
from shared.fields import (
    Answer,
    Body,
    Cents,
    Currency,
    Flag,
    Id,
    Instant,
    Name,
    Note,
    OneOf,
    Whole,
)
from shared.idempotency import KeyedBody

_SLUG = "^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=_SLUG, min_length=1, max_length=80)]
Duration = Annotated[int, Whole(5, 360)]
Buffer = Annotated[int, Whole(0, 240)]
HoldSeconds = Annotated[int, Whole(60, 900)]
Month = Annotated[int, Whole(0, 43_200)]
"""Minutes of up to 30 days."""
Percent = Annotated[int, Whole(0, 100)]
FutureDays = Annotated[int, Whole(1, 365)]
Reschedules = Annotated[int, Whole(0, 20)]
Equipment = Annotated[list[Name], Field(max_length=20)]
Places = Annotated[list[Id], Field(max_length=100)]


class CancellationIn(Body):
    """Free until so many minutes before the start, then for a fee, then not by patients at all."""

    free_until_minutes: Month = 24 * 60
    fee_cents: Cents = 0
    fee_percent: Percent = 0
    cutoff_minutes: Month = 0


class CancellationChangesIn(Body):
    free_until_minutes: Month = UNCHANGED
    fee_cents: Cents = UNCHANGED
    fee_percent: Percent = UNCHANGED
    cutoff_minutes: Month = UNCHANGED


class AppointmentTypeIn(KeyedBody):
    """A service. In person without `locationIds` it is given at all locations of the provider."""

    slug: Slug
    name: Name
    description: Note | None = None
    mode: OneOf[Mode]
    duration_minutes: Duration = 30
    buffer_before_minutes: Buffer = 0
    buffer_after_minutes: Buffer = 0
    price_cents: Cents = 0
    currency: Currency = "EUR"
    requires_approval: Flag = False
    hold_seconds: HoldSeconds = 120
    min_notice_minutes: Month = 0
    max_future_days: FutureDays = 60
    allow_patient_reschedule: Flag = True
    max_reschedule_count: Reschedules = 2
    cancellation: CancellationIn = Field(default_factory=CancellationIn)
    required_equipment: Equipment = Field(default_factory=list)
    location_ids: Places = Field(default_factory=list)
    default_location_id: Id | None = None
    default_room_id: Id | None = None

    def as_new(self) -> NewAppointmentType:
        return NewAppointmentType(
            **_flat(self.model_dump(by_alias=False, exclude={"idempotency_key"}))
        )


class AppointmentTypeChangesIn(Body):
    """Only the fields that are given change; null empties one that may be empty."""

    slug: Slug = UNCHANGED
    name: Name = UNCHANGED
    description: Note | None = None
    mode: OneOf[Mode] = UNCHANGED
    duration_minutes: Duration = UNCHANGED
    buffer_before_minutes: Buffer = UNCHANGED
    buffer_after_minutes: Buffer = UNCHANGED
    price_cents: Cents = UNCHANGED
    currency: Currency = UNCHANGED
    requires_approval: Flag = UNCHANGED
    hold_seconds: HoldSeconds = UNCHANGED
    min_notice_minutes: Month = UNCHANGED
    max_future_days: FutureDays = UNCHANGED
    allow_patient_reschedule: Flag = UNCHANGED
    max_reschedule_count: Reschedules = UNCHANGED
    cancellation: CancellationChangesIn = UNCHANGED
    required_equipment: Equipment = UNCHANGED
    location_ids: Places = UNCHANGED
    default_location_id: Id | None = None
    default_room_id: Id | None = None
    is_active: Flag = UNCHANGED

    def changes(self) -> dict[str, Any]:
        values = _flat(self.model_dump(by_alias=False, exclude_unset=True))
        if "mode" in values:
            values["mode"] = values["mode"].value
        return values


class CancellationTermsOut(Answer):
    free_until_minutes: int
    fee_cents: int
    fee_percent: int
    cutoff_minutes: int


class AppointmentTypeOut(Answer):
    """A service as patients may see it, too."""

    id: UUID
    provider_id: UUID
    slug: str
    name: str
    description: str | None
    mode: Mode
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    price_cents: int
    currency: str
    requires_approval: bool
    hold_seconds: int
    min_notice_minutes: int
    max_future_days: int
    allow_patient_reschedule: bool
    max_reschedule_count: int
    cancellation: CancellationTermsOut
    required_equipment: list[str]
    location_ids: list[UUID]
    default_location_id: UUID | None
    default_room_id: UUID | None
    is_active: bool
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, service: AppointmentType, location_ids: Sequence[UUID]) -> Self:
        terms = {
            name: getattr(service, f"cancellation_{name}")
            for name in CancellationTermsOut.model_fields
        }
        columns = {
            name: getattr(service, name) for name in cls.model_fields if hasattr(service, name)
        }
        return cls.model_validate(columns | {"cancellation": terms, "location_ids": location_ids})


class AppointmentTypesOut(Answer):
    items: list[AppointmentTypeOut]
    next_cursor: str | None


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """The terms of cancellation as the columns they are kept in; each thing named only once."""
    terms: Mapping[str, Any] = values.pop("cancellation", {})
    values |= {f"cancellation_{name}": value for name, value in terms.items()}
    if "required_equipment" in values:
        values["required_equipment"] = list(dict.fromkeys(values["required_equipment"]))
    return values
