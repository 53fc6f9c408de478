"""Push messages by Firebase Cloud Messaging (HTTP v1)."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from notifications.channels import Message, Send, Unsendable
from notifications.channels.google_access import GoogleAccess, NoAccess, ServiceAccount
from notifications.channels.http import HttpAnswer, HttpCalls, Lost, always_open
from notifications.domain.job import DeliveryStatus, Job, Outcome
from notifications.domain.news import ChannelName
from notifications.letters import LetterWriter

_MOST_BYTES = 4096
_GONE = "UNREGISTERED"


@dataclass(frozen=True, slots=True)
class _Sent:
    """How it went with one device."""

    token: str
    status: DeliveryStatus
    words: str
    is_dead: bool = False
    retry_after: timedelta = timedelta()


class PushChannel:
    """To all devices of a person; one that shows it is enough. A second copy on a device replaces
    the first, because both have the job's id as their tag."""

    def __init__(
        self,
        account: ServiceAccount,
        *,
        url: str,
        writer: LetterWriter,
        timeout: float = 15.0,
    ) -> None:
        self._url = f"{url}/v1/projects/{account.project_id}/messages:send"
        self._writer = writer
        self._calls = HttpCalls(timeout=timeout)
        self._access = GoogleAccess(account, self._calls)

    @property
    def name(self) -> str:
        return ChannelName.PUSH.value

    def address_of(self, job: Job) -> str | None:
        """All devices, one token a line."""
        return "\n".join(job.recipient.devices) or None if job.recipient else None

    def compose(self, job: Job, address: str) -> Message:
        letter = self._writer.letter(job)
        id_ = str(job.id)
        data = {"notificationId": id_, "kind": job.kind, "link": letter.link}
        if job.appointment_id:
            data["appointmentId"] = str(job.appointment_id)
        content = orjson.dumps(
            {
                "notification": {"title": letter.subject, "body": letter.when or ""},
                "data": data,
                "android": {"collapse_key": id_, "notification": {"tag": id_}},
                "apns": {"headers": {"apns-collapse-id": id_}},
                "webpush": {"notification": {"tag": id_}},
            }
        )
        if len(content) > _MOST_BYTES:
            raise Unsendable("too long for a push message")
        return Message(id_, address, content)

    def line(self) -> AbstractAsyncContextManager[Send]:
        return always_open(self._send)

    async def close(self) -> None:
        await self._calls.close()

    async def _send(self, message: Message) -> Outcome:
        try:
            bearer = await self._access.token()
        except Lost as lost:
            return Outcome(DeliveryStatus.DEFERRED, str(lost))
        except NoAccess as refused:
            return Outcome(DeliveryStatus.DEFERRED, f"no access: {refused}")
        content = orjson.loads(message.content)
        devices = message.address.split("\n")
        sent = await asyncio.gather(*(self._to(each, content, bearer) for each in devices))
        return _together(sent)

    async def _to(self, device: str, content: dict[str, Any], bearer: str) -> _Sent:
        try:
            answer = await self._calls.call(
                "POST",
                self._url,
                json={"message": content | {"token": device}},
                headers={"Authorization": f"Bearer {bearer}"},
            )
        except Lost as lost:
            outcome = lost.outcome()
            return _Sent(device, outcome.status, outcome.response)
        if answer.status == 401:
            self._access.forget()
        return _judged(device, answer)


def _judged(device: str, answer: HttpAnswer) -> _Sent:
    status, code = answer.status, _code(answer)
    words = f"{status} {code}".strip()
    if status == 200:
        return _Sent(device, DeliveryStatus.SENT, words)
    if status == 404 or code == _GONE:
        return _Sent(device, DeliveryStatus.REFUSED, words, is_dead=True)
    if status in (401, 403, 429) or status >= 500:
        return _Sent(device, DeliveryStatus.DEFERRED, words, retry_after=answer.retry_after)
    return _Sent(device, DeliveryStatus.REFUSED, words)


def _code(answer: HttpAnswer) -> str:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    if not isinstance(error, dict):
        return ""
    for detail in error.get("details", []):
        if isinstance(detail, dict) and isinstance(detail.get("errorCode"), str):
            return str(detail["errorCode"])[:40]
    return str(error.get("status", ""))[:40]


_BEST_FIRST = (
    DeliveryStatus.SENT,
    DeliveryStatus.DEFERRED,
    DeliveryStatus.UNKNOWN,
    DeliveryStatus.REFUSED,
)


def _together(sent: list[_Sent]) -> Outcome:
    best = min(sent, key=lambda each: _BEST_FIRST.index(each.status))
    return Outcome(
        best.status,
        best.words,
        retry_after=max(each.retry_after for each in sent),
        dead_devices=tuple(each.token for each in sent if each.is_dead),
    )
