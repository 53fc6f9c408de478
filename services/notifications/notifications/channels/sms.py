"""SMS by Twilio's REST interface."""

import re
from base64 import b64encode
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from notifications import metrics
from notifications.channels import Message, Send, Unsendable
from notifications.channels.http import HttpAnswer, HttpCalls, Lost, always_open
from notifications.channels.sms_text import parts_of
from notifications.domain.job import DeliveryStatus, Job, Outcome
from notifications.domain.news import ChannelName
from notifications.letters import LetterWriter

CALLBACK_PATH = "/v1/webhooks/notifications/twilio"

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_CLOCKS_DIFFER = timedelta(seconds=30)
_MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    sid: str
    token: str = field(repr=False)
    sender: str
    """A number, or a messaging service (``MG…``)."""
    url: str = "https://api.twilio.com"

    @property
    def messages_url(self) -> str:
        return f"{self.url}/2010-04-01/Accounts/{self.sid}/Messages.json"


class SmsChannel:
    """Twilio knows no idempotency key, so before a second attempt it is asked about the first."""

    def __init__(
        self, account: TwilioAccount, *, writer: LetterWriter, timeout: float = 15.0
    ) -> None:
        self._account = account
        self._writer = writer
        self._calls = HttpCalls(timeout=timeout)
        login = b64encode(f"{account.sid}:{account.token}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    @property
    def name(self) -> str:
        return ChannelName.SMS.value

    def address_of(self, job: Job) -> str | None:
        return job.recipient.phone if job.recipient else None

    def compose(self, job: Job, address: str) -> Message:
        if not _NUMBER.fullmatch(address):
            raise Unsendable("not a usable telephone number")
        text = self._writer.letter(job).short
        metrics.SMS_PARTS.inc(parts_of(text))
        return Message(str(job.id), address, text.encode(), maybe_sent_since=job.unknown_since)

    def line(self) -> AbstractAsyncContextManager[Send]:
        return always_open(self._send)

    async def close(self) -> None:
        await self._calls.close()

    async def _send(self, message: Message) -> Outcome:
        try:
            if message.maybe_sent_since is not None:
                earlier = await self._earlier(message, message.maybe_sent_since)
                if earlier is not None:
                    return earlier
            answer = await self._call("POST", data=self._form(message))
        except Lost as lost:
            return lost.outcome()
        return _outcome(answer)

    def _form(self, message: Message) -> dict[str, str]:
        sender = self._account.sender
        by = "MessagingServiceSid" if sender.startswith("MG") else "From"
        return {
            "To": message.address,
            by: sender,
            "Body": message.content.decode(),
            "StatusCallback": f"{self._writer.origin}{CALLBACK_PATH}?notification={message.id}",
        }

    async def _earlier(self, message: Message, since: datetime) -> Outcome | None:
        """The attempt of which nobody knew how it had ended; None when Twilio never got it."""
        wanted = {"To": message.address, "PageSize": str(_MOST_LISTED)}
        try:
            answer = await self._call("GET", params=wanted)
        except Lost as lost:
            return Outcome(DeliveryStatus.DEFERRED, str(lost))
        if answer.status != 200 or not isinstance(answer.body, dict):
            return Outcome(DeliveryStatus.DEFERRED, _words(answer), retry_after=answer.retry_after)
        for each in answer.body.get("messages", []):
            if each.get("body") == message.content.decode() and _created(each) >= since:
                return Outcome(DeliveryStatus.SENT, "had arrived before", each.get("sid"))
        return None

    async def _call(self, method: str, **given: Any) -> HttpAnswer:
        return await self._calls.call(
            method, self._account.messages_url, headers=self._headers, **given
        )


def _outcome(answer: HttpAnswer) -> Outcome:
    status = answer.status
    words = _words(answer)
    if 200 <= status < 300:
        sid = answer.body.get("sid") if isinstance(answer.body, dict) else None
        return Outcome(DeliveryStatus.SENT, words, sid)
    # 401 and 403 speak of our account: mended, the message can go.
    if status in (401, 403, 408, 429, 503):
        return Outcome(DeliveryStatus.DEFERRED, words, retry_after=answer.retry_after)
    if status >= 500:
        return Outcome(DeliveryStatus.UNKNOWN, words, retry_after=answer.retry_after)
    return Outcome(DeliveryStatus.REFUSED, words)


def _words(answer: HttpAnswer) -> str:
    """Codes only: Twilio's sentences repeat the number."""
    code = answer.body.get("code") if isinstance(answer.body, dict) else None
    return f"{answer.status} {code}" if isinstance(code, int) else str(answer.status)


def _created(message: dict[str, Any]) -> datetime:
    """With what clocks may differ by; the beginning of time for what has none."""
    try:
        return parsedate_to_datetime(message["date_created"]) + _CLOCKS_DIFFER
    except (KeyError, TypeError, ValueError):
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")
