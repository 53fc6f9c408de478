"""What the API answers about a provider's week."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from availability.domain.resources import Mode
from availability.schemas.local_times import TimeOfWork
from availability.schemas.schedule import PreviewIn
from availability.use_cases.preview import Previewed
from shared.fields import Answer, Instant, LocalDate


class SavedOut(Answer):
    ok: Literal[True] = True
    inserted_rules: int
    deleted_rules: int


class ScopeOut(Answer):
    appointment_type_id: UUID | None
    doctor_location_id: UUID | None
    location_room_id: UUID | None
    consultation_mode: Mode | None
    timezone: str


class BreakOut(Answer):
    break_start_local: TimeOfWork
    break_end_local: TimeOfWork
    label: str | None


class WindowOut(Answer):
    work_start_local: TimeOfWork
    work_end_local: TimeOfWork
    slot_interval_minutes: int
    breaks: list[BreakOut]
    priority: int
    effective_from: LocalDate | None
    effective_to: LocalDate | None


class DayOut(Answer):
    day_of_week: int
    enabled: bool
    windows: list[WindowOut]


class FormOut(Answer):
    """The rules of one scope as the form that saves them: all seven days, closed ones disabled."""

    scope: ScopeOut
    days: list[DayOut]


class RulesOut(Answer):
    items: list[FormOut]


class SlotOut(Answer):
    start_local: str
    end_local: str


class PreviewedWindowOut(Answer):
    work_start_local: TimeOfWork
    work_end_local: TimeOfWork
    slot_interval_minutes: int
    slots: list[SlotOut]


class PreviewedDayOut(Answer):
    on: Annotated[LocalDate, Field(alias="date")]
    day_of_week: int
    windows: list[PreviewedWindowOut]


class SummaryOut(Answer):
    total_slots: int
    days_enabled: int


class WarningOut(Answer):
    code: str
    path: str
    message: str


class AffectedAppointmentOut(Answer):
    id: UUID
    status: Literal["pending", "confirmed"]
    user_id: UUID
    service_id: UUID
    start: Instant
    end: Instant
    mode: Mode
    location_id: UUID | None
    room_id: UUID | None


class PreviewOut(Answer):
    summary: SummaryOut
    days: list[PreviewedDayOut]
    """Each day of the range on which a window of the form is in force."""
    warnings: list[WarningOut]
    affected_appointments: list[AffectedAppointmentOut]
    """Who is inside the hours now, and would not be any more."""

    @classmethod
    def of(cls, form: PreviewIn, found: Previewed) -> Self:
        """What was found, with the warnings about the form itself first."""
        return cls(
            summary=SummaryOut(
                total_slots=sum(len(slots) for day in found.days for _, slots in day.windows),
                days_enabled=form.days_enabled,
            ),
            days=[
                PreviewedDayOut(
                    on=day.on,
                    day_of_week=day.on.isoweekday(),
                    windows=[
                        PreviewedWindowOut(
                            work_start_local=rule.start,
                            work_end_local=rule.end,
                            slot_interval_minutes=rule.slot_interval,
                            slots=[SlotOut(start_local=a, end_local=b) for a, b in slots],
                        )
                        for rule, slots in day.windows
                    ],
                )
                for day in found.days
            ],
            warnings=[
                WarningOut.model_validate(each) for each in (*form.warnings(), *found.warnings)
            ],
            affected_appointments=[
                AffectedAppointmentOut.model_validate(each) for each in found.affected
            ],
        )


class TypeOption(Answer):
    id: UUID
    name: str
    slug: str
    consultation_mode: Mode
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    location_ids: list[UUID]
    """Where it is given; wherever the provider is, when there are none."""


class LocationOption(Answer):
    id: UUID
    name: str
    timezone: str
    is_primary: bool


class RoomOption(Answer):
    id: UUID
    location_id: UUID
    name: str
    is_virtual: bool


class RefdataOut(Answer):
    """What the form's selects offer; only what is in use."""

    appointment_types: list[TypeOption]
    locations: list[LocationOption]
    rooms: list[RoomOption]
    consultation_modes: list[Mode]
    slot_interval_minutes: list[int]
    replace_modes: list[str]
    timezone_default: str
