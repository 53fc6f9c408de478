"""The inbox that people find in the app, in our own database."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import orjson

from notifications.channels import Message, Send
from notifications.channels.http import always_open
from notifications.domain.job import DeliveryStatus, Job, Outcome
from notifications.domain.news import ChannelName
from notifications.letters import LetterWriter
from notifications.together import Together
from shared.database_trouble import DatabaseError
from shared.db import Database

_PUT = """
INSERT INTO in_app_notifications (id, user_id, kind, appointment_id, title, text, link)
SELECT id, user_id, kind, appointment_id, title, text, link
FROM jsonb_populate_recordset(NULL::in_app_notifications, $1)
ON CONFLICT (id) DO NOTHING
"""


class InAppChannel:
    """The job's id is the entry's, so a second attempt changes nothing."""

    def __init__(self, database: Database, *, writer: LetterWriter) -> None:
        self._database = database
        self._writer = writer
        self._put = Together(self._put_many)

    @property
    def name(self) -> str:
        return ChannelName.IN_APP.value

    def address_of(self, job: Job) -> str | None:
        return str(job.recipient_id)

    def compose(self, job: Job, address: str) -> Message:
        letter = self._writer.letter(job)
        when = f"\n{letter.when}" if letter.when else ""
        row = {
            "id": str(job.id),
            "user_id": address,
            "kind": job.kind,
            "appointment_id": job.appointment_id and str(job.appointment_id),
            "title": letter.subject,
            "text": f"{letter.lead}{when}",
            "link": letter.link,
        }
        return Message(str(job.id), address, orjson.dumps(row))

    def line(self) -> AbstractAsyncContextManager[Send]:
        return always_open(self._send)

    async def close(self) -> None:
        pass

    async def _send(self, message: Message) -> Outcome:
        try:
            await self._put(message.content)
        except (*DatabaseError, OSError) as error:
            return Outcome(DeliveryStatus.DEFERRED, type(error).__name__)
        return Outcome(DeliveryStatus.SENT, "in the inbox")

    async def _put_many(self, rows: Sequence[bytes]) -> list[None]:
        async with self._database.autocommit() as db:
            await db.execute(_PUT, [orjson.Fragment(row) for row in rows])
        return [None for _ in rows]
