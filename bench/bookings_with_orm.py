"""The reference for bookings: hold and confirm as one writes them with an ORM.

The same tables, rules, events, answers, authentication and idempotency; objects, not statements.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Response
from sqlalchemy import Column, DateTime, Integer, Table, Text, Uuid, func, select
from sqlalchemy.dialects.postgresql import JSONB, Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bookings import models
from bookings.announcements import announce
from bookings.domain import decisions
from bookings.domain.appointment import Actor, ActorType, Appointment, claims_in_full
from bookings.domain.audit import FIRST, Entry, hash_of
from bookings.domain.capacity import Unit, choose_units, needs_of
from bookings.domain.lifecycle import Action, Status
from bookings.domain.policy import check_bookable
from bookings.queries import Offer
from bookings.refusals import ContactDetailsMissing, ReservationNotFound, ServiceNotFound, SlotTaken
from bookings.rows import appointment_of, row_of
from bookings.schemas.appointments import AppointmentOut, ConfirmIn
from bookings.schemas.holds import HoldIn, HoldOut
from bookings.use_cases.hold import terms_of
from shared.app import create_app, new_router, process_settings
from shared.auth import CallingService, Principal, Role, require
from shared.db import Transaction
from shared.events.provider import AppointmentTypeUpdated, ProviderUpdated
from shared.idempotency import OnceOnly
from shared.ids import new_id
from shared.messaging import outbox
from shared.settings import ServiceSettings

BY_PATIENT = ActorType.PATIENT


Row: Any = models.Base
"""Its classes get their columns from tables, which a type checker cannot see."""


class ProviderRow(Row):
    __table__ = models.providers


class TypeRow(Row):
    __table__ = models.appointment_types


class UnitRow(Row):
    __table__ = models.resources


class AppointmentRow(Row):
    __table__ = models.appointments


class ClaimRow(Row):
    __table__ = models.claims


class OwnTimeRow(Row):
    __table__ = models.patient_claims


class AuditRow(Row):
    __table__ = models.audit_events
    entered = models.audit_events.c.metadata
    """The name ``metadata`` is the base class's."""


class OutboxRow(Row):
    __table__ = Table(
        "outbox",
        models.Base.metadata,
        Column("id", Uuid, primary_key=True),
        Column("type", Text),
        Column("subject", Text),
        Column("sequence", Integer),
        Column("occurred_at", DateTime(timezone=True)),
        Column("traceparent", Text),
        Column("data", JSONB),
    )


router = new_router()


@router.post("/internal/holds", status_code=201, response_model=HoldOut)
async def hold(body: HoldIn, db: Transaction, _: CallingService) -> HoldOut:
    now: datetime = (await db.execute(select(func.now()))).scalar_one()
    provider = await db.get(ProviderRow, body.provider_id)
    service = await db.get(TypeRow, body.service_id)
    if provider is None or service is None or service.provider_id != provider.id:
        raise ServiceNotFound("this provider does not offer this service")
    patient = await db.get(models.Patient, body.user_id)
    end = body.start + timedelta(minutes=service.duration_minutes)
    offer = Offer(
        now=now,
        provider=ProviderUpdated.model_validate(provider.data),
        service=AppointmentTypeUpdated.model_validate(service.data),
        units=await _units(db, provider.id, _range(body.start, end)),
        own_hold=None,
        patient_timezone=patient.timezone if patient else None,
    )
    terms = terms_of(offer, body.location_id)
    check_bookable(terms, body.start, timezone=offer.provider.timezone, now=now)
    needs = needs_of(
        mode=body.mode,
        location_id=body.location_id,
        room_id=body.room_id,
        equipment=offer.service.required_equipment,
        units=offer.units,
    )
    units = choose_units(needs, offer.units)
    if units is None:
        raise SlotTaken("this time was just taken")
    held = Appointment(
        id=new_id(),
        version=1,
        status=Status.HELD,
        patient_id=body.user_id,
        provider_id=body.provider_id,
        service_id=body.service_id,
        timeslot_id=body.timeslot_id,
        start=body.start,
        end=end,
        mode=body.mode,
        location_id=body.location_id,
        room_id=body.room_id,
        terms=terms,
        source="patient_portal",
        patient_timezone=offer.patient_timezone or offer.provider.timezone,
        provider_timezone=offer.provider.timezone,
        hold_expires_at=now + timedelta(seconds=offer.service.hold_seconds),
        created_at=now,
        updated_at=now,
    )
    claims = claims_in_full(held, [(unit.id, unit.kind) for unit in units])
    row = AppointmentRow(reservation_token_hash=bytes.fromhex(body.token_hash))
    db.add(row)
    _record(db, row, held, Action.HELD_CREATED)
    try:
        await db.flush()
        for claim in claims:
            db.add(
                ClaimRow(
                    appointment_id=held.id,
                    resource_id=claim.resource_id,
                    kind=claim.kind,
                    period=_range(claim.start, claim.end),
                )
            )
        await db.flush()
    except IntegrityError as error:
        raise SlotTaken("this time was just taken") from error
    expires_at = held.hold_expires_at or now
    return HoldOut(appointment_id=held.id, expires_at=expires_at, server_time=now)


