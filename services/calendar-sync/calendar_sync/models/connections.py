"""Connections to providers' own calendars: what is read from them and what is written to them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from calendar_sync.models.metadata import Base, Instant

connections = Table(
    "connections",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("account_hash", LargeBinary, nullable=False),
    Column("credentials", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("broken_because", Text),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("tentative_is_busy", Boolean, nullable=False, server_default="true"),
    Column("on_drift", Text, nullable=False, server_default="repair"),
    Column("removes_events", Boolean, nullable=False, server_default="false"),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("ended_at", Instant),
    Column("read_at", Instant),
    Column("told_at", Instant),
    Column("listed_at", Instant),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("last_error_at", Instant),
    Column("next_visit_at", Instant, nullable=False, server_default=text("now()")),
    Column("not_before", Instant),
    Column("nudges", Integer, nullable=False, server_default="0"),
    Column("lease_id", Uuid),
    Column("lease_until", Instant),
    UniqueConstraint("provider_id", "kind", "account_hash"),
    CheckConstraint("kind IN ('google', 'microsoft', 'caldav', 'ics')", name="kind_known"),
    CheckConstraint("state IN ('connected', 'broken', 'disconnecting')", name="state_known"),
    CheckConstraint("on_drift IN ('repair', 'leave')", name="on_drift_known"),
    CheckConstraint(
        "(state = 'broken') = (broken_because IS NOT NULL) OR state = 'disconnecting'",
        name="broken_has_reason",
    ),
    Index("connections_due_idx", "next_visit_at", postgresql_where=text("state <> 'broken'")),
)
"""``version`` counts the events told about it. Whoever holds the lease may talk to the account.

``account_hash`` stands for the account, so that none is connected twice; ``account`` and ``place``
are what its owner knows it by. ``nudges`` counts the wishes that it be visited at once, and
``not_before`` is the answer of a provider that wants to be left alone.
"""

calendars = Table(
    "calendars",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("connection_id", ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("timezone", Text),
    Column("is_writable", Boolean, nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("is_busy", Boolean, nullable=False),
    Column("is_target", Boolean, nullable=False),
    Column("is_gone", Boolean, nullable=False, server_default="false"),
    Column("cursor", Text),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("window_starts_at", Instant),
    Column("window_ends_at", Instant),
    Column("read_at", Instant),
    UniqueConstraint("connection_id", "external_id"),
    Index("calendars_target_idx", "connection_id", unique=True, postgresql_where=text("is_target")),
)
"""``generation`` counts the full readings. Without a cursor the next reading is a full one."""

external_events = Table(
    "external_events",
    Base.metadata,
    Column("calendar_id", ForeignKey("calendars.id", ondelete="CASCADE"), primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("etag", Text),
    Column("generation", Integer, nullable=False),
    Column("problem", Text),
    Index(
        "external_events_with_problem_idx",
        "calendar_id",
        postgresql_where=text("problem IS NOT NULL"),
    ),
)
"""Every event that a calendar has, our own included; only others' have busy times.

One with a ``problem`` could not be read, and its busy times are those from before."""

external_busy_times = Table(
    "external_busy_times",
    Base.metadata,
    Column("calendar_id", Uuid, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("ends_at", Instant, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    ForeignKeyConstraint(
        ["calendar_id", "external_id"],
        ["external_events.calendar_id", "external_events.external_id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("ends_at > starts_at", name="end_after_start"),
    Index(None, "connection_id", "starts_at"),
)

busy_spans = Table(
    "busy_spans",
    Base.metadata,
    Column("connection_id", ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("told_hash", LargeBinary),
    Column("is_changed", Boolean, nullable=False),
)
"""The months that have been told of, by a digest of what was told, or are to be told of."""

written_events = Table(
    "written_events",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("connection_id", ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("calendar_id", ForeignKey("calendars.id", ondelete="CASCADE"), nullable=False),
    Column("appointment_id", Uuid, nullable=False),
    Column("is_retired", Boolean, nullable=False, server_default="false"),
    Column("handled_version", Integer),
    Column("try_at", Instant),
    Column("attempted_at", Instant),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("failure_told", Boolean, nullable=False, server_default="false"),
    Column("external_id", Text),
    Column("etag", Text),
    Column("written_hash", LargeBinary),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    Column("written_at", Instant),
    Column("drift", Text),
    Column("drift_at", Instant),
    Column("repairs", Integer, nullable=False, server_default="0"),
    CheckConstraint("drift IN ('changed', 'deleted')", name="drift_known"),
    Index(
        "written_events_of_appointment_idx",
        "appointment_id",
        "calendar_id",
        unique=True,
        postgresql_where=text("NOT is_retired"),
    ),
    Index(None, "connection_id"),
    Index(None, "calendar_id", "external_id"),
)
"""An appointment's event in a calendar. ``id`` is its key for life, while appointments that are
moved hand it on. There is something to do while ``handled_version`` is not the appointment's.
``attempted_at`` says that it may be there although nobody has seen the answer; ``external_id`` to
``written_at`` are as it was last written. A retired one has to go."""

push_channels = Table(
    "push_channels",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("calendar_id", ForeignKey("calendars.id", ondelete="CASCADE"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("external_id", Text),
    Column("expires_at", Instant, nullable=False),
    Column("asked_at", Instant, nullable=False, server_default=text("now()")),
    Index(None, "calendar_id"),
)
"""Written before it is opened, deleted after it is stopped: nobody else keeps a list of them.

``external_id`` is only known after an answer. ``asked_at`` is when the provider was last asked for
it or for more time."""

consents = Table(
    "consents",
    Base.metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("started_by", Uuid, nullable=False),
    Column("connection_id", Uuid),
    Column("verifier", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    CheckConstraint("kind IN ('google', 'microsoft')", name="kind_known"),
    Index(None, "expires_at"),
)
"""OAuth journeys that have begun. ``state`` is good once: whoever comes back with it deletes its
row. ``verifier`` (PKCE) is encrypted; ``connection_id`` is the broken one that is to be mended."""
