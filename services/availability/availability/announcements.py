"""Snapshots of what providers have set up, as other services are told of them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes
from availability.models import (
    AppointmentType,
    Location,
    Provider,
    Resource,
    Room,
    appointment_type_locations,
)
from shared.events import provider as events
from shared.messaging import outbox

# Each announcement counts the thing's version up, so it is made once for each change.


async def announce_provider(db: AsyncSession, provider: Provider) -> None:
    """The profile with all locations and rooms that are in use."""
    await _count_up(db, provider, provider.id)
    locations = await db.scalars(
        select(Location)
        .where(Location.provider_id == provider.id, Location.is_active)
        .order_by(Location.is_primary.desc(), Location.created_at, Location.id)
    )
    rooms: dict[object, list[events.Room]] = {}
    for room in await db.scalars(
        select(Room)
        .where(Room.provider_id == provider.id, Room.is_active)
        .order_by(Room.created_at, Room.id)
    ):
        rooms.setdefault(room.location_id, []).append(
            events.Room(
                id=room.id, name=room.name, capacity=room.capacity, is_virtual=room.is_virtual
            )
        )
    await outbox.add(
        db,
        events.ProviderUpdated(
            id=provider.id,
            version=provider.version,
            name=provider.name,
            email=provider.email,
            phone=provider.phone,
            language=provider.language,
            timezone=provider.timezone,
            is_active=provider.is_active,
            completion_policy=provider.completion_policy,
            completion_grace_minutes=provider.completion_grace_minutes,
            locations=[
                events.Location(
                    id=location.id,
                    name=location.name,
                    address=location.address,
                    city=location.city,
                    country=location.country,
                    timezone=location.timezone,
                    is_primary=location.is_primary,
                    rooms=rooms.get(location.id, []),
                )
                for location in locations
            ],
        ),
    )


async def announce_appointment_type(db: AsyncSession, service: AppointmentType) -> None:
    """Everything that a booking takes a snapshot of."""
    await _count_up(db, service, service.provider_id)
    places = appointment_type_locations.c
    location_ids = await db.scalars(
        select(places.location_id)
        .where(places.appointment_type_id == service.id)
        .order_by(places.location_id)
    )
    await outbox.add(
        db,
        events.AppointmentTypeUpdated.model_validate(
            {
                "id": service.id,
                "version": service.version,
                "provider_id": service.provider_id,
                "slug": service.slug,
                "name": service.name,
                "description": service.description,
                "mode": service.mode,
                "duration_minutes": service.duration_minutes,
                "buffer_before_minutes": service.buffer_before_minutes,
                "buffer_after_minutes": service.buffer_after_minutes,
                "price_cents": service.price_cents,
                "currency": service.currency,
                "requires_approval": service.requires_approval,
                "hold_seconds": service.hold_seconds,
                "min_notice_minutes": service.min_notice_minutes,
                "max_future_days": service.max_future_days,
                "allow_patient_reschedule": service.allow_patient_reschedule,
                "max_reschedule_count": service.max_reschedule_count,
                "cancellation": events.CancellationTerms(
                    free_until_minutes=service.cancellation_free_until_minutes,
                    fee_cents=service.cancellation_fee_cents,
                    fee_percent=service.cancellation_fee_percent,
                    cutoff_minutes=service.cancellation_cutoff_minutes,
                ),
                "required_equipment": service.required_equipment,
                "location_ids": list(location_ids),
                "default_location_id": service.default_location_id,
                "default_room_id": service.default_room_id,
                "is_active": service.is_active,
            }
        ),
    )


async def announce_resource(db: AsyncSession, resource: Resource) -> None:
    await _count_up(db, resource, resource.provider_id)
    await outbox.add(
        db,
        events.ResourceUpdated.model_validate(
            {
                "id": resource.id,
                "version": resource.version,
                "provider_id": resource.provider_id,
                "kind": resource.kind,
                "label": resource.label,
                "location_id": resource.location_id,
                "room_id": resource.room_id,
                "is_active": resource.is_active,
            }
        ),
    )


# Of a deletion others learn that the thing is gone, and as of which version.


async def announce_provider_deleted(db: AsyncSession, provider: Provider) -> None:
    await _count_up(db, provider, provider.id)
    await outbox.add(db, events.ProviderDeleted(id=provider.id, version=provider.version))


async def announce_appointment_type_deleted(db: AsyncSession, service: AppointmentType) -> None:
    await _count_up(db, service, service.provider_id)
    await outbox.add(
        db,
        events.AppointmentTypeDeleted(
            id=service.id, version=service.version, provider_id=service.provider_id
        ),
    )


async def announce_resource_deleted(db: AsyncSession, resource: Resource) -> None:
    await _count_up(db, resource, resource.provider_id)
    await outbox.add(
        db,
        events.ResourceDeleted.model_validate(
            {
                "id": resource.id,
                "version": resource.version,
                "provider_id": resource.provider_id,
                "kind": resource.kind,
            }
        ),
    )


async def _count_up(
    db: AsyncSession, changed: Provider | AppointmentType | Resource, provider_id: UUID
) -> None:
    changed.version += 1
    await db.flush()
    await changes.note_set_up(db, provider_id)
