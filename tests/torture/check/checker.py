"""All promises, in the order of the table."""

import json
from pathlib import Path

from tests.torture import history
from tests.torture.check import (
    calendars,
    claims,
    clocks,
    holds,
    letters,
    messages,
    moves,
    poison,
    retries,
    service,
    texts,
    trail,
    views,
)
from tests.torture.check.evidence import Evidence
from tests.torture.check.verdicts import Line

HISTORY, STATE = "history.jsonl", "state.json"


def check(evidence: Evidence) -> list[Line]:
    """A line for each promise of the platform."""
    parts = (
        *(claims, holds, moves, retries, trail, messages, poison, views, letters, texts, calendars),
        *(clocks, service),
    )
    return [line for part in parts for line in part.lines(evidence)]


def evidence_in(folder: Path) -> Evidence:
    """What a run has left in its folder."""
    state = json.loads((folder / STATE).read_text())
    return Evidence(history.read(folder / HISTORY), state)