@router.post("/v1/bookings", status_code=201, response_model=AppointmentOut)
async def confirm_booking(
    body: ConfirmIn, once: OnceOnly, user: Annotated[Principal, require(Role.PATIENT)]
) -> Response:
    token_hash = hashlib.sha256(body.reservation_token.encode()).digest()

    async def confirm(db: AsyncSession) -> AppointmentOut:
        now: datetime = (await db.execute(select(func.now()))).scalar_one()
        wanted = select(AppointmentRow).where(AppointmentRow.reservation_token_hash == token_hash)
        row = (await db.execute(wanted.with_for_update())).scalar_one_or_none()
        if row is None or row.patient_id != user.id:
            raise ReservationNotFound("no such reservation")
        claims = await db.scalars(select(ClaimRow).where(ClaimRow.appointment_id == row.id))
        held = _appointment(row, list(claims))
        by = Actor(BY_PATIENT, user.id)
        action = decisions.confirm(held, by=by, now=now)
        patient = await db.get(models.Patient, user.id)
        if patient is None or not patient.name or not (patient.email or patient.phone):
            raise ContactDetailsMissing("complete the profile first")
        moved = held.moved(
            action,
            now=now,
            patient_timezone=patient.timezone,
            reason=body.reason,
            notes=body.notes,
            hold_expires_at=None,
        )
        period = _range(moved.start, moved.end)
        db.add(OwnTimeRow(appointment_id=moved.id, patient_id=user.id, period=period))
        written = _record(db, row, moved, action)
        await db.flush()
        return AppointmentOut.of(written, by=by, now=now)

    return await once.in_session(confirm)


async def _units(db: AsyncSession, provider_id: UUID, period: "Range[datetime]") -> list[Unit]:
    found = await db.execute(
        select(UnitRow, func.count(ClaimRow.appointment_id))
        .outerjoin(
            ClaimRow, (ClaimRow.resource_id == UnitRow.id) & ClaimRow.period.overlaps(period)
        )
        .where(UnitRow.provider_id == provider_id, UnitRow.is_active)
        .group_by(UnitRow.id)
    )
    return [
        Unit(row.id, row.kind, row.label, row.location_id, row.room_id, (row.id,) * taken, False)
        for row, taken in found
    ]


def _record(
    db: AsyncSession, row: AppointmentRow, appointment: Appointment, action: Action
) -> Appointment:
    """The row's new values, its audit event and its event."""
    by, at = Actor(BY_PATIENT, appointment.patient_id), appointment.updated_at
    sequence, previous = appointment.audit_sequence + 1, appointment.audit_hash or FIRST
    entry = Entry(appointment.id, sequence, action.value, by, at, {})
    values = row_of(appointment) | {
        "audit_sequence": sequence,
        "audit_hash": hash_of(entry, previous),
        "participants": list(appointment.participants),
    }
    for name, value in values.items():
        setattr(row, name, value)
    db.add(
        AuditRow(
            id=new_id(),
            appointment_id=appointment.id,
            sequence=sequence,
            action=action.value,
            actor_type=by.type.value,
            actor_id=by.id,
            occurred_at=at,
            entered={},
            previous_hash=previous,
            hash=row.audit_hash,
        )
    )
    announced = announce(appointment, action, by)
    event = outbox.row(announced, at=at)
    db.add(OutboxRow(**event | {"data": announced.model_dump(mode="json", by_alias=True)}))
    return appointment


def _appointment(row: AppointmentRow, claims: list[ClaimRow]) -> Appointment:
    values: Any = {column.name: getattr(row, column.name) for column in models.appointments.columns}
    locked = [
        (claim.resource_id, claim.kind, claim.period.lower, claim.period.upper) for claim in claims
    ]
    return appointment_of(values | {"claims": locked, "origin_stands": False})


def _range(start: datetime, end: datetime) -> "Range[datetime]":
    return Range(start, end, bounds="[)")


def make_app() -> FastAPI:
    return create_app(
        process_settings("bookings", ServiceSettings),
        service="bookings",
        title="Bookings with an ORM",
        description="What the benchmark compares bookings with.",
        routers=[router],
    )
