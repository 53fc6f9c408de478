"""What is wrong, and what to do about it: from the facts alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.status.facts import Copy, Facts

LONGEST_LATE = 60.0
"""Seconds by which work, a view or a timer may be late; a restart takes fewer."""
LONGEST_UNREAD = 3600.0
"""Availability tells so, too, of a calendar that nobody has read for that long."""

KINDS = ("api", "worker")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and the command or step against it."""

    what: str
    todo: str
    runbook: str
    """An anchor in docs/runbook.md."""


@dataclass(frozen=True, slots=True)
class Commands:
    """How this operator calls what helps."""

    queues: str
    logs: str


WITH_MAKE = Commands('make queues ARGS="{}"', "make logs NAME={}")
WITH_MODULES = Commands("python -m shared.messaging.admin {}", "look at the log of {}")


def judge(facts: Facts, commands: Commands) -> list[Finding]:
    """The worst first; what only follows from it is left out."""
    return [
        *_gateway(facts),
        *_broker(facts),
        *_databases(facts),
        *_processes(facts, commands),
        *_relays(facts, commands),
        *_queues(facts, commands),
        *_timers(facts, commands),
        *_late_work(facts, commands),
        *_calendars(facts, commands),
    ]


def _gateway(facts: Facts) -> Iterator[Finding]:
    if facts.gateway is False:
        yield Finding(
            "the gateway does not answer; nobody reaches anything",
            "start it again; look at its log",
            "gateway-away",
        )


def _broker(facts: Facts) -> Iterator[Finding]:
    if facts.queues is not None:
        return
    known = [state for state in facts.databases.values() if state is not None]
    waiting = sum(state.waiting for state in known)
    oldest = max((state.oldest for state in known), default=0.0)
    behind = f"{waiting} events wait, oldest {span(oldest)}" if waiting else "no event waits yet"
    yield Finding(
        f"the broker cannot be reached; bookings go on; {behind}",
        "start RabbitMQ again; the outboxes drain by themselves",
        "broker-away",
    )


def _databases(facts: Facts) -> Iterator[Finding]:
    for service, state in facts.databases.items():
        if state is None:
            yield Finding(
                f"the database of {service} cannot be reached; {service} answers 503",
                "start PostgreSQL again; the processes find it by themselves",
                "database-away",
            )
        elif state.revision is None or (state.wanted and state.revision < state.wanted):
            yield Finding(
                f"the schema of {service} is at {state.revision}, {state.wanted} is the newest",
                "run its migrations: make migrate, or the migrations container",
                "schema-behind",
            )
        elif state.oldest > LONGEST_LATE and facts.queues is not None:
            yield Finding(
                f"{state.waiting} events of {service} wait, oldest {span(state.oldest)}",
                f"look at the log of {service}-worker for relay_waits or event_not_taken",
                "outbox-behind",
            )


def _processes(facts: Facts, commands: Commands) -> Iterator[Finding]:
    for copy in facts.copies:
        if copy.ready is None:
            yield Finding(
                f"{copy.name} does not answer{_meaning(copy.name)}",
                f"{commands.logs.format(copy.name)}; its supervisor starts it again",
                "process-down",
            )
            continue
        missing = [need for need, answers in copy.ready.items() if not answers]
        unexplained = [need for need in missing if not _is_known_away(facts, copy, need)]
        if unexplained and copy.name.endswith("-worker"):
            yield Finding(
                f"{copy.name} is not ready: {', '.join(unexplained)} does not answer it",
                commands.logs.format(copy.name),
                "process-down",
            )
        elif "database" in unexplained:
            yield Finding(
                f"{copy.name} is not ready: database does not answer it",
                commands.logs.format(copy.name),
                "process-down",
            )


def _meaning(name: str) -> str:
    service, _, kind = name.rpartition("-")
    if kind != "worker":
        return ""
    late = {
        "notifications": "nobody is sent anything",
        "calendar-sync": "calendars are neither read nor written",
        "availability": "what is taken still shows as free, and is refused when it is picked",
    }
    return f"; {late.get(service, 'what it does is late')}"


