"""One-off ranges in which a provider is closed, or open."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes as schedule
from availability.domain.schedule import ExceptionKind
from availability.models import AvailabilityException
from availability.ownership import apply, check_room_for, locked_provider, own, scope_faults
from availability.refusals import BelongsToImport, BelongsToTimeOff
from availability.use_cases.conflicts import Cause, Watch
from shared.errors import FieldError, Invalid
from shared.ids import new_id

LONGEST = timedelta(days=366)
MOST_EXCEPTIONS = 1000
"""Of one provider, that are not over yet; an import is limited where it is made."""
TIME_OFF = "time_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewException:
    """What the scope leaves open, the exception is about all of."""

    id: UUID = field(default_factory=new_id)
    kind: ExceptionKind
    starts_at: datetime
    ends_at: datetime
    scope_appointment_type_id: UUID | None = None
    scope_location_id: UUID | None = None
    scope_room_id: UUID | None = None
    reason: str | None = None
    source: str = "manual"


async def add_exception(
    db: AsyncSession, provider_id: UUID, new: NewException
) -> AvailabilityException:
    """Tells of the appointments that a blocked one hits."""
    await locked_provider(db, provider_id)
    exception = AvailabilityException(
        **asdict(new) | {"kind": new.kind.value, "provider_id": provider_id}
    )
    await _check(db, exception)
    return await store_exception(db, exception, cause="exception", cause_id=exception.id)


async def store_exception(
    db: AsyncSession, exception: AvailabilityException, *, cause: Cause, cause_id: UUID
) -> AvailabilityException:
    """The row, noted and with its conflicts told; the caller has locked the provider."""
    provider_id, span = exception.provider_id, (exception.starts_at, exception.ends_at)
    await check_room_for(
        db,
        AvailabilityException,
        provider_id,
        MOST_EXCEPTIONS,
        AvailabilityException.ends_at > func.now(),
        AvailabilityException.import_id.is_(None),
    )
    watch = await Watch.begin(db, provider_id, span)
    db.add(exception)
    await db.flush()
    await schedule.note_time(db, provider_id, *span)
    await watch.tell(db, cause, cause_id)
    return exception


async def change_exception(
    db: AsyncSession, provider_id: UUID, exception_id: UUID, changes: Mapping[str, Any]
) -> AvailabilityException:
    """The fields of `NewException` that are given."""
    await locked_provider(db, provider_id)
    exception = await _manual(db, provider_id, exception_id)
    before = (exception.starts_at, exception.ends_at)
    starts_at = changes.get("starts_at", exception.starts_at)
    ends_at = changes.get("ends_at", exception.ends_at)
    watch = await Watch.begin(db, provider_id, (min(before[0], starts_at), max(before[1], ends_at)))
    if apply(exception, changes):
        await _check(db, exception)
        await db.flush()
        await schedule.note_time(db, provider_id, *before)
        await schedule.note_time(db, provider_id, exception.starts_at, exception.ends_at)
        await watch.tell(db, "exception", exception.id)
    return exception


async def remove_exception(db: AsyncSession, provider_id: UUID, exception_id: UUID) -> None:
    """Tells of the appointments that were possible only because of an available one."""
    await locked_provider(db, provider_id)
    await drop_exception(db, await _manual(db, provider_id, exception_id))


async def drop_exception(db: AsyncSession, exception: AvailabilityException) -> None:
    """Its row, with the change noted; the caller has locked the provider."""
    span = (exception.starts_at, exception.ends_at)
    watch = await Watch.begin(db, exception.provider_id, span)
    await db.delete(exception)
    await db.flush()
    await schedule.note_time(db, exception.provider_id, *span)
    await watch.tell(db, "exception", exception.id)


def range_faults(starts_at: datetime, ends_at: datetime) -> Sequence[FieldError]:
    """What is wrong with a range that is to be blocked or opened."""
    if ends_at <= starts_at:
        return [FieldError("end", "END_BEFORE_START", "The end must be after the start.")]
    if ends_at - starts_at > LONGEST:
        return [FieldError("end", "RANGE_TOO_LONG", f"At most {LONGEST.days} days at once.")]
    return []


async def _manual(db: AsyncSession, provider_id: UUID, exception_id: UUID) -> AvailabilityException:
    exception = await own(db, AvailabilityException, provider_id, exception_id)
    if exception.source == TIME_OFF:
        raise BelongsToTimeOff
    if exception.import_id is not None:
        raise BelongsToImport(importId=exception.import_id)
    return exception


async def _check(db: AsyncSession, exception: AvailabilityException) -> None:
    """Raises Invalid with everything that is wrong."""
    with db.no_autoflush:
        faults = [
            *range_faults(exception.starts_at, exception.ends_at),
            *await scope_faults(
                db,
                exception.provider_id,
                service=("appointmentTypeId", exception.scope_appointment_type_id),
                location=("locationId", exception.scope_location_id),
                room=("roomId", exception.scope_room_id),
            ),
        ]
    if faults:
        raise Invalid(errors=faults)
