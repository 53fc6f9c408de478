"""Ways to reach people: each a small class that fits ``Channel``; one without settings is off."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifications.domain.job import Job, Outcome
from notifications.unsubscribing import UnsubscribeLink


class ChannelDown(Exception):
    """Nothing can be sent this way now, whoever it is for; says why, without addresses."""


class Unsendable(Exception):
    """This message can never be sent this way; says why, without addresses."""


@dataclass(frozen=True, slots=True)
class Message:
    """Ready to leave."""

    id: str
    """The same for every attempt of one job, so that a second copy can be recognised."""
    address: str
    content: bytes
    unsubscribe: UnsubscribeLink | None = None
    """The link in it, which must be known before it leaves."""
    maybe_sent_since: datetime | None = None
    """When an attempt began of which nobody knows whether it arrived."""


Send = Callable[[Message], Awaitable[Outcome]]


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def address_of(self, job: Job) -> str | None:
        """Where this channel reaches the job's recipient; None when it does not."""

    def compose(self, job: Job, address: str) -> Message:
        """What is sent for the job. Raises Unsendable."""

    def line(self) -> AbstractAsyncContextManager[Send]:
        """Ready to send at once, so that what takes long is over before the last look at the job.

        Raises ChannelDown on entering. ``Send`` raises nothing: how it ended is its answer.
        """

    async def close(self) -> None:
        """Let go of what is kept open between messages."""
