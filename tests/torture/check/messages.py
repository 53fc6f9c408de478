"""Nothing committed stays unpublished, nothing is made up, and every listener has all of it."""

from collections import Counter
from typing import Any

from shared.messaging.topology import LISTENERS
from tests.torture.check.evidence import Evidence
from tests.torture.check.poison import is_poison
from tests.torture.check.verdicts import Line

_SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")


def lines(evidence: Evidence) -> list[Line]:
    return [
        _published(evidence),
        _taken_in(evidence),
        _invented(evidence),
        _parked(evidence),
        _read_models(evidence),
        _told(evidence),
        _forward(evidence),
    ]


def _events(evidence: Evidence) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for name in _SERVICES for row in evidence.rows(f"{name}.outbox")}


def _published(evidence: Evidence) -> Line:
    rows = _events(evidence).values()
    against = [
        f"{row['type']} {row['subject']} of {row['occurred_at']:.1f}"
        for row in rows
        if row["published_at"] is None
    ]
    figure = f"{len(rows)} events, {len(against)} unpublished"
    return Line("messages: all committed is published", figure, len(rows), against)


def _taken_in(evidence: Evidence) -> Line:
    events = _events(evidence)
    against, count = [], 0
    for consumer, types in LISTENERS.items():
        had = {row["event_id"] for row in evidence.rows("inbox") if row["consumer"] == consumer}
        wanted = {id_ for id_, row in events.items() if row["type"] in types}
        count += len(wanted)
        against += [
            f"{consumer} has not had {events[id_]['type']} {events[id_]['subject']}"
            for id_ in wanted - had
        ]
    figure = f"{count} deliveries, {len(against)} missing"
    return Line("messages: every listener has had them", figure, count, against)


def _invented(evidence: Evidence) -> Line:
    """What was rolled back was never published; and each is in an inbox once."""
    events = _events(evidence)
    rows = evidence.rows("inbox")
    against = [
        f"{row['consumer']} has had {row['event_id']}, which nobody committed"
        for row in rows
        if row["event_id"] not in events
    ]
    had = Counter((row["consumer"], row["event_id"]) for row in rows)
    against += [f"{who} has had {what} twice" for (who, what), n in had.items() if n > 1]
    figure = f"{len(rows)} in the inboxes, {len(against)} unknown or twice"
    return Line("messages: nothing is made up or twice", figure, len(rows), against)


def _parked(evidence: Evidence) -> Line:
    """But for what somebody has published who is not of the platform."""
    against = [
        f"{queue}: {each['type']} {each['id']}: {each['reason']}"
        for queue, messages in evidence.state.get("parked", {}).items()
        for each in messages
        if not is_poison(each["id"])
    ]
    parked = len(against)
    waiting = evidence.state.get("waiting", {})
    against += [f"{count} still wait in {queue}" for queue, count in waiting.items() if count]
    figure = f"{parked} parked, {sum(waiting.values())} waiting"
    return Line("messages: none parked or stuck", figure, 1, against)


def _read_models(evidence: Evidence) -> Line:
    """Who remembers appointments knows each at its newest version; holds are not everybody's."""
    against, count = [], 0
    for table in ("notifications.appointments", "calendar-sync.entries"):
        known = {row["id"]: row for row in evidence.rows(table)}
        for id_, row in evidence.appointments.items():
            types = {change.type for change in evidence.changes.get(id_, [])}
            if types <= {"booking.held"}:
                continue
            if types <= {"booking.held", "booking.cancelled"} and id_ not in known:
                continue  # a hold that ended: whoever never heard of it need not remember it
            count += 1
            seen = known.get(id_)
            if seen is None or (seen["version"], seen["status"]) != (row["version"], row["status"]):
                said = f"{seen['status']} {seen['version']}" if seen else "nothing"
                against.append(
                    f"{table} says {said} of {id_}, {row['status']} {row['version']} is true"
                )
    for row in evidence.rows("reservations.reservations"):
        appointment = evidence.appointments.get(row["appointment_id"] or "")
        if row["status"] == "active" and appointment and appointment["status"] != "held":
            token_is_old = row["expires_at"] < evidence.state.get("taken_at", 0)
            if not token_is_old:
                against.append(
                    f"reservation {row['id']} is active, {appointment['status']} is true"
                )
    figure = f"{count} compared, {len(against)} differ"
    return Line("messages: read models equal the truth", figure, count, against)


def _forward(evidence: Evidence) -> Line:
    """While its history is sent again, a view goes through old news and does not believe them."""
    looks = evidence.of("versions")
    against = [f"{id_} went back at {e['start']:.1f}" for e in looks for id_ in e["back"]]
    figure = f"{len(looks)} looks, {len(against)} versions went back"
    return Line("messages: old never overwrites newer", figure, len(looks), against)


def _told(evidence: Evidence) -> Line:
    """Webhooks and streams bring every confirmation and its end, each at least once."""
    against, count = [], 0
    for kind in ("webhook", "stream"):
        seen = {(entry["event"], entry["appointment"]) for entry in evidence.of(kind)}
        for listening in evidence.of(f"{kind}s from"):
            for id_, changes in evidence.changes.items():
                if changes[0].data["providerId"] != listening["provider"]:
                    continue
                for change in changes:
                    if change.type == "booking.confirmed":
                        count += 1
                        if ("booking.confirmed", id_) not in seen:
                            against.append(f"no {kind} told of {id_}")
    figure = f"{count} confirmations, {len(against)} untold"
    return Line("messages: webhooks and streams tell all", figure, count, against)
