"""The facts and findings as one screen, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from shared.status.facts import Copy, DatabaseState, Facts, QueueState
from shared.status.judging import Finding, level_age, plural, span

_WIDTHS = (23, 8, 8, 8, 14, 8, 8, 8, 8, 8)
_HEAD = ("", "api", "worker", "schema", "outbox", "queue", "retry", "parked", "level", "late")
_AWAY = "?"
_MEGABYTE = 1_000_000


def shown(facts: Facts, findings: Sequence[Finding]) -> str:
    """For a terminal of 100 columns."""
    at = datetime.fromtimestamp(facts.now, UTC)
    lines = [f"Seen at {at:%Y-%m-%d %H:%M:%S} UTC", "", _row(_HEAD)]
    lines += [_row(_of_service(facts, service)) for service in facts.services]
    lines += [
        _row((name, "", "", "", "", *_of_queue(queue), _level(facts, name), ""))
        for name, queue in (facts.queues or {}).items()
        if name not in facts.services
    ]
    lines += ["", _servers(facts), _calendars(facts), ""]
    if not findings:
        return "\n".join([*lines, "Nothing is wrong.", ""])
    lines.append(f"{plural(len(findings), 'thing')} {'is' if len(findings) == 1 else 'are'} wrong:")
    for number, finding in enumerate(findings, start=1):
        lines.append(f"  {number}. {finding.what}")
        lines.append(f"     -> {finding.todo}  (docs/runbook.md#{finding.runbook})")
    return "\n".join([*lines, ""])


def as_json(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """For programs: what is shown, without its form."""
    return {
        "at": datetime.fromtimestamp(facts.now, UTC).isoformat(),
        "ok": not findings,
        "findings": [asdict(finding) for finding in findings],
        "processes": [
            {"name": copy.name, "alive": copy.ready is not None, "ready": copy.ready}
            for copy in facts.copies
        ],
        "databases": {
            service: state and asdict(state) for service, state in facts.databases.items()
        },
        "broker": facts.queues is not None,
        "queues": {
            name: asdict(queue) | {"levelAgeSeconds": level_age(facts, name)}
            for name, queue in (facts.queues or {}).items()
        },
        "gateway": facts.gateway,
    }


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _of_service(facts: Facts, service: str) -> tuple[str, ...]:
    state = facts.databases[service]
    queue = facts.queues.get(service) if facts.queues is not None else None
    late = facts.each(f"{service}-worker", "work_due_oldest_seconds", "work", max)
    return (
        service,
        _copies(facts.copies_of(f"{service}-api"), needs=("database",)),
        _copies(facts.copies_of(f"{service}-worker"), needs=("database", "broker")),
        _schema(state),
        _outbox(state),
        *_of_queue(queue),
        _level(facts, service),
        span(max(late.values())) if late else "-",
    )


def _copies(copies: Sequence[Copy], needs: Sequence[str]) -> str:
    """``ok``, ``down``, ``waits``; with several copies how many of them are ready."""
    ready = [
        copy for copy in copies if copy.ready and all(copy.ready.get(need, True) for need in needs)
    ]
    if len(copies) > 1:
        return f"{len(ready)} of {len(copies)}"
    if ready:
        return "ok"
    return "down" if all(copy.ready is None for copy in copies) else "waits"


def _schema(state: DatabaseState | None) -> str:
    return _AWAY if state is None else state.revision or "none"


def _outbox(state: DatabaseState | None) -> str:
    if state is None:
        return _AWAY
    return f"{state.waiting}, {span(state.oldest)}" if state.waiting else "0"


def _of_queue(queue: QueueState | None) -> tuple[str, str, str]:
    if queue is None:
        return (_AWAY, _AWAY, _AWAY)
    ready = "none" if queue.ready is None else str(queue.ready)
    return (ready, str(queue.retrying), str(queue.parked))


def _level(facts: Facts, queue: str) -> str:
    age = level_age(facts, queue)
    return "-" if age is None else span(age)


def _servers(facts: Facts) -> str:
    states: Mapping[str, bool | None] = {
        "gateway": facts.gateway,
        "broker": facts.queues is not None,
        "databases": all(state is not None for state in facts.databases.values()),
    }
    words = {True: "ok", False: "DOWN", None: "not asked"}
    largest = max(
        (
            value
            for copy in facts.copies
            for (name, _), value in copy.samples.items()
            if name == "process_resident_memory_bytes"
        ),
        default=0.0,
    )
    parts = [f"{name} {words[state]}" for name, state in states.items()]
    return " · ".join([*parts, f"largest process {largest / _MEGABYTE:.0f} MB"])


def _calendars(facts: Facts) -> str:
    worker = "calendar-sync-worker"
    states = facts.each(worker, "calendar_connections", "state", sum)
    if not states:
        return "calendars: unknown while calendar-sync-worker does not answer"
    copies = max(len([c for c in facts.copies_of(worker) if c.ready is not None]), 1)
    counts = {state: round(count / copies) for state, count in states.items()}
    connected, broken = counts.get("connected", 0), counts.get("broken", 0)
    if not connected and not broken:
        return "calendars: none connected"
    read = facts.each(worker, "calendar_oldest_read_timestamp_seconds", "kind", max)
    age = span(max(facts.now - min(read.values()), 0)) if read else "-"
    return (
        f"calendars: {connected} connected, read {age} ago at the latest · "
        f"{broken} broken, which only their providers can mend"
    )
