"""The envelope of every message: CloudEvents 1.0, structured JSON.

``EventData`` is what a producer states; ``Event`` is the same as a consumer receives it.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class EventPart(BaseModel):
    """A piece of an event: camelCase on the wire, and unknown fields are read over.

    Fields are only ever added, so a consumer built yesterday reads what is sent tomorrow.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )


class EventData(EventPart, ABC):
    """A fact in the past tense, complete enough that nobody has to ask back."""

    type: ClassVar[str]
    source: ClassVar[str]

    @property
    @abstractmethod
    def subject(self) -> str:
        """The id of the thing the fact is about."""

    @property
    @abstractmethod
    def sequence(self) -> int:
        """The thing's version; a later fact about the same subject has a higher one."""


Data = TypeVar("Data", bound=EventData)


class Event(BaseModel, Generic[Data]):
    """One message on the broker."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    id: UUID
    type: str
    source: str
    subject: str
    sequence: int
    time: datetime
    traceparent: str | None = None
    data: Data


class Snapshot(EventData, ABC):
    """A whole thing as it is after a change; the newest snapshot is all one needs to know of it."""

    id: UUID
    version: int

    @property
    def subject(self) -> str:
        return str(self.id)

    @property
    def sequence(self) -> int:
        return self.version


class Deletion(Snapshot, ABC):
    """The thing is gone. Its version still counts up, so a late snapshot cannot revive it."""


def json_ready(data: EventData) -> dict[str, Any]:
    """The event's data as it goes onto the wire."""
    return data.model_dump(mode="json", by_alias=True)
