"""What notifications tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

from notifications.domain.news import ChannelName
from shared.due_work import DueWork

DELIVERIES = Counter(
    "notification_deliveries_total",
    "Attempts by how they ended: sent, deferred, refused or unknown.",
    ["channel", "kind", "status"],
)
LATE = Histogram(
    "notification_late_seconds",
    "From when a job was due until a sender took it.",
    ["channel"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
CHANNEL_ON = Gauge(
    "notification_channel_on", "1 when the channel has its settings, 0 when it is off.", ["channel"]
)
CHANNEL_DOWN = Counter(
    "notification_channel_down_total", "How often a channel did not answer.", ["channel"]
)
SMS_PARTS = Counter("notification_sms_parts_total", "Parts of composed SMS, which are paid for.")

_JOBS = """
    SELECT due_at FROM notification_jobs
    WHERE status = 'queued' AND due_at <= now() AND {which} ORDER BY due_at
"""

# Of a channel that is off jobs wait until they are of no use, and CHANNEL_ON says so.
DUE: DueWork = {
    **{name.value: _JOBS.format(which=f"channel = '{name.value}'") for name in ChannelName},
    "reminders": _JOBS.format(which="kind = 'reminder'"),
    "webhooks": """
        SELECT due_at FROM webhook_deliveries
        WHERE status = 'queued' AND due_at <= now() ORDER BY due_at
    """,
}
