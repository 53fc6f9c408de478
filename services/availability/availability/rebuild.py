"""Makes the read models anew from nothing: ``python -m availability.rebuild``.

Forgets all claims, external busy times and imported exceptions, and lets the history of their
producers pass through the same handlers again. Meanwhile lists show too much time as free; what is
taken stays refused, because bookings has the last word. Needs AMQP_URL, and
AVAILABILITY_DATABASE_URL and the same of each producer.
"""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from shared.db import Connection, Database
from shared.environment import Environment
from shared.messaging.broker import BrokerUnavailable, NotTaken
from shared.messaging.publisher import Publisher
from shared.messaging.replay import republish, types_between
from shared.messaging.topology import LISTENERS

# Calendars first: with no appointment known yet, no old conflict is told as if it were new.
PRODUCERS = ("calendar-sync", "bookings")
_PATIENCE = 600.0

# In the consumer's turn, so that no message is half applied; whoever asks next asks again.
_FORGET = """
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock(hashtext('availability.claims'));
DELETE FROM claims;
DELETE FROM appointments;
DELETE FROM external_busy_times;
DELETE FROM external_busy_spans;
DELETE FROM calendar_sources;
DELETE FROM availability_exceptions WHERE import_id IS NOT NULL;
DELETE FROM calendar_imports;
UPDATE schedule_versions SET version = version + 1;
INSERT INTO schedule_changes (provider_id) SELECT provider_id FROM schedule_versions;
"""


async def forget(db: Connection) -> None:
    """Empty the read models."""
    await db.execute(_FORGET, timeout=_PATIENCE)


async def rebuild(
    target: Database,
    histories: Mapping[str, Database],
    publisher: Publisher,
    *,
    queue: str = "availability",
) -> int:
    """Empty the read models and send their history again; how many events are on their way."""
    async with target.transaction() as db:
        await forget(db)
    return sum(
        [
            await republish(
                producer=producer,
                history=history,
                consumer=queue,
                target=target,
                publisher=publisher,
                types=types_between(producer, "availability", LISTENERS),
            )
            for producer, history in histories.items()
        ]
    )


async def _run(environment: Mapping[str, str]) -> int:
    async with AsyncExitStack() as stack:

        async def opened(service: str) -> Database:
            url = environment[f"{service.upper().replace('-', '_')}_DATABASE_URL"]
            opening = Database.open(url, application_name="availability rebuild", pool_size=2)
            return await stack.enter_async_context(opening)

        publisher = await stack.enter_async_context(
            Publisher(environment["AMQP_URL"], name="availability rebuild")
        )
        target = await opened("availability")
        histories = {producer: await opened(producer) for producer in PRODUCERS}
        return await rebuild(target, histories, publisher)


def main() -> int:
    try:
        count = asyncio.run(_run(Environment()))
    except KeyError as missing:
        sys.stderr.write(f"{missing.args[0]} is not set\n")
        return 1
    except (BrokerUnavailable, NotTaken) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    sys.stdout.write(f"{count} events sent to availability\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
