"""Requests are answered, processes come back, the broker is not missed, and looking is free."""

from tests.torture.check.evidence import Evidence, Json, quantile
from tests.torture.check.verdicts import Line

_SHARE = 0.95
_FIRST_ANSWER, _DATABASE_BACK = 3.0, 5.0
_FIRST_OUT, _DRAINED = 5.0, 500
"""Seconds until the way to the broker is open again, and events for each second after that."""
_MANY = 200
"""Events; with fewer the rate would say how long connecting takes, as after a broker's start."""
_SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")
_BOOKINGS = ("/v1/bookings", "/v1/appointments/", "/v1/reservations")


def lines(evidence: Evidence) -> list[Line]:
    return [
        _answered(evidence),
        _no_500(evidence),
        _processes(evidence),
        _database(evidence),
        _without_broker(evidence),
        _drained(evidence),
        _all_healed(evidence),
        _ended(evidence),
        _looking(evidence),
        _machine(evidence),
    ]


def _is_answered(request: Json) -> bool:
    return bool(0 < request["status"] < 500)


def _answered(evidence: Evidence) -> Line:
    requests = evidence.of("request")
    calm = [r for r in requests if evidence.is_calm(r["start"], r["end"])]
    good = sum(map(_is_answered, calm))
    share = good / len(calm) if calm else 1.0
    all_good = sum(map(_is_answered, requests))
    figure = f"{good} of {len(calm)} = {share:.2%}; in all {all_good} of {len(requests)}"
    against = [f"only {share:.2%} were answered"] if share < _SHARE else []
    return Line("requests: 95 % answered outside faults", figure, len(calm), against, is_speed=True)


def _no_500(evidence: Evidence) -> Line:
    against = [
        f"{r['method']} {r['path']} at {r['start']:.1f}: {r['answer']}"
        for r in evidence.of("request")
        if r["status"] == 500
    ]
    count = len(evidence.of("request"))
    return Line("requests: never a 500", f"{len(against)} of {count}", count, against)


def _processes(evidence: Evidence) -> Line:
    """From the process's own beginning, which its supervisor decides, to its first answer, less
    what it waited for a processor that somebody else had."""
    took, waited, against = [], [], []
    for fault in evidence.of("fault"):
        if fault.get("born") is None or not fault["target"].endswith(("-api", "-worker")):
            continue
        if _is_hindered(fault, evidence):
            continue
        seconds = fault["first_answer"] - fault["born"] - fault.get("starved", 0)
        waited.append(fault.get("starved", 0))
        took.append(seconds)
        if seconds > _FIRST_ANSWER:
            against.append(f"{fault['name']}: {seconds:.2f} s")
    figure = f"{len(took)} starts, p50 {quantile(took, 0.5):.2f} s, most {max(took, default=0):.2f}"
    figure += f" s (and {quantile(waited, 0.5):.1f} s without a processor)"
    return Line("recovery: first answer in 3 s", figure, len(took), against, is_speed=True)


def _is_hindered(started: Json, evidence: Evidence) -> bool:
    """Whether something that the process needs was broken, too, while it started."""
    service = started["target"].rpartition("-")[0]
    return any(
        fault is not started
        and fault["start"] < started["first_answer"]
        and started["born"] < fault["end"]
        and (
            fault["target"] in ("postgres", "rabbitmq", service)
            or fault["target"].startswith(started["target"])
        )
        for fault in evidence.of("fault")
    )


def _database(evidence: Evidence) -> Line:
    """From the database's first answer until every process is ready, where nothing else was broken
    then: a process that was killed itself would be waited for."""
    took, against = [], []
    faults = evidence.of("fault")
    for fault in faults:
        if fault["target"] != "postgres" or fault["type"] != "kill" or not fault["healed"]:
            continue
        back, ready = fault["first_answer"], fault["healed"]
        if any(f is not fault and f["start"] < ready and back < f["end"] for f in faults):
            continue
        took.append(ready - back)
        if ready > evidence.rested(back, _DATABASE_BACK):
            against.append(f"all ready {ready - back:.1f} s after the database")
    figure = f"{len(took)} times, most {max(took, default=0):.1f} s until all are ready"
    return Line("recovery: database back, ready in 5 s", figure, len(took), against, is_speed=True)


