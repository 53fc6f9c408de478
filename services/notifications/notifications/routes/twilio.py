"""Where Twilio says what has become of an SMS."""

import re
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Header, Request

from notifications.channels.sms import CALLBACK_PATH
from notifications.refusals import CallbackForged
from notifications.settings import NotificationsSettings
from notifications.twilio import RECEIPTS, is_signed
from notifications.use_cases.receipts import note_receipt
from shared.app import new_router
from shared.db import database_of
from shared.fields import FromQuery, Id, Query, Text
from shared.problems import problems

router = new_router(tags=["webhooks"])

_SID = re.compile("[A-Z]{2}[0-9a-f]{32}")
_MOST_FIELDS = 100


class CallbackQuery(Query):
    notification: Id


@router.post(CALLBACK_PATH, status_code=204, responses=problems(CallbackForged))
async def take_twilio_callback(
    wanted: FromQuery[CallbackQuery],
    request: Request,
    x_twilio_signature: Annotated[str, Header(), Text(100, least=0)] = "",
) -> None:
    """Known by its signature over the public address; in any order, and as often as it comes."""
    settings: NotificationsSettings = request.app.state.settings
    form = _form(await request.body())
    # Behind the gateway the request shows an inner address; Twilio has signed the public one.
    url = f"{settings.public_origin}{CALLBACK_PATH}?{request.scope['query_string'].decode()}"
    if settings.twilio_auth_token is None or not is_signed(
        url, form, x_twilio_signature, auth_token=settings.twilio_auth_token.get_secret_value()
    ):
        raise CallbackForged
    fields = dict(form)
    sid, receipt = fields.get("MessageSid", ""), RECEIPTS.get(fields.get("MessageStatus", ""))
    if receipt is not None and _SID.fullmatch(sid):
        async with database_of(request).transaction() as db:
            await note_receipt(db, wanted.notification, message_sid=sid, receipt=receipt)


def _form(body: bytes) -> list[tuple[str, str]]:
    """Raises CallbackForged for what Twilio would never send."""
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise CallbackForged from None
