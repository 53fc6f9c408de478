"""Subscriptions at the double, and the messages it sends, loses, repeats and mixes up."""

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.http import AsyncClient, HTTPError, Response

from . import views
from .mailbox import Calendar, Event, Json, Mailbox

SHORTEST, LONGEST = timedelta(minutes=45), timedelta(minutes=10_080)
_HANDSHAKE_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_TRIES = 4


@dataclass
class Subscription:
    id: str
    mailbox: Mailbox
    calendar_id: str
    url: str
    lifecycle_url: str | None
    client_state: str
    expires_at: datetime
    needs_authorization: bool = False

    def shown(self) -> Json:
        return {
            "id": self.id,
            "resource": f"/me/calendars/{self.calendar_id}/events",
            "changeType": "created,updated,deleted",
            "notificationUrl": self.url,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": views.instant(self.expires_at),
        }


class BadSubscription(Exception):
    """Its text is the message of Graph's 400."""


class Subscriptions:
    """Messages wait until ``deliver``; ``lost`` is the share that is never sent."""

    def __init__(self, client: AsyncClient | None, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._waiting: list[tuple[Subscription, Json]] = []
        self.all: dict[str, Subscription] = {}
        self.sent: list[tuple[str, Json]] = []
        """Everything delivered, by address, to be replayed."""
        self.lost = 0.0
        self.repeats = 1
        self.chance = random.Random(7)
        self.answers: list[int] = []

    async def create(self, mailbox: Mailbox, body: Json) -> Subscription:
        """Raises BadSubscription, KeyError."""
        calendar_id = body["resource"].strip("/").split("/")[2]
        if calendar_id not in mailbox.calendars:
            raise BadSubscription("The specified object was not found in the store.")
        if len(body.get("clientState", "")) > 128:
            raise BadSubscription("clientState is longer than 128 characters.")
        lifecycle = body.get("lifecycleNotificationUrl")
        for url in filter(None, [body["notificationUrl"], lifecycle]):
            if not url.startswith("https://"):
                raise BadSubscription("Subscription notification URL must use HTTPS.")
            await self._shake_hands(url)
        subscription = Subscription(
            secrets.token_hex(16),
            mailbox,
            calendar_id,
            body["notificationUrl"],
            lifecycle,
            body.get("clientState", ""),
            self.expiry(body),
        )
        self.all[subscription.id] = subscription
        return subscription

    def expiry(self, body: Json) -> datetime:
        wanted = datetime.fromisoformat(body["expirationDateTime"])
        if wanted > self._now() + LONGEST:
            raise BadSubscription("Subscription expiration can only be 10080 minutes in the future")
        if wanted < self._now():
            raise BadSubscription("Subscription expiration is in the past.")
        return max(wanted, self._now() + SHORTEST)

    def live(self) -> list[Subscription]:
        """Expired ones are deleted, and nobody is told."""
        now = self._now()
        self.all = {id_: each for id_, each in self.all.items() if each.expires_at > now}
        return list(self.all.values())

    def note(self, mailbox: Mailbox, calendar: Calendar, event: Event, how: str) -> None:
        """One action of a person is several messages."""
        for each in self.live():
            is_its = each.mailbox is mailbox and each.calendar_id == calendar.id
            if is_its and not each.needs_authorization:
                kinds = ["created", "updated"] if how == "created" else [how]
                self._waiting += [(each, self._message(each, event, kind)) for kind in kinds]

    def lifecycle(self, subscription: Subscription, event: str) -> None:
        """``reauthorizationRequired``, ``subscriptionRemoved`` or ``missed``."""
        if event == "subscriptionRemoved":
            self.all.pop(subscription.id, None)
        subscription.needs_authorization = event == "reauthorizationRequired"
        self._waiting.append((subscription, self._head(subscription) | {"lifecycleEvent": event}))

    async def deliver(self) -> None:
        """Everything that waits, several in one POST, in any order."""
        waiting, self._waiting = self._waiting, []
        kept = [each for each in waiting if self.chance.random() >= self.lost]
        kept *= self.repeats
        self.chance.shuffle(kept)
        batches: dict[str, list[Json]] = {}
        for subscription, message in kept:
            is_lifecycle = "lifecycleEvent" in message
            url = subscription.lifecycle_url if is_lifecycle else subscription.url
            batches.setdefault(url or "", []).append(message)
        for url, messages in batches.items():
            if url:
                await self._post(url, {"value": messages})

    async def replay(self) -> None:
        """What somebody does who has listened."""
        for url, body in list(self.sent):
            await self._send(url, body)

    async def _post(self, url: str, body: Json) -> None:
        self.sent.append((url, body))
        for _ in range(_TRIES):
            answer = await self._send(url, body)
            if answer is not None and answer.is_success:
                return

    async def _send(self, url: str, body: Json) -> Response | None:
        assert self._client is not None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._client.post(url, json=body)
        except (TimeoutError, HTTPError):
            return None
        self.answers.append(answer.status_code)
        return answer

    async def _shake_hands(self, url: str) -> None:
        assert self._client is not None
        token = f"Validation: Testing client application reachability: {secrets.token_hex(8)}"
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                answer = await self._client.post(
                    url, params={"validationToken": token}, headers={"Content-Type": "text/plain"}
                )
        except (TimeoutError, HTTPError):
            raise BadSubscription("Subscription validation request timed out.") from None
        media_type = answer.headers.get("content-type", "").split(";")[0]
        if (answer.status_code, media_type, answer.text) != (200, "text/plain", token):
            raise BadSubscription("Subscription validation request failed.")

    def _message(self, subscription: Subscription, event: Event, how: str) -> Json:
        resource = f"Users/{subscription.mailbox.id}/Events/{event.id}"
        return self._head(subscription) | {
            "id": secrets.token_hex(8),
            "changeType": how,
            "resource": resource,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": resource,
                "@odata.etag": event.etag,
                "id": event.id,
            },
        }

    def _head(self, subscription: Subscription) -> Json:
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": views.instant(subscription.expires_at),
            "clientState": subscription.client_state,
            "tenantId": "a-tenant",
        }
