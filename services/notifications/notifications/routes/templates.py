"""Templates for admins: which there are, how they look, whether they arrive."""

from typing import Annotated

from fastapi import Path, Request, Response

from notifications.domain.news import ChannelName, News, Party
from notifications.domain.schedule import WORDINGS
from notifications.letters import LetterWriter
from notifications.refusals import TemplateNotFound, UserNotFound
from notifications.samples import sample_job
from notifications.schemas.templates import (
    PreviewIn,
    PreviewOut,
    TemplatesOut,
    TestSendIn,
    TestSendOut,
)
from notifications.use_cases.samples import send_sample
from shared.app import new_router
from shared.auth import Principal, Role, require
from shared.db import Connection
from shared.errors import Forbidden
from shared.fields import Text
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/notification-templates", tags=["notification templates"])

Admin = Annotated[Principal, require(Role.ADMIN)]
Name = Annotated[str, Path(), Text(60)]
_NAMES = {f"{news}_{party}": (news, party) for news, party in sorted(WORDINGS)}


@router.get("", responses=problems(Forbidden))
async def list_notification_templates(request: Request, _: Admin) -> TemplatesOut:
    """By name: what is told and to whom."""
    return TemplatesOut(names=list(_NAMES), languages=sorted(_writer(request).languages))


@router.post(
    "/{name}/preview",
    response_model=PreviewOut,
    responses=problems(Forbidden, TemplateNotFound, *KEY_REFUSALS),
)
async def preview_notification_template(
    name: Name, body: PreviewIn, request: Request, once: OnceIfKeyed, _: Admin
) -> Response:
    """What it says of a made-up appointment; nothing is sent."""
    news, party = _named(name)

    async def act(db: Connection) -> PreviewOut:
        now = await db.fetchval("SELECT now()")
        job = sample_job(news, party, language=body.language, timezone=body.timezone, now=now)
        letter = _writer(request).letter(job)
        return PreviewOut(
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            short=letter.short,
            language=letter.language,
        )

    return await once.in_sql(act)


@router.post(
    "/{name}/test-send",
    status_code=202,
    response_model=TestSendOut,
    responses=problems(Forbidden, TemplateNotFound, UserNotFound, *KEY_REFUSALS),
)
async def try_notification_template(
    name: Name, body: TestSendIn, once: OnceIfKeyed, _: Admin
) -> Response:
    """To somebody who is known, about a made-up appointment, the way that all messages go."""
    news, party = _named(name)

    async def act(db: Connection) -> TestSendOut:
        id_ = await send_sample(db, news, party, body.user_id, ChannelName(body.channel))
        return TestSendOut(notification_id=id_)

    return await once.in_sql(act)


def _named(name: str) -> tuple[News, Party]:
    if name not in _NAMES:
        raise TemplateNotFound
    return _NAMES[name]


def _writer(request: Request) -> LetterWriter:
    writer: LetterWriter = request.app.state.letter_writer
    return writer
