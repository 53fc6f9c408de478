"""What operators see of the running system: its metrics, and its status."""

import json
import subprocess
import sys
from collections.abc import Callable
from uuid import uuid4

import aio_pika

from observability.tests.expressions import faults
from observability.tests.metrics_in_code import declared
from shared.http import AsyncClient
from shared.status.looking import samples_of
from tests.e2e.system import CHECKOUT, Caller, System, environment, until


def settings_of(system: System) -> dict[str, str]:
    """The running system's own, as `make status` reads them."""
    lines = (system.folder / "env").read_text().splitlines()
    pairs = [line.removeprefix("export ").split("=", 1) for line in lines]
    return environment() | {name: value.strip("'") for name, value in pairs}


def status(system: System) -> tuple[int, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "shared.status", "--json"],
        env=settings_of(system),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def discard(system: System, id_: str) -> None:
    """Throw away what is parked in bookings."""
    subprocess.run(
        [sys.executable, "-m", "shared.messaging.admin", "discard", "bookings", "--id", id_],
        env=settings_of(system),
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        timeout=60,
    )


async def all_is_well(system: System) -> bool:
    return status(system)[0] == 0


async def metrics_of_all(system: System, client: AsyncClient) -> dict[str, set[str]]:
    """Every metric that a process shows, with the labels that its samples have by now."""
    known: dict[str, set[str]] = {}
    shown: set[str] = set()
    for entry in settings_of(system)["PROCESSES"].split():
        text = (await client.get(entry.split("=", 1)[1] + "/metrics")).text
        for name, labels in samples_of(text):
            known.setdefault(name, set()).update(label for label, _ in labels)
        shown |= {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    # A metric that is there and has nothing to count yet has its labels in the code only.
    for name, labels in declared().items():
        family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        if name not in known and (name in shown or family in shown):
            known[name] = labels
    return known


async def test_rules_and_dashboards_ask_for_what_processes_show(
    system: System, client: AsyncClient, patient: Callable[[int], Caller]
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    [slot, *_] = await patient(3).timeslots(provider, service, days=40)
    reserved = await patient(3).reserve(provider, service, slot)
    body = {"reservationToken": reserved.json()["reservationToken"]}
    booked = await patient(3).insist("POST", "/v1/bookings", body)
    cancelled = await patient(3).insist(
        "POST", f"/v1/appointments/{booked.json()['id']}/cancel", {}
    )
    assert (booked.status_code, cancelled.status_code) == (201, 200)

    known = await metrics_of_all(system, client)

    assert faults(known) == []
    del known["booking_changes_total"]
    assert any("there is no booking_changes_total" in fault for fault in faults(known))


async def test_metrics_name_nobody(system: System, client: AsyncClient) -> None:
    people = [*system.demo["patients"], *system.demo["providers"]]

    for entry in settings_of(system)["PROCESSES"].split():
        text = (await client.get(entry.split("=", 1)[1] + "/metrics")).text
        for person in people:
            assert person["id"] not in text
            assert person["name"] not in text


async def test_a_system_that_is_well_has_no_findings(system: System) -> None:
    await until(lambda: all_is_well(system), "nothing is wrong", limit=90)

    _, seen = status(system)
    assert len(seen["processes"]) == 10
    assert all(process["alive"] for process in seen["processes"])
    assert {state["revision"] for state in seen["databases"].values()} <= {
        state["wanted"] for state in seen["databases"].values()
    }


async def test_a_parked_message_shows_with_its_reason_until_it_is_gone(system: System) -> None:
    await until(lambda: all_is_well(system), "nothing is wrong", limit=90)
    id_ = str(uuid4())
    connection = await aio_pika.connect(system.demo["amqpUrl"])
    async with connection:
        channel = await connection.channel()
        message = aio_pika.Message(b"{}", message_id=id_, type="provider.updated")
        await channel.default_exchange.publish(message, routing_key="bookings")

    async def is_told() -> list[str]:
        _, seen = status(system)
        return [each["what"] for each in seen["findings"] if "parked in bookings" in each["what"]]

    [what] = await until(is_told, "the parked message is told")
    assert "1 message parked in bookings: provider.updated: " in what

    discard(system, id_)
    await until(lambda: all_is_well(system), "nothing is wrong any more", limit=60)


async def test_a_broker_that_stands_still_and_a_process_that_is_deaf_are_told(
    system: System,
) -> None:
    await until(lambda: all_is_well(system), "nothing is wrong", limit=90)

    with system.frozen("rabbitmq", "notifications-api"):
        code, seen = status(system)

    found = [each["what"] for each in seen["findings"]]
    assert code == 1
    assert found[0].startswith("the broker cannot be reached; bookings go on; ")
    assert "notifications-api does not answer" in found
    await until(lambda: all_is_well(system), "nothing is wrong any more", limit=90)
