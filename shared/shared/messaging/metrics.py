"""What messaging tells Prometheus. Queue names and known event types are the only labels."""

from collections.abc import Collection

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("outbox_published_total", "Events confirmed by the broker.", ["type"])
UNROUTED = Counter(
    "outbox_unrouted_total",
    "Events that nobody listens to.",
    ["type"],
)
BACKLOG = Gauge("outbox_backlog", "Events committed and not yet published.")
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest event that is not yet published.")
ACTIVE = Gauge("outbox_relay_active", "1 in the process whose relay publishes, 0 in the others.")

HANDLED = Counter(
    "messages_handled_total", "Messages whose effect is committed.", ["queue", "type"]
)
DUPLICATES = Counter("messages_duplicate_total", "Messages that had no second effect.", ["queue"])
RETRIED = Counter("messages_retried_total", "Failures that wait for a retry.", ["queue", "type"])
PARKED = Counter("messages_parked_total", "Messages put aside for an operator.", ["queue", "type"])
LAG = Histogram(
    "message_lag_seconds",
    "From the event's transaction to the end of its handling.",
    ["queue"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
DEPTH = Gauge("queue_depth", "Messages that wait in the service's main queue.", ["queue"])
RETRYING = Gauge("queue_retrying", "Messages that wait for their next attempt.", ["queue"])
PARKED_NOW = Gauge("queue_parked", "Messages that are parked.", ["queue"])
LEVEL = Gauge(
    "queue_level_timestamp_seconds",
    "Unix time at which this consumer has last seen its queue empty.",
    ["queue"],
)


def begin(queue: str, types: Collection[str]) -> None:
    """What has not happened yet has happened no times: without that, a rate misses the first."""
    DUPLICATES.labels(queue)
    for event_type in types:
        for counter in (HANDLED, RETRIED, PARKED):
            counter.labels(queue, event_type)
