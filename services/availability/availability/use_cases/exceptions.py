"""One-off ranges in which a provider is closed, or open."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes as schedule
from availability.domain.schedule import ExceptionKind
from availability.models import AvailabilityException
from availability.ownership import apply, check_scope, locked_provider, own
from shared.errors import FieldError, Invalid
from shared.ids import new_id


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
    await locked_provider(db, provider_id)
    values = asdict(new) | {"kind": new.kind.value, "provider_id": provider_id}
    await check_scope(db, provider_id, values)
    _check_order(new.starts_at, new.ends_at)
    exception = AvailabilityException(**values)
    db.add(exception)
    await db.flush()
    await schedule.note_time(db, provider_id, new.starts_at, new.ends_at)
    return exception


async def change_exception(
    db: AsyncSession, provider_id: UUID, exception_id: UUID, changes: Mapping[str, Any]
) -> AvailabilityException:
    """The fields of `NewException` that are given."""
    await locked_provider(db, provider_id)
    exception = await own(db, AvailabilityException, provider_id, exception_id)
    await check_scope(db, provider_id, changes)
    before = (exception.starts_at, exception.ends_at)
    if apply(exception, changes):
        _check_order(exception.starts_at, exception.ends_at)
        await db.flush()
        await schedule.note_time(db, provider_id, *before)
        await schedule.note_time(db, provider_id, exception.starts_at, exception.ends_at)
    return exception


async def remove_exception(db: AsyncSession, provider_id: UUID, exception_id: UUID) -> None:
    await locked_provider(db, provider_id)
    exception = await own(db, AvailabilityException, provider_id, exception_id)
    await db.delete(exception)
    await db.flush()
    await schedule.note_time(db, provider_id, exception.starts_at, exception.ends_at)


def _check_order(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise Invalid(
            errors=[FieldError("endsAt", "END_BEFORE_START", "The end must be after the start.")]
        )
