"""Hold a timeslot for somebody: all that the appointment needs, or nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import (
    Actor,
    ActorType,
    Appointment,
    Claim,
    Terms,
    claimed_range,
)
from bookings.domain.capacity import Unit, choose_units, expired_rivals, needs_of
from bookings.domain.lifecycle import Status
from bookings.domain.policy import check_bookable
from bookings.refusals import ServiceNotFound, SlotTaken
from bookings.use_cases.end_hold import expire_hold
from shared.db import Connection
from shared.ids import new_id

_ROUNDS = 20
"""How often a lost race looks for the next free unit; each round somebody else has won one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A timeslot that availability has vouched for, and who wants it."""

    patient_id: UUID
    provider_id: UUID
    service_id: UUID
    timeslot_id: str
    start: datetime
    mode: str
    location_id: UUID | None
    room_id: UUID | None
    token_hash: bytes
    """SHA-256 of the reservation token under which the hold will be confirmed."""


async def hold_timeslot(db: Connection, wish: Wish) -> tuple[Appointment, datetime]:
    """The held appointment and the database's clock; raises SlotTaken when no unit is left.

    Asking again for a timeslot that one already holds gives the same hold, now under the new
    token. Holds that are over never stand in the way: they are ended here, worker or no worker.
    ``db`` must not be in a transaction.
    """
    for _ in range(_ROUNDS):
        offer = await queries.offer(
            db,
            provider_id=wish.provider_id,
            service_id=wish.service_id,
            start=wish.start,
            patient_id=wish.patient_id,
            timeslot_id=wish.timeslot_id,
        )
        if offer is None or offer.service.mode != wish.mode:
            raise ServiceNotFound("this provider does not offer this service")
        if offer.own_hold is not None:
            own = await ledger.rebind_hold(db, offer.own_hold, token_hash=wish.token_hash)
            if own is not None:
                return own, offer.now
            continue
        terms = terms_of(offer, wish.location_id)
        check_bookable(terms, wish.start, timezone=offer.provider.timezone, now=offer.now)
        needs = needs_of(
            mode=wish.mode,
            location_id=wish.location_id,
            room_id=wish.room_id,
            equipment=offer.service.required_equipment,
            units=offer.units,
        )
        units = choose_units(needs, offer.units)
        if units is not None:
            hold = _hold(wish, offer, terms, units)
            by = Actor(ActorType.PATIENT, wish.patient_id)
            opened = await ledger.open_hold(db, hold, token_hash=wish.token_hash, by=by)
            if opened is not None:
                return opened, offer.now
            continue
        expired = expired_rivals(needs, offer.units)
        if not expired:
            break
        for rival in sorted(expired):
            async with db.transaction():
                await expire_hold(db, rival)
    raise SlotTaken("this time was just taken")


def terms_of(offer: queries.Offer, location_id: UUID | None) -> Terms:
    """What is agreed at this moment, for as long as the appointment lives."""
    service = offer.service
    location = next((place for place in offer.provider.locations if place.id == location_id), None)
    return Terms(
        provider_name=offer.provider.name,
        service_title=service.name,
        location_name=location.name if location else None,
        location_address=location.address if location else None,
        buffer_before_minutes=service.buffer_before_minutes,
        buffer_after_minutes=service.buffer_after_minutes,
        price_cents=service.price_cents,
        currency=service.currency,
        requires_approval=service.requires_approval,
        allow_patient_reschedule=service.allow_patient_reschedule,
        max_reschedule_count=service.max_reschedule_count,
        min_notice_minutes=service.min_notice_minutes,
        max_future_days=service.max_future_days,
        free_until_minutes=service.cancellation.free_until_minutes,
        fee_cents=service.cancellation.fee_cents,
        fee_percent=service.cancellation.fee_percent,
        cutoff_minutes=service.cancellation.cutoff_minutes,
    )


def _hold(wish: Wish, offer: queries.Offer, terms: Terms, units: list[Unit]) -> Appointment:
    end = wish.start + timedelta(minutes=offer.service.duration_minutes)
    locked_from, locked_to = claimed_range(
        wish.start,
        end,
        before_minutes=terms.buffer_before_minutes,
        after_minutes=terms.buffer_after_minutes,
    )
    return Appointment(
        id=new_id(),
        version=1,
        status=Status.HELD,
        patient_id=wish.patient_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        start=wish.start,
        end=end,
        mode=wish.mode,
        location_id=wish.location_id,
        room_id=next((unit.room_id for unit in units if unit.kind == "room"), wish.room_id),
        terms=terms,
        source="patient_portal",
        patient_timezone=offer.patient_timezone or offer.provider.timezone,
        provider_timezone=offer.provider.timezone,
        claims=tuple(Claim(unit.id, unit.kind, locked_from, locked_to) for unit in units),
        hold_expires_at=offer.now + timedelta(seconds=offer.service.hold_seconds),
        created_at=offer.now,
        updated_at=offer.now,
    )
