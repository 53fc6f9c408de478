"""The tables of the notifications database. What they refuse, no code can get past."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.db import new_metadata

metadata = new_metadata()
Instant = DateTime(timezone=True)

# Read models: how to reach people, and where each appointment stands. An erased person stays,
# empty, with the version of the erasure.

contacts = Table(
    "contacts",
    metadata,
    Column("party", Text, primary_key=True),
    Column("person_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("language", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("by_email", Boolean, nullable=False, server_default=text("true")),
    Column("by_sms", Boolean, nullable=False, server_default=text("true")),
    Column("by_push", Boolean, nullable=False, server_default=text("true")),
    Column("is_erased", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("party IN ('patient', 'provider')", name="party_known"),
    CheckConstraint(
        "NOT is_erased OR (name IS NULL AND email IS NULL AND phone IS NULL)",
        name="erased_is_empty",
    ),
)

appointments = Table(
    "appointments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("patient_id", Uuid),
    Column("provider_id", Uuid),
    Column("ends_at", Instant),
    Column("facts", JSONB),
    Index("appointments_patient_id_ends_at_idx", "patient_id", "ends_at"),
    Index("appointments_provider_id_ends_at_idx", "provider_id", "ends_at"),
)

calendar_connections = Table(
    "calendar_connections",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_broken", Boolean, nullable=False),
)

# What people and providers have set; without a row the defaults of the code hold.

notification_preferences = Table(
    "notification_preferences",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("data", JSONB, nullable=False),
    Column("updated_at", Instant, nullable=False, server_default=func.now()),
)

notification_schedules = Table(
    "notification_schedules",
    metadata,
    Column("provider_id", Uuid, primary_key=True),
    Column("service_id", Uuid, primary_key=True),
    Column("lines", JSONB, nullable=False),
    Column("updated_at", Instant, nullable=False, server_default=func.now()),
)

unsubscribe_links = Table(
    "unsubscribe_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("category", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Index("unsubscribe_links_user_id_idx", "user_id"),
)

push_devices = Table(
    "push_devices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("token", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    UniqueConstraint("token", name="push_devices_token_key"),
    CheckConstraint("platform IN ('android', 'ios', 'web')", name="platform_known"),
    Index("push_devices_user_id_created_at_idx", "user_id", "created_at"),
)

in_app_notifications = Table(
    "in_app_notifications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("appointment_id", Uuid),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("read_at", Instant),
    Index("in_app_notifications_user_id_created_at_id_idx", "user_id", "created_at", "id"),
    Index("in_app_notifications_unread_idx", "user_id", postgresql_where=text("read_at IS NULL")),
    Index("in_app_notifications_created_at_idx", "created_at"),
)

# What is to be said, and every attempt to say it.

notification_jobs = Table(
    "notification_jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("dedupe_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("recipient_id", Uuid, nullable=False),
    # The job holds while the appointment has this status, and is withdrawn when it has another;
    # the version is then that one's. What is about no appointment has none of the three.
    Column("appointment_id", Uuid),
    Column("appointment_version", Integer),
    Column("appointment_status", Text),
    Column("payload", JSONB, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("waits_for_contact", Boolean, nullable=False, server_default=text("false")),
    Column("locked_by", Uuid),
    Column("locked_until", Instant),
    Column("last_error", Text),
    Column("traceparent", Text),
    # Channels to try when ``channel`` does not reach the recipient, in this order.
    Column("fallback", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("ended_at", Instant),
    UniqueConstraint("dedupe_key", name="notification_jobs_dedupe_key_key"),
    CheckConstraint("party IN ('patient', 'provider')", name="party_known"),
    CheckConstraint(
        "status IN ('queued', 'sending', 'sent', 'failed', 'withdrawn')", name="status_known"
    ),
    CheckConstraint(
        "(status = 'sending') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)",
        name="sending_is_leased",
    ),
    CheckConstraint(
        "(status IN ('sent', 'failed', 'withdrawn')) = (ended_at IS NOT NULL)",
        name="ended_has_instant",
    ),
    Index("notification_jobs_due_at_idx", "due_at", postgresql_where=text("status = 'queued'")),
    Index(
        "notification_jobs_expires_at_idx",
        "expires_at",
        postgresql_where=text("status = 'queued'"),
    ),
    Index(
        "notification_jobs_locked_until_idx",
        "locked_until",
        postgresql_where=text("status = 'sending'"),
    ),
    Index("notification_jobs_appointment_id_idx", "appointment_id"),
    Index(
        "notification_jobs_ended_at_idx",
        "ended_at",
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    Index(
        "notification_jobs_recipient_id_idx",
        "recipient_id",
        postgresql_where=text("status = 'queued'"),
    ),
)

notification_deliveries = Table(
    "notification_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", ForeignKey("notification_jobs.id"), nullable=False),
    Column("recipient_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'sending'")),
    Column("response", Text),
    # The next system's own id of the message, and how far that system says it has come.
    Column("provider_id", Text),
    Column("receipt", Text),
    Column("started_at", Instant, nullable=False, server_default=func.now()),
    Column("finished_at", Instant),
    UniqueConstraint("job_id", "attempt", name="notification_deliveries_job_id_attempt_key"),
    CheckConstraint(
        "status IN ('sending', 'sent', 'deferred', 'refused', 'unknown')", name="status_known"
    ),
    CheckConstraint("(status = 'sending') = (finished_at IS NULL)", name="finished_has_instant"),
    CheckConstraint(
        "receipt IN ('accepted', 'sent', 'delivered', 'undelivered')", name="receipt_known"
    ),
    Index(
        "notification_deliveries_recipient_id_started_at_id_idx",
        "recipient_id",
        "started_at",
        "id",
    ),
)
