"""Lists of appointments: a patient's, and a provider's day or week."""

from bookings import lists
from bookings.access import may_see_patient, may_see_provider
from bookings.domain.appointment import Actor, ActorType
from bookings.refusals import PatientNotFound, ProviderNotFound
from bookings.schemas.appointments import AppointmentOut
from bookings.schemas.lists import AppointmentsOut, ListQuery, ScheduleQuery
from shared.app import new_router
from shared.auth import CurrentUser, Principal
from shared.cursors import CursorInvalid, position_of
from shared.db import SqlReading
from shared.errors import FieldError, Invalid
from shared.fields import FromQuery, Id
from shared.problems import problems

router = new_router(prefix="/v1", tags=["lists"])


@router.get(
    "/users/{user_id}/appointments",
    response_model=AppointmentsOut,
    responses=problems(PatientNotFound, CursorInvalid),
)
async def list_appointments(
    user_id: Id, wanted: FromQuery[ListQuery], db: SqlReading, user: CurrentUser
) -> AppointmentsOut:
    """`upcoming` by start, or `history` with the newest first; holds are in neither."""
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    page = await lists.of_patient(
        db,
        user_id,
        upcoming=wanted.filter == "upcoming",
        after=position_of(wanted.cursor),
        limit=wanted.limit,
    )
    return _shown(page, user)


@router.get(
    "/providers/{provider_id}/appointments",
    response_model=AppointmentsOut,
    responses=problems(ProviderNotFound, CursorInvalid),
)
async def list_provider_appointments(
    provider_id: Id, wanted: FromQuery[ScheduleQuery], db: SqlReading, user: CurrentUser
) -> AppointmentsOut:
    """A provider's appointments by start, without holds. A filtered page may hold fewer than
    `limit` although others follow: go on while there is a `nextCursor`."""
    if not may_see_provider(user, provider_id):
        raise ProviderNotFound("no such provider")
    if wanted.from_ and wanted.to and wanted.to <= wanted.from_:
        message = "The end must be after the start."
        raise Invalid(errors=[FieldError("to", "END_BEFORE_START", message, in_body=False)])
    page = await lists.of_provider(
        db,
        provider_id,
        lists.Schedule(
            start=wanted.from_,
            end=wanted.to,
            statuses=list(wanted.status) or None,
            service_id=wanted.service_id,
            location_id=wanted.location_id,
        ),
        after=position_of(wanted.cursor),
        limit=wanted.limit,
    )
    return _shown(page, user)


def _shown(page: lists.Page, user: Principal) -> AppointmentsOut:
    by = Actor(ActorType(user.role.value), user.id)
    return AppointmentsOut(
        items=[AppointmentOut.of(each, by=by, now=page.now) for each in page.appointments],
        next_cursor=page.after.cursor() if page.after else None,
    )
