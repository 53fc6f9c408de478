"""Hold a timeslot for somebody: all that the appointment needs, or nothing."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from bookings import ledger, metrics, queries
from bookings.domain.appointment import (
    Actor,
    ActorType,
    Appointment,
    Terms,
    claims_in_full,
)
from bookings.domain.capacity import Unit, choose_units, expired_rivals, needs_of
from bookings.domain.lifecycle import Status
from bookings.domain.moves import beside, check_movable, check_same_parties
from bookings.domain.policy import check_bookable, check_not_over
from bookings.refusals import AppointmentNotFound, ServiceNotFound, SlotTaken
from bookings.use_cases.end_hold import end_if_overdue
from shared.db import Connection, transaction_on
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
    reschedule_of: UUID | None = None
    """The appointment that is to be moved there, and whose units it may take."""
    by: Actor | None = None
    """Who picks the time; the patient, unless somebody of the provider does it for them."""
    override: str | None = None
    """Why staff book outside schedule, notice and horizon; the claims bind them all the same."""

    @property
    def picked_by(self) -> Actor:
        return self.by or Actor(ActorType.PATIENT, self.patient_id)

    @property
    def source(self) -> str:
        return "patient_portal" if self.picked_by.type is ActorType.PATIENT else "provider"


async def hold_timeslot(db: Connection, wish: Wish) -> tuple[Appointment, datetime]:
    """The held appointment and the database's clock; raises SlotTaken when no unit is left.

    Asking again for a timeslot that one already holds gives the same hold, now under the new
    token. Holds and requests that are over never stand in the way: they are ended here, with a
    worker or without.
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
            source=wish.source,
            beside=wish.reschedule_of,
        )
        if offer is None or offer.service.mode != wish.mode:
            raise ServiceNotFound("this provider does not offer this service")
        old = await _to_be_moved(db, wish)
        if offer.own_hold is not None:
            own = await ledger.rebind_hold(db, offer.own_hold, token_hash=wish.token_hash)
            if own is not None:
                return own, offer.now
            continue
        terms = terms_of(offer, wish.location_id)
        if wish.override is None:
            check_bookable(terms, wish.start, timezone=offer.provider.timezone, now=offer.now)
        else:
            check_not_over(wish.start, offer.service.duration_minutes, now=offer.now)
        needs = needs_of(
            mode=wish.mode,
            location_id=wish.location_id,
            room_id=wish.room_id,
            equipment=offer.service.required_equipment,
            units=offer.units,
        )
        units = choose_units(needs, offer.units)
        if units is not None:
            opened = await ledger.open_hold(
                db,
                _hold(wish, offer, terms, units, old),
                token_hash=wish.token_hash,
                by=wish.picked_by,
                metadata={"override": True} if wish.override is not None else {},
                override_reason=wish.override,
            )
            if opened is not None:
                return opened, offer.now
            metrics.UNITS_LOST.inc()
            continue
        expired = expired_rivals(needs, offer.units)
        if not expired:
            break
        for rival in sorted(expired):
            async with transaction_on(db):
                await end_if_overdue(db, rival)
    raise SlotTaken("this time was just taken")


async def _to_be_moved(db: Connection, wish: Wish) -> Appointment | None:
    """The appointment that this hold is to replace; only whoever has a part in it finds it."""
    if wish.reschedule_of is None:
        return None
    found = await queries.appointment(db, wish.reschedule_of)
    by = wish.picked_by
    if found is None or not _has_part(by, found.appointment):
        raise AppointmentNotFound("no such appointment")
    check_movable(found.appointment, by=by, now=found.now)
    check_same_parties(found.appointment, wish.patient_id, wish.provider_id)
    return found.appointment


def _has_part(by: Actor, appointment: Appointment) -> bool:
    match by.type:
        case ActorType.PATIENT:
            return by.id == appointment.patient_id
        case ActorType.PROVIDER:
            return by.id == appointment.provider_id
        case _:
            return True


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
        hold_seconds=service.hold_seconds,
    )


def _hold(
    wish: Wish, offer: queries.Offer, terms: Terms, units: list[Unit], old: Appointment | None
) -> Appointment:
    hold = Appointment(
        id=new_id(),
        version=1,
        status=Status.HELD,
        patient_id=wish.patient_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        start=wish.start,
        end=wish.start + timedelta(minutes=offer.service.duration_minutes),
        mode=wish.mode,
        location_id=wish.location_id,
        room_id=next((unit.room_id for unit in units if unit.kind == "room"), wish.room_id),
        terms=terms,
        source=wish.source,
        patient_timezone=offer.patient_timezone or offer.provider.timezone,
        provider_timezone=offer.provider.timezone,
        hold_expires_at=offer.now + timedelta(seconds=offer.service.hold_seconds),
        rescheduled_from=old.id if old else None,
        origin_stands=old is not None,
        reschedule_count=old.reschedule_count + 1 if old else 0,
        created_at=offer.now,
        updated_at=offer.now,
    )
    wanted = claims_in_full(hold, [(unit.id, unit.kind) for unit in units])
    return replace(hold, claims=tuple(beside(wanted, old.claims if old else ())))
