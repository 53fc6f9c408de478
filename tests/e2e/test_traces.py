"""What an operator can follow through all processes, and what no line and no span tells him.

The last file of the journeys, so that it looks through what all of them have written.
"""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.testing.spans import Collector, Seen, SeenSpan
from tests.e2e.system import Caller, Json, System, until

PATIENTS = Path(__file__).parents[2] / "deploy" / "local" / "patients.json"
MAIL = "send email"


def a_trace_that_is_taken() -> str:
    """One in a million is, by the lower half of its id."""
    return f"{secrets.token_hex(8)}{secrets.randbelow(10**12) + 1:016x}"


async def test_one_booking_is_one_trace_from_the_gateway_to_the_mail(
    system: System, collector: Collector, patient: Callable[[int], Caller]
) -> None:
    caller, provider = patient(4), system.demo["providers"][0]
    trace_id, span_id = a_trace_that_is_taken(), secrets.token_hex(8)
    asked = {"traceparent": f"00-{trace_id}-{span_id}-00", "baggage": "who=untold-1"}

    token, appointment = await booked(caller, provider, asked)
    seen = await until(lambda: all_of(collector, trace_id), "two mails in the trace")

    reserve, confirm = seen.one("POST /v1/reservations"), seen.one("POST /v1/bookings")
    assert (reserve.parent_id, confirm.parent_id) == (span_id, span_id)
    [hold] = [s for s in seen.spans if s.service == "bookings" and reserve in seen.above(s)[1:2]]
    assert (hold.kind, [each.name for each in seen.above(hold)]) == (
        "server",
        ["POST bookings", "POST /v1/reservations"],
    )
    assert {"availability", "reservations"} <= {span.service for span in seen.spans}
    for mail in seen.named(MAIL):
        line = [mail, *seen.above(mail)]
        assert [(each.service, each.name) for each in line] == [
            ("notifications-worker", MAIL),
            ("notifications-worker", "notify email"),
            ("notifications-worker", "process booking.confirmed"),
            ("bookings-worker", "send booking.confirmed"),
            ("bookings", "POST /v1/bookings"),
        ]
        assert line[-1] == confirm
        assert mail.attributes == {"medic.delivery.status": "sent"}
    assert any(is_statement(span, confirm) for span in seen.spans)
    untold = personal(system) | {token, "untold", "a cough that nobody", caller.token}
    assert not [each for each in untold if each in collector.seen.told()]
    assert appointment["status"] == "confirmed"


async def booked(caller: Caller, provider: Json, asked: dict[str, str]) -> tuple[str, Json]:
    service = provider["services"][0]
    slot = (await caller.timeslots(provider, service))[-5]
    wanted = {
        "providerId": provider["id"],
        "serviceId": service["id"],
        "timeslotId": slot["id"],
    }
    reserved = await caller.call("POST", "/v1/reservations", wanted, headers=asked)
    assert reserved.status_code == 201, reserved.text
    token = reserved.json()["reservationToken"]
    body = {"reservationToken": token, "reason": "a cough that nobody else should know of"}
    confirmed = await caller.call("POST", "/v1/bookings", body, headers=asked)
    assert confirmed.status_code == 201, confirmed.text
    return token, confirmed.json()


async def all_of(collector: Collector, trace_id: str) -> Seen | None:
    """The trace once all has come that the test looks at: processes send every two seconds."""
    seen = collector.seen.of_trace(trace_id)
    ends = [*seen.named(MAIL), *seen.named("notify email")]
    wanted = {"POST /v1/bookings", "POST /v1/reservations", "send booking.confirmed"}
    wanted |= {"process booking.confirmed", "COMMIT"}
    services = {span.service for span in seen.spans}
    is_whole = (
        len(ends) == 4
        and wanted <= {span.name for span in seen.spans}
        and {"availability", "bookings", "reservations"} <= services
    )
    return seen if is_whole else None


def is_statement(span: SeenSpan, above: SeenSpan) -> bool:
    return span.parent_id == above.span_id and span.attributes.get("db.system.name") is not None


def personal(system: System) -> set[str]:
    """Of everybody who was there: names, addresses, numbers, access tokens."""
    people = json.loads(PATIENTS.read_text())
    known = {each[kind] for each in people for kind in ("name", "email", "phone")}
    everybody = system.demo["patients"] + system.demo["providers"]
    return known | {each["token"] for each in everybody}


def test_log_lines_of_the_whole_run_name_nobody(system: System) -> None:
    untold = personal(system) | {"feeling better", "a cough that nobody"}
    untold |= {str(mail["To"]) for mail in system.mails()}

    lines = [
        (file, line)
        for file in logs_of_services(system)
        for line in file.read_text("utf-8").splitlines()
    ]

    assert len(lines) > 100
    found = [(file.name, line) for file, line in lines if any(each in line for each in untold)]
    assert found == []


def test_log_lines_of_requests_and_messages_carry_their_ids(system: System) -> None:
    told: dict[str, int] = {}
    for file in logs_of_services(system):
        for line in file.read_text("utf-8").splitlines():
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] in ("request", "message_handled", "delivery"):
                told[entry["event"]] = told.get(entry["event"], 0) + 1
                assert len(entry["trace_id"]) == 32, entry
                assert len(entry["span_id"]) == 16, entry

    assert told.keys() == {"request", "message_handled", "delivery"}


def logs_of_services(system: System) -> list[Path]:
    files = [*system.logs.glob("*-api.log*"), *system.logs.glob("*-worker.log*")]
    assert len(files) >= 10
    return files