def _without_broker(evidence: Evidence) -> Line:
    """Nothing else was broken then, so bookings had no excuse."""
    faults = evidence.of("fault")
    others = [f for f in faults if f["target"] != "rabbitmq"]
    asked = good = 0
    for fault in faults:
        if fault["target"] != "rabbitmq":
            continue
        for request in evidence.of("request"):
            inside = fault["start"] <= request["start"] and request["end"] <= fault["over"]
            if not inside or not request["path"].startswith(_BOOKINGS):
                continue
            if any(f["start"] < request["end"] and request["start"] < f["end"] + 1 for f in others):
                continue
            asked += 1
            good += _is_answered(request)
    share = good / asked if asked else 1.0
    against = [f"only {good} of {asked}"] if share < _SHARE else []
    figure = f"{good} of {asked} requests to bookings answered without it"
    promise = "recovery: bookings go on without a broker"
    return Line(promise, figure, asked, against, is_speed=True)


def _drained(evidence: Evidence) -> Line:
    """How fast what had waited in all outboxes was out, from the moment the broker was back."""
    rows = [row for name in _SERVICES for row in evidence.rows(f"{name}.outbox")]
    waited, against = 0, []
    took, rates = [], []
    for fault in evidence.of("fault"):
        if fault["target"] != "rabbitmq" or not fault["healed"]:
            continue
        back = fault.get("first_answer", fault["over"])
        backlog = [
            row["published_at"]
            for row in rows
            if fault["start"] < row["occurred_at"] < back and (row["published_at"] or 0) > back
        ]
        if not backlog:
            continue
        seconds = max(backlog) - back
        waited += len(backlog)
        took.append(seconds)
        if fault["type"] == "outage" and len(backlog) >= _MANY:
            rates.append(len(backlog) / seconds)
        if max(backlog) > evidence.deadline(back, _FIRST_OUT + len(backlog) / _DRAINED):
            against.append(f"{fault['name']}: {len(backlog)} events took {seconds:.1f} s")
    figure = f"{len(took)} times, {waited} events had waited, out after p50 "
    figure += f"{quantile(took, 0.5):.1f} s, most {max(took, default=0):.1f} s"
    figure += f", {quantile(rates, 0.5):.0f}/s after outages with {_MANY}" if rates else ""
    return Line("recovery: the backlog drains", figure, len(took), against, is_speed=True)


def _machine(evidence: Evidence) -> Line:
    """No promise of ours: how much of the run says something about speed."""
    run = evidence.of("run")
    began, whole = (run[0]["start"], run[0]["seconds"]) if run else (0.0, 0.0)
    starved = sum(
        entry["end"] - entry["start"]
        for entry in evidence.of("starved")
        if entry["start"] < began + whole
    )
    share = starved / whole if whole else 0.0
    return Line("machine: had time for it", f"but for {share:.0%} of the run", len(run))


def _all_healed(evidence: Evidence) -> Line:
    faults = evidence.of("fault")
    against = [f"{f['name']} at {f['start']:.0f}" for f in faults if not f["healed"]]
    lengths = [fault["end"] - fault["start"] for fault in faults]
    most = max(lengths, default=0)
    figure = f"{len(faults)} faults, p50 {quantile(lengths, 0.5):.1f} s, most {most:.1f} s"
    promise = "recovery: every fault heals by itself"
    return Line(promise, figure, len(faults), against, is_speed=True)


def _ended(evidence: Evidence) -> Line:
    """Outages are waited out; whoever is told to stop may be cut short on a slow machine."""
    told = [fault for fault in evidence.of("fault") if fault["type"] == "restart"]
    ends = evidence.rows("ends")
    against = [
        f"{end['name']} at {end['at']:.0f} with status {end['status']}"
        for end in ends
        if not any(
            fault["target"] == end["name"] and fault["start"] - 1 < end["at"] < fault["end"]
            for fault in told
        )
    ]
    figure = f"{len(against)} ends beside {len(evidence.of('fault'))} faults"
    promise = "recovery: no process ends by itself"
    return Line(promise, figure, int("ends" in evidence.state), against)


def _looking(evidence: Evidence) -> Line:
    looked = evidence.state.get("looked", {})
    before, after = looked.get("before", {}), looked.get("after", {})
    against = [
        f"{name}: {before.get(name)} before, {after.get(name)} after"
        for name in sorted(set(before) | set(after))
        if before.get(name) != after.get(name)
    ]
    count = looked.get("requests", 0)
    return Line(
        "GET: changes nothing", f"{count} requests, {len(against)} tables changed", count, against
    )