def _is_known_away(facts: Facts, copy: Copy, need: str) -> bool:
    if need == "broker":
        return facts.queues is None
    return facts.databases.get(copy.name.rpartition("-")[0], True) is None


def _relays(facts: Facts, commands: Commands) -> Iterator[Finding]:
    for service in facts.services:
        worker = f"{service}-worker"
        alive = [copy for copy in facts.copies_of(worker) if copy.ready is not None]
        active = facts.values(worker, "outbox_relay_active", "")
        state = facts.databases.get(service)
        if alive and state is not None and state.waiting and not any(active.get("", [0])):
            yield Finding(
                f"no relay of {service} is active; its events are not told",
                commands.logs.format(worker),
                "outbox-behind",
            )


def _queues(facts: Facts, commands: Commands) -> Iterator[Finding]:
    for name, queue in (facts.queues or {}).items():
        if queue.ready is None:
            yield Finding(
                f"the queue {name} does not exist",
                "start a worker: each makes all queues",
                "queue-behind",
            )
        if queue.parked:
            yield Finding(
                f"{plural(queue.parked, 'message')} parked in {name}: {'; '.join(queue.reasons)}",
                f"{commands.queues.format(f'show {name}')}, mend the cause, then "
                f"{commands.queues.format(f'replay {name} --all')}",
                "parked-messages",
            )
        behind = level_age(facts, name)
        if queue.ready and behind is not None and behind > LONGEST_LATE:
            yield Finding(
                f"{plural(queue.ready, 'message')} in {name}, not level for {span(behind)}",
                f"{commands.logs.format(f'{service_of(facts, name)}-worker')}; "
                "more copies of the worker share the queue",
                "queue-behind",
            )


def service_of(facts: Facts, queue: str) -> str:
    """The service whose worker reads the queue: its own name, or the beginning of it."""
    return max((name for name in facts.services if queue.startswith(name)), key=len, default=queue)


def level_age(facts: Facts, queue: str) -> float | None:
    """Seconds since the queue was last seen empty by one of its consumers."""
    worker = f"{service_of(facts, queue)}-worker"
    seen = facts.each(worker, "queue_level_timestamp_seconds", "queue", max).get(queue)
    return None if not seen else max(facts.now - seen, 0.0)


def _timers(facts: Facts, commands: Commands) -> Iterator[Finding]:
    for service in facts.services:
        worker = f"{service}-worker"
        if facts.databases.get(service) is None:
            continue  # timers wait for it
        started = facts.values(worker, "process_start_time_seconds", "").get("", [facts.now])
        every = facts.each(worker, "timer_interval_seconds", "timer", max)
        last = facts.each(worker, "timer_last_success_timestamp_seconds", "timer", max)
        for timer, interval in every.items():
            age = facts.now - last.get(timer, min(started))
            if age > 2 * interval + LONGEST_LATE:
                yield Finding(
                    f"the timer “{timer}” of {service} has not run for {span(age)}",
                    commands.logs.format(worker),
                    "timer-stopped",
                )


def _late_work(facts: Facts, commands: Commands) -> Iterator[Finding]:
    for service in facts.services:
        worker = f"{service}-worker"
        late = facts.each(worker, "work_due_oldest_seconds", "work", max)
        waiting = facts.each(worker, "work_due", "work", max)
        for work, oldest in late.items():
            if oldest > LONGEST_LATE:
                yield Finding(
                    f"{work} of {service}: {waiting.get(work, 0):.0f} late, "
                    f"the oldest by {span(oldest)}",
                    commands.logs.format(worker),
                    "work-late",
                )


def _calendars(facts: Facts, commands: Commands) -> Iterator[Finding]:
    oldest = facts.each(
        "calendar-sync-worker", "calendar_oldest_read_timestamp_seconds", "kind", max
    )
    for kind, at in oldest.items():
        if facts.now - at > LONGEST_UNREAD:
            yield Finding(
                f"a {kind} calendar has not been read for {span(facts.now - at)}; "
                "its provider's times are not offered",
                f"{commands.logs.format('calendar-sync-worker')} for calendar_unreachable",
                "calendars-stale",
            )


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """``43 s``, ``12 min``, ``5 h``, ``3 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
