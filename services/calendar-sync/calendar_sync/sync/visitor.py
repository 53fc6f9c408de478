"""The worker's loop of visits: many accounts at once, each by one worker at a time."""

import asyncio
from datetime import timedelta

from calendar_sync.sync.lease import Lease, claim
from calendar_sync.sync.visit import Visits
from shared.database_trouble import DatabaseError
from shared.db import Database
from shared.observability import logger, story
from shared.worker import Timer

EVERY = timedelta(milliseconds=250)


class Visitor:
    """Visits whoever is due; a slow account keeps nobody waiting but itself."""

    def __init__(self, database: Database, visits: Visits, most: int) -> None:
        self._database = database
        self._visits = visits
        self._most = most
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; then visits under way are broken off, and others take them up."""
        try:
            await Timer("calendar visits", EVERY, self.tick).run()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def tick(self) -> bool:
        """Begin as many visits as there is room for; never waits for one to end."""
        room = self._most - len(self._under_way)
        if room <= 0:
            return False
        leases = await claim(self._database, room)
        for lease in leases:
            task = asyncio.create_task(self._visit(lease))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return False

    async def _visit(self, lease: Lease) -> None:
        try:
            with story("visit calendar", attributes={"medic.calendar.kind": lease.kind}):
                await self._visits.visit(lease)
        except (*DatabaseError, OSError) as error:
            # The lease ends by itself, and then the visit is made again.
            logger.warning("calendar_visit_not_kept", connection=str(lease.id), exc_info=error)

    async def idle(self) -> None:
        """Returns when no visit is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
