"""Whether the inbox can be written, asked so that a database that hangs cannot keep the asker."""

import asyncio
from time import monotonic

from shared.database_trouble import is_passing
from shared.db import Database
from shared.messaging import inbox

_WAIT = 0.3
_PATIENCE = 1.0


class DatabaseLiveness:
    """A question that gets no answer goes on in the background, and is the next answer's chance.

    The driver itself cannot be hurried: to give up a query it waits for the server once more.
    """

    def __init__(self, database: Database, consumer: str) -> None:
        self._database = database
        self._consumer = consumer
        self._question: asyncio.Task[bool] | None = None
        self._asked_at = 0.0
        self._given_up: set[asyncio.Task[bool]] = set()

    async def ask(self) -> bool:
        """Takes 0.3 s at most."""
        if self._question is not None and monotonic() - self._asked_at > _PATIENCE:
            # Perhaps only its connection is dead.
            self._given_up.add(self._question)
            self._question.add_done_callback(self._given_up.discard)
            self._question.cancel()
            self._question = None
        if self._question is None:
            self._question = asyncio.create_task(self._note_nothing())
            self._asked_at = monotonic()
        question = self._question
        done, _ = await asyncio.wait({question}, timeout=_WAIT)
        if not done:
            return False
        self._question = None
        return question.result()

    async def _note_nothing(self) -> bool:
        """Also spares the first message the time to connect and to learn the parameters' types."""
        try:
            async with self._database.reading() as connection:
                await inbox.remember(connection, self._consumer, [])
        except Exception as error:
            if not is_passing(error):
                raise
            return False
        return True
