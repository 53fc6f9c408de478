"""Faults happen to the stand, each for a bounded time, and it is seen when their target is back."""

import asyncio
import signal
from typing import Any, cast

import aiohttp

from local.links import Mode
from tests.torture.history import History, now
from tests.torture.plan import Fault
from tests.torture.stand import PROCESSES, SERVERS, Stand

HEALED_LIMIT = 180.0
"""Seconds after which what has not come back counts as not coming back."""
_WRONG = 90
"""Seconds."""
MOST_AT_ONCE = 3
"""Faults that have not healed yet: with more of them a slow machine would never recover."""


async def carry_out(
    plan: list[Fault],
    stand: Stand,
    session: aiohttp.ClientSession,
    history: History,
    *,
    until: float,
) -> None:
    """The plan, each fault at its time, or when there is room for it; all are over at the end."""
    began = now()
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def happen(fault: Fault) -> None:
        try:
            await _happen(fault, stand, session, history)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for fault in plan:
            await asyncio.sleep(max(0.0, began + fault.at - now()))
            await room.acquire()
            if now() > until:
                break
            group.create_task(happen(fault))


async def _happen(
    fault: Fault, stand: Stand, session: aiohttp.ClientSession, history: History
) -> None:
    start = now()
    more: dict[str, Any] = {"type": fault.kind, "target": fault.target, "seconds": fault.seconds}
    match fault.kind:
        case "kill" | "restart":
            before = stand.system.pid_of(fault.target)
            stand.signal(fault.target, signal.SIGKILL if fault.kind == "kill" else signal.SIGTERM)
            more |= await _comes_back(fault.target, before, stand, session)
        case "pause":
            stand.signal(fault.target, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            stand.signal(fault.target, signal.SIGCONT)
        case "outage":
            await stand.turn_all(fault.target, "refuse")
            await asyncio.sleep(fault.seconds)
            await stand.turn_all(fault.target, "pass")
        case "clock":
            # Ahead or behind, by as much as access tokens may be made by other clocks.
            shift = _WRONG if round(100 * fault.seconds) % 2 else -_WRONG
            stand.shift(fault.target, shift)
            await asyncio.sleep(fault.seconds)
            stand.shift(fault.target, 0)
            more["shift"] = shift
        case "sever":
            await _suppressing(stand.sever(fault.target))
        case _:
            await stand.turn(fault.target, cast(Mode, fault.kind))
            if fault.kind != "reset":
                await asyncio.sleep(fault.seconds)
                await stand.turn(fault.target, "pass")
    over = now()
    healed = await _until(_touched(fault), stand, session, HEALED_LIMIT)
    history.fault(fault.name, start=start, end=healed or now(), over=over, healed=healed, **more)


def _touched(fault: Fault) -> list[str]:
    """Whoever must be well again before the fault counts as healed."""
    name = fault.target.split()[0]
    if name in SERVERS:
        return [name, *PROCESSES]
    if fault.kind == "sever":
        return [f"{name}-api", f"{name}-worker"]
    return [name]


async def _comes_back(
    name: str, before: int, stand: Stand, session: aiohttp.ClientSession
) -> dict[str, Any]:
    """When the next process of this program began, and when it first answered."""
    deadline = now() + HEALED_LIMIT
    while now() < deadline:
        if stand.system.pid_of(name) != before:
            break
        await asyncio.sleep(0.05)
    born = stand.born_at(name)
    if name in PROCESSES:
        while not await stand.lives(session, name) and now() < deadline:
            await asyncio.sleep(0.05)
            born = stand.born_at(name) or born
    else:
        await _until([name], stand, session, HEALED_LIMIT)
    return {"born": born, "first_answer": now(), "starved": stand.starved(name)}


async def _until(
    names: list[str], stand: Stand, session: aiohttp.ClientSession, limit: float
) -> float | None:
    """The moment when each of them has been seen ready; None when one is not.

    Not all at once: the next fault may have come to one while another was still waited for.
    """
    deadline = now() + limit
    missing = set(names)
    while now() < deadline:
        asked = sorted(missing)
        ready = await asyncio.gather(*(stand.is_ready(session, name) for name in asked))
        missing -= {name for name, is_ready in zip(asked, ready, strict=True) if is_ready}
        if not missing:
            return now()
        await asyncio.sleep(0.15)
    return None


async def _suppressing(work: Any) -> None:
    """The database may be away itself at this moment; then there is nothing to sever."""
    try:
        await work
    except Exception:  # noqa: BLE001 - whatever it is, the fault has just not happened
        return
