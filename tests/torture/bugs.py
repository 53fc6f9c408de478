"""Bugs to plant, each as edits of the source and the promise that must be seen broken.

Some windows are milliseconds wide. A short run finds a bug in them by chance only, so the plant
holds them open for a moment (``sleep``); what is wrong stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """``old`` stands in the file exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    name: str
    edits: Sequence[Edit]
    found_by: Sequence[str]
    """Beginnings of the promises of which one must be broken."""
    only: str = ""
    """Faults that bring it out."""
    seconds: float = 45.0
    period: float = 4.0
    seed: int = 1


_BOOKINGS, _AVAILABILITY = "services/bookings/", "services/availability/availability/"
_LEDGER = f"{_BOOKINGS}bookings/ledger/"
_SYNC = "services/calendar-sync/calendar_sync/sync/"
_SOON = "{} = timedelta(seconds=8)"
"""A visit that was killed is made again while the run lasts."""
_RESERVATIONS = "services/reservations/reservations/"
_MESSAGING = "shared/shared/messaging/"

BUGS: Sequence[Bug] = (
    Bug(
        "exclusion-constraint-dropped",
        [
            Edit(
                f"{_BOOKINGS}migrations/versions/0001_appointments_and_claims.py",
                """REFERENCES appointments (id),
    CONSTRAINT claims_no_overlap EXCLUDE USING gist (resource_id WITH =, period WITH &&)
""",
                """REFERENCES appointments (id)
""",
            )
        ],
        ["claims: none ever overlap", "stampede: exactly", "claims: capacity"],
    ),
    Bug(
        "hold-expiry-not-checked",
        [
            Edit(
                f"{_BOOKINGS}bookings/domain/decisions.py",
                "over = hold.hold_expires_at is None or now >= hold.hold_expires_at",
                "over = hold.hold_expires_at is None",
            ),
            Edit(
                f"{_LEDGER}appointments.py", "      AND hold_expires_at > now()\n    FOR", "    FOR"
            ),
        ],
        ["holds: confirmed before"],
        seconds=75,
        only="calendar-sync",
        period=8,
    ),
    Bug(
        "cancel-keeps-the-claim",
        [
            Edit(
                f"{_LEDGER}appointments.py",
                "DELETE FROM claims USING changed WHERE appointment_id = changed.id AND NOT $4",
                "DELETE FROM claims USING changed WHERE appointment_id = changed.id AND NOT $4\n"
                "      AND $1::jsonb ->> 'cancellation_cause' <> 'patient'",
            )
        ],
        ["claims: exist exactly", "claims: every slot_taken", "availability: exact"],
    ),
    Bug(
        "answer-stored-after-the-effect",
        [
            Edit(
                "shared/shared/idempotency/once.py",
                "                answer = self._answer(made, headers)\n"
                "                await _keep_first(fetching(db), key, answer)\n",
                "                answer = self._answer(made, headers)\n"
                "            await asyncio.sleep(3)\n"
                "            async with transaction() as db:\n"
                "                await _keep_first(fetching(db), key, answer)\n",
            ),
            Edit(
                "shared/shared/idempotency/once.py",
                "from collections.abc import Awaitable",
                "import asyncio\nfrom collections.abc import Awaitable",
            ),
        ],
        ["retries: one effect", "retries: same key"],
        only="kill bookings-api",
        seconds=75,
        period=6,
    ),
    Bug(
        "relay-marks-before-the-broker-confirms",
        [
            Edit(
                f"{_MESSAGING}relay.py",
                "        outcomes = await self._publisher.publish_all(",
                '        await connection.execute(_MARK, [row["position"] for row in rows])\n'
                "        outcomes = await self._publisher.publish_all(",
            )
        ],
        ["messages: every listener", "availability: exact", "messages: read models"],
        only="rabbitmq",
    ),
    Bug(
        "consumer-acknowledges-before-its-commit",
        [
            Edit(
                f"{_MESSAGING}consumer.py",
                "        if len(readable) > 1:\n",
                "        if readable:\n"
                "            await acknowledge(channel, readable[-1][0], everything_before=True)\n"
                "        if len(readable) > 1:\n",
            ),
            Edit(
                f"{_MESSAGING}deliveries.py",
                "        await channel.basic_ack(delivery.tag, multiple=everything_before)",
                '        acked = vars(channel).setdefault("acked_by_tag", _AllAcked())\n'
                "        if delivery.tag not in acked:\n"
                "            acked.add(delivery.tag)\n"
                "            await channel.basic_ack(delivery.tag, multiple=everything_before)",
            ),
            Edit(
                f"{_MESSAGING}deliveries.py",
                "class Deliveries",
                "class _AllAcked(set[int]):\n"
                '    """What comes before the newest is acknowledged with it."""\n\n'
                "    def __contains__(self, tag: object) -> bool:\n"
                "        return bool(self) and isinstance(tag, int) and tag <= max(self)\n\n\n"
                "class Deliveries",
            ),
            Edit(
                f"{_MESSAGING}handling.py",
                "            fresh = await inbox.remember(connection, self._consumer, events)\n",
                "            fresh = await inbox.remember(connection, self._consumer, events)\n"
                "            await asyncio.sleep(0.05)\n",
            ),
        ],
        ["messages: every listener", "availability: exact", "messages: read models"],
        only="kill postgres,-worker",
    ),
    Bug(
        "inbox-not-written",
        [
            Edit(
                f"{_MESSAGING}inbox.py",
                '    return {row["event_id"] for row in rows}\n',
                "    await forget(connection, consumer, [event.id for event in events])\n"
                '    return {event.id for event in events} or {row["event_id"] for row in rows}\n',
            )
        ],
        ["messages: every listener"],
        seconds=30,
    ),
    Bug(
        "old-version-overwrites-the-newer",
        [
            Edit(
                f"{_AVAILABILITY}consumers.py",
                "WHERE appointments.version < excluded.version\n",
                "WHERE appointments.version <> excluded.version\n",
            )
        ],
        ["messages: old never", "availability: exact"],
        seconds=60,
    ),
    Bug(
        "reminders-not-withdrawn",
        [
            Edit(
                "services/notifications/notifications/jobs/planning.py",
                "    WHERE appointment_id = ANY($3::uuid[]) AND status = 'queued'\n",
                "    WHERE appointment_id = ANY($3::uuid[]) AND status = 'queued'\n"
                "        AND kind <> 'reminder'\n",
            )
        ],
        ["notifications: reminders"],
        seconds=30,
    ),
    Bug(
        "no-audit-entry-for-a-released-hold",
        [
            Edit(
                f"{_LEDGER}trail.py",
                "    WHERE EXISTS (SELECT FROM changed)\n), announced",
                "    WHERE EXISTS (SELECT FROM changed) AND action <> 'hold_released'\n"
                "), announced",
            )
        ],
        ["audit: one entry", "audit: the chain"],
        seconds=30,
    ),
    Bug(
        "reschedule-gives-up-the-old-first",
        [
            Edit(
                f"{_BOOKINGS}bookings/use_cases/moves.py",
                "    # Before anything is claimed: an earlier",
                '    await db.execute("COMMIT")\n'
                '    await db.execute("BEGIN")\n'
                "    await asyncio.sleep(2)\n"
                "    # Before anything is claimed: an earlier",
            ),
            Edit(
                f"{_BOOKINGS}bookings/use_cases/moves.py",
                "from dataclasses import replace\n",
                "import asyncio\nfrom dataclasses import replace\n",
            ),
        ],
        ["reschedule: exactly one"],
        only="kill bookings-api",
        seconds=60,
        period=6,
    ),
    Bug(
        "calendar-event-written-twice-after-a-crash",
        [
            Edit(
                f"{_SYNC}writing.py",
                "our_event(due.id, entry, self.host)",
                "our_event(due.id if due.written_at else new_id(), entry, self.host)",
            ),
            Edit(
                f"{_SYNC}writing.py",
                "        is_repair = due.drift is not None\n",
                "        await asyncio.sleep(3)\n        is_repair = due.drift is not None\n",
            ),
            Edit(
                f"{_SYNC}writing.py",
                "import hashlib\n",
                "import asyncio\nimport hashlib\n",
            ),
            Edit(f"{_SYNC}writing.py", "_IN_TIME = timedelta(minutes=2)", _SOON.format("_IN_TIME")),
            Edit(f"{_SYNC}lease.py", "LEASE = timedelta(minutes=2)", _SOON.format("LEASE")),
        ],
        ["calendar: one event"],
        only="kill calendar-sync-worker,sever calendar-sync",
        seconds=60,
        period=6,
    ),
    Bug(
        "patients-own-time-not-claimed",
        [
            Edit(
                f"{_BOOKINGS}migrations/versions/0001_appointments_and_claims.py",
                """REFERENCES appointments (id),
    CONSTRAINT patient_claims_no_overlap EXCLUDE USING gist (patient_id WITH =, period WITH &&)
""",
                """REFERENCES appointments (id)
""",
            )
        ],
        ["claims: nobody is in two places", "claims: of two places"],
    ),
    Bug(
        "poison-thrown-away",
        [
            Edit(
                f"{_MESSAGING}consumer.py",
                "            await self._aside.put("
                'channel, delivery, "unreadable", str(error), for_good=True)\n',
                "            await acknowledge(channel, delivery)\n",
            )
        ],
        ["messages: poison is parked"],
        seconds=30,
    ),
    Bug(
        "text-sent-again-without-asking",
        [
            Edit(
                "services/notifications/notifications/channels/sms.py",
                "            if message.maybe_sent_since is not None:\n",
                "            if message.maybe_sent_since is not None and not message.id:\n",
            )
        ],
        ["notifications: each SMS"],
        only="notifications-worker",
        seconds=75,
    ),
    Bug(
        "time-told-by-the-process",
        [
            Edit(
                f"{_RESERVATIONS}routes.py",
                "        server_time=reservation.now,\n        appointment_id",
                "        server_time=datetime.now(UTC),\n        appointment_id",
            ),
            Edit(
                f"{_RESERVATIONS}routes.py",
                "from typing import Annotated\n",
                "from datetime import UTC, datetime\nfrom typing import Annotated\n",
            ),
        ],
        ["clocks: only"],
        only="clock reservations-api",
        seconds=30,
    ),
    Bug(
        "broker-outage-ends-the-worker",
        [Edit(f"{_MESSAGING}broker.py", "EOFError, StopAsyncIteration)", "EOFError)")],
        ["recovery: no process ends"],
        only="kill rabbitmq",
        period=20,
    ),
)
