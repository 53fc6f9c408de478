"""Whether an API does what its own OpenAPI document says, tried with thousands of odd requests."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from shared.fields import instant_text
from shared.fields.times import FIRST_YEAR, LAST_YEAR, zone_names

_EARLIEST, _LATEST = datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31)  # noqa: DTZ001


def broken_promises(
    app: FastAPI,
    *,
    headers: Mapping[str, str] | None = None,
    examples: int = 20,
    seed: int = 1,
    unjudged: Collection[str] = (),
) -> list[str]:
    """What schemathesis found, each with a request that shows it; at best nothing.

    Starts the app's lifespan and ends it again. Valid input may still be refused, because rules
    between fields are no part of a schema; everything else is a fault, except what schemathesis'
    checks named in ``unjudged`` would call one.
    """
    _teach_formats()
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": dict(headers or {}),
            "generation": {"max-examples": examples, "database": "none"},
            "checks": {
                check: {"enabled": False} for check in ("positive_data_acceptance", *unjudged)
            },
        }
    )
    try:
        schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
        return [fault for event in from_schema(schema).execute() for fault in _faults(event)]
    finally:
        shutdown_lifespans()


def _faults(event: Any) -> list[str]:
    if isinstance(event, events.NonFatalError | events.FatalError):
        return [repr(event)]
    if not isinstance(event, events.ScenarioFinished):
        return []
    return [
        f"{event.recorder.label}: {check.failure_info.failure.title}: "
        f"{check.failure_info.failure.message}\n{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None
    ]


def _teach_formats() -> None:
    """Without these, nearly every request would stop at a date of the year 3490."""
    instants = st.datetimes(_EARLIEST, _LATEST, timezones=st.just(UTC)).map(instant_text)
    days = st.dates(_EARLIEST.date(), _LATEST.date()).map(str)
    known = {
        "date-time": instants,
        "date": days,
        "iana-time-zone": st.sampled_from(sorted(zone_names())),
        "iso-4217": st.sampled_from(["EUR", "USD", "GBP"]),
        "phone": st.sampled_from(["+302101234567", "+44 7911 123456"]),
        "email": st.sampled_from(["anna@example.com", "άννα@example.com"]),
    }
    for name, strategy in known.items():
        schemathesis.openapi.format(name, strategy)
