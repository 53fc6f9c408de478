"""Where the links lead that end one kind of mails."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import HTMLResponse

from notifications.pages import UnsubscribePages
from notifications.refusals import LinkNotFound
from notifications.unsubscribing import PATH
from notifications.use_cases.preferences import link_behind, unsubscribe
from shared.app import new_router
from shared.db import SqlReading, SqlTransaction
from shared.fields import Text
from shared.problems import problems

router = new_router(prefix=PATH, tags=["notification preferences"])

Token = Annotated[str, Path(), Text(100)]
_HEADERS = {
    # Nobody else's page may put the button under somebody's finger.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


@router.get("/{token}", response_class=HTMLResponse, responses=problems(LinkNotFound))
async def ask_to_unsubscribe(token: Token, request: Request, db: SqlReading) -> HTMLResponse:
    """A page with a button; looking at it changes nothing, because mail scanners follow links."""
    link = await link_behind(db, token)
    pages: UnsubscribePages = request.app.state.unsubscribe_pages
    return HTMLResponse(pages.question(link), headers=_HEADERS)


@router.post("/{token}", response_class=HTMLResponse, responses=problems(LinkNotFound))
async def unsubscribe_with_one_click(
    token: Token, request: Request, db: SqlTransaction
) -> HTMLResponse:
    """What mail programs call by themselves (RFC 8058), and what the page's button does."""
    link = await unsubscribe(db, token)
    pages: UnsubscribePages = request.app.state.unsubscribe_pages
    return HTMLResponse(pages.answer(link), headers=_HEADERS)
