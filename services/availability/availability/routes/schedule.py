"""The schedule form: its options, the saved rules, a preview, and saving."""

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, seen_provider
from availability.refusals import ProviderNotFound
from availability.routes.conditional import has_already
from availability.saved_schedule import refdata, saved_forms
from availability.schemas.schedule import PreviewIn, RulesQuery, ScheduleIn
from availability.schemas.schedule_answers import PreviewOut, RefdataOut, RulesOut, SavedOut
from availability.use_cases.bulk_upsert import (
    Saved,
    bulk_upsert,
    schedule_etag,
    set_up_version,
)
from availability.use_cases.preview import preview_week
from shared.app import new_router
from shared.checked_route import reads_up_to
from shared.db import Reading
from shared.errors import Stale
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.preconditions import IfMatch
from shared.problems import problems

# As much as the gateway lets through: a form with far too many windows is told so by field.
_reads_forms = reads_up_to(1024 * 1024, most_values=100_000)

router = new_router(prefix="/v1/providers/{provider_id}/schedule", tags=["schedule"])


@router.get("/refdata", response_model=RefdataOut, responses=problems(ProviderNotFound))
async def get_schedule_refdata(provider_id: Id, db: Reading, user: Staff) -> RefdataOut:
    """What the form's selects offer, and the time zone that it begins with."""
    return await refdata(db, await seen_provider(db, user, provider_id))


@router.get(
    "/rules",
    response_model=RulesOut,
    responses=problems(ProviderNotFound)
    | {304: {"description": "Nothing has changed since the answer with that `ETag`."}},
)
async def list_schedule_rules(
    provider_id: Id,
    wanted: FromQuery[RulesQuery],
    db: Reading,
    request: Request,
    response: Response,
    user: Staff,
) -> RulesOut | Response:
    """The saved rules as the forms that would save them again, one for each scope.

    An `ETag` lets a client ask again with `If-None-Match` and get 304 while nothing has changed.
    """
    await seen_provider(db, user, provider_id)
    # The version first: rules that are newer than it only make a later If-Match fail.
    etag = schedule_etag(await set_up_version(db, provider_id))
    if has_already(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return RulesOut(items=await saved_forms(db, provider_id, wanted.conditions()))


@router.post(
    "/preview",
    response_model=PreviewOut,
    responses=problems(ProviderNotFound, *KEY_REFUSALS),
)
@_reads_forms
async def preview_schedule(
    provider_id: Id, body: PreviewIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """The slots that the form's windows come to, and who would fall outside the hours.

    Writes nothing. Breaks in the wrong place and days without windows are warnings here.
    """

    async def look(db: AsyncSession) -> PreviewOut:
        found = await preview_week(
            db, provider_id, body.week(), replaces=body.replaces, dates=body.dates
        )
        return PreviewOut.of(body, found)

    return await once.in_session(look)


@router.post(
    "/rules/bulk_upsert",
    response_model=SavedOut,
    responses=problems(ProviderNotFound, Stale, *KEY_REFUSALS),
)
@_reads_forms
async def save_schedule(
    provider_id: Id, body: ScheduleIn, once: OnceIfKeyed, if_match: IfMatch, _: Staff
) -> Response:
    """Save all of the form or nothing of it.

    `replace_selected_days` first takes away the rules of exactly this scope on the listed days,
    and so closes a listed day that is not enabled; `append` takes nothing away.
    """

    async def save(db: AsyncSession) -> Saved:
        return await bulk_upsert(
            db, provider_id, body.week(), replaces=body.replaces, expected=if_match
        )

    return await once.in_session(save, headers=lambda saved: {"ETag": saved.etag})
