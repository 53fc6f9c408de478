"""Connections to providers' own calendars: what is read from them and what is written to them."""

from alembic import op

from shared.migrations import execute_script, step_by_step

revision = "0002"
down_revision = "0001"

ENTRIES = """
ALTER TABLE entries ADD COLUMN IF NOT EXISTS replaces uuid;
CREATE INDEX CONCURRENTLY entries_replaces_idx ON entries (replaces) WHERE replaces IS NOT NULL;
"""

TABLES = """
CREATE TABLE connections (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    place text NOT NULL,
    account_hash bytea NOT NULL,
    credentials text NOT NULL,
    state text NOT NULL,
    broken_because text,
    version integer NOT NULL DEFAULT 0,
    tentative_is_busy boolean NOT NULL DEFAULT true,
    on_drift text NOT NULL DEFAULT 'repair',
    removes_events boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    read_at timestamptz,
    told_at timestamptz,
    listed_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    last_error_at timestamptz,
    next_visit_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz,
    nudges integer NOT NULL DEFAULT 0,
    lease_id uuid,
    lease_until timestamptz,
    CONSTRAINT connections_pkey PRIMARY KEY (id),
    CONSTRAINT connections_provider_id_kind_account_hash_key
        UNIQUE (provider_id, kind, account_hash),
    CONSTRAINT connections_kind_known CHECK (kind IN ('google', 'microsoft', 'caldav', 'ics')),
    CONSTRAINT connections_state_known CHECK (state IN ('connected', 'broken', 'disconnecting')),
    CONSTRAINT connections_on_drift_known CHECK (on_drift IN ('repair', 'leave')),
    CONSTRAINT connections_broken_has_reason
        CHECK ((state = 'broken') = (broken_because IS NOT NULL) OR state = 'disconnecting')
);
CREATE INDEX connections_due_idx ON connections (next_visit_at) WHERE state <> 'broken';

CREATE TABLE calendars (
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    external_id text NOT NULL,
    name text NOT NULL,
    timezone text,
    is_writable boolean NOT NULL,
    is_primary boolean NOT NULL,
    is_busy boolean NOT NULL,
    is_target boolean NOT NULL,
    is_gone boolean NOT NULL DEFAULT false,
    cursor text,
    generation integer NOT NULL DEFAULT 0,
    window_starts_at timestamptz,
    window_ends_at timestamptz,
    read_at timestamptz,
    CONSTRAINT calendars_pkey PRIMARY KEY (id),
    CONSTRAINT calendars_connection_id_external_id_key UNIQUE (connection_id, external_id),
    CONSTRAINT calendars_connection_id_fkey
        FOREIGN KEY (connection_id) REFERENCES connections (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX calendars_target_idx ON calendars (connection_id) WHERE is_target;

CREATE TABLE external_events (
    calendar_id uuid NOT NULL,
    external_id text NOT NULL,
    etag text,
    generation integer NOT NULL,
    problem text,
    CONSTRAINT external_events_pkey PRIMARY KEY (calendar_id, external_id),
    CONSTRAINT external_events_calendar_id_fkey
        FOREIGN KEY (calendar_id) REFERENCES calendars (id) ON DELETE CASCADE
);

CREATE INDEX external_events_with_problem_idx ON external_events (calendar_id)
    WHERE problem IS NOT NULL;

CREATE TABLE external_busy_times (
    calendar_id uuid NOT NULL,
    external_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    connection_id uuid NOT NULL,
    CONSTRAINT external_busy_times_pkey PRIMARY KEY (calendar_id, external_id, starts_at),
    CONSTRAINT external_busy_times_calendar_id_external_id_fkey
        FOREIGN KEY (calendar_id, external_id)
        REFERENCES external_events (calendar_id, external_id) ON DELETE CASCADE,
    CONSTRAINT external_busy_times_end_after_start CHECK (ends_at > starts_at)
);
CREATE INDEX external_busy_times_connection_id_starts_at_idx
    ON external_busy_times (connection_id, starts_at);

CREATE TABLE busy_spans (
    connection_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    told_hash bytea,
    is_changed boolean NOT NULL,
    CONSTRAINT busy_spans_pkey PRIMARY KEY (connection_id, starts_at),
    CONSTRAINT busy_spans_connection_id_fkey
        FOREIGN KEY (connection_id) REFERENCES connections (id) ON DELETE CASCADE
);

CREATE TABLE written_events (
    id uuid NOT NULL,
    version integer NOT NULL DEFAULT 0,
    connection_id uuid NOT NULL,
    calendar_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    is_retired boolean NOT NULL DEFAULT false,
    handled_version integer,
    try_at timestamptz,
    attempted_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    failure_told boolean NOT NULL DEFAULT false,
    external_id text,
    etag text,
    written_hash bytea,
    starts_at timestamptz,
    ends_at timestamptz,
    written_at timestamptz,
    drift text,
    drift_at timestamptz,
    repairs integer NOT NULL DEFAULT 0,
    CONSTRAINT written_events_pkey PRIMARY KEY (id),
    CONSTRAINT written_events_connection_id_fkey
        FOREIGN KEY (connection_id) REFERENCES connections (id) ON DELETE CASCADE,
    CONSTRAINT written_events_calendar_id_fkey
        FOREIGN KEY (calendar_id) REFERENCES calendars (id) ON DELETE CASCADE,
    CONSTRAINT written_events_drift_known CHECK (drift IN ('changed', 'deleted'))
);
CREATE UNIQUE INDEX written_events_of_appointment_idx
    ON written_events (appointment_id, calendar_id) WHERE NOT is_retired;
CREATE INDEX written_events_connection_id_idx ON written_events (connection_id);
CREATE INDEX written_events_calendar_id_external_id_idx
    ON written_events (calendar_id, external_id);

CREATE TABLE push_channels (
    id uuid NOT NULL,
    calendar_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    external_id text,
    expires_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_channels_pkey PRIMARY KEY (id),
    CONSTRAINT push_channels_calendar_id_fkey
        FOREIGN KEY (calendar_id) REFERENCES calendars (id) ON DELETE CASCADE
);
CREATE INDEX push_channels_calendar_id_idx ON push_channels (calendar_id);

CREATE TABLE consents (
    state_hash bytea NOT NULL,
    kind text NOT NULL,
    provider_id uuid NOT NULL,
    started_by uuid NOT NULL,
    connection_id uuid,
    verifier text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT consents_pkey PRIMARY KEY (state_hash),
    CONSTRAINT consents_kind_known CHECK (kind IN ('google', 'microsoft'))
);
CREATE INDEX consents_expires_at_idx ON consents (expires_at);
"""


def upgrade() -> None:
    step_by_step(op, ENTRIES)
    execute_script(op, TABLES)
