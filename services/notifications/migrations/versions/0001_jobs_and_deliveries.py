"""Whom we can reach, what we know of appointments, what is to be said, and what was sent."""

from alembic import op

from shared.migrations import execute_script, idempotency_v1, messaging_v1

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE contacts (
    party text NOT NULL,
    person_id uuid NOT NULL,
    version integer NOT NULL,
    name text,
    email text,
    phone text,
    language text NOT NULL,
    timezone text NOT NULL,
    is_erased boolean NOT NULL DEFAULT false,
    CONSTRAINT contacts_pkey PRIMARY KEY (party, person_id),
    CONSTRAINT contacts_party_known CHECK (party IN ('patient', 'provider')),
    CONSTRAINT contacts_erased_is_empty
        CHECK (NOT is_erased OR (name IS NULL AND email IS NULL AND phone IS NULL))
);

CREATE TABLE appointments (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    CONSTRAINT appointments_pkey PRIMARY KEY (id)
);

CREATE TABLE notification_jobs (
    id uuid NOT NULL,
    dedupe_key text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    party text NOT NULL,
    recipient_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    appointment_version integer NOT NULL,
    appointment_status text NOT NULL,
    payload jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    attempts integer NOT NULL DEFAULT 0,
    waits_for_contact boolean NOT NULL DEFAULT false,
    locked_by uuid,
    locked_until timestamptz,
    last_error text,
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT notification_jobs_pkey PRIMARY KEY (id),
    CONSTRAINT notification_jobs_dedupe_key_key UNIQUE (dedupe_key),
    CONSTRAINT notification_jobs_party_known CHECK (party IN ('patient', 'provider')),
    CONSTRAINT notification_jobs_status_known
        CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'withdrawn')),
    CONSTRAINT notification_jobs_sending_is_leased
        CHECK ((status = 'sending') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)),
    CONSTRAINT notification_jobs_ended_has_instant
        CHECK ((status IN ('sent', 'failed', 'withdrawn')) = (ended_at IS NOT NULL))
);
CREATE INDEX notification_jobs_due_at_idx ON notification_jobs (due_at) WHERE status = 'queued';
CREATE INDEX notification_jobs_expires_at_idx
    ON notification_jobs (expires_at) WHERE status = 'queued';
CREATE INDEX notification_jobs_locked_until_idx
    ON notification_jobs (locked_until) WHERE status = 'sending';
CREATE INDEX notification_jobs_appointment_id_idx ON notification_jobs (appointment_id);
CREATE INDEX notification_jobs_recipient_id_idx
    ON notification_jobs (recipient_id) WHERE status = 'queued';

CREATE TABLE notification_deliveries (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    attempt integer NOT NULL,
    channel text NOT NULL,
    message_id text NOT NULL,
    status text NOT NULL DEFAULT 'sending',
    response text,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT notification_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT notification_deliveries_job_id_fkey
        FOREIGN KEY (job_id) REFERENCES notification_jobs (id),
    CONSTRAINT notification_deliveries_job_id_attempt_key UNIQUE (job_id, attempt),
    CONSTRAINT notification_deliveries_status_known
        CHECK (status IN ('sending', 'sent', 'deferred', 'refused', 'unknown')),
    CONSTRAINT notification_deliveries_finished_has_instant
        CHECK ((status = 'sending') = (finished_at IS NULL))
);
CREATE INDEX notification_deliveries_recipient_id_started_at_id_idx
    ON notification_deliveries (recipient_id, started_at, id);
"""


def upgrade() -> None:
    messaging_v1(op)
    idempotency_v1(op)
    execute_script(op, TABLES)
