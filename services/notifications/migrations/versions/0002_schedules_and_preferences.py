"""When people are told, how they want it, and further ways to reach them."""

from alembic import op

from shared.migrations import execute_script, step_by_step

revision = "0002"
down_revision = "0001"

CHANGES = """
ALTER TABLE contacts
    ADD COLUMN IF NOT EXISTS by_email boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS by_sms boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS by_push boolean NOT NULL DEFAULT true;

ALTER TABLE appointments
    ADD COLUMN IF NOT EXISTS patient_id uuid,
    ADD COLUMN IF NOT EXISTS provider_id uuid,
    ADD COLUMN IF NOT EXISTS ends_at timestamptz,
    ADD COLUMN IF NOT EXISTS facts jsonb;
CREATE INDEX CONCURRENTLY appointments_patient_id_ends_at_idx
    ON appointments (patient_id, ends_at);
CREATE INDEX CONCURRENTLY appointments_provider_id_ends_at_idx
    ON appointments (provider_id, ends_at);

ALTER TABLE notification_jobs
    ALTER COLUMN appointment_id DROP NOT NULL,
    ALTER COLUMN appointment_version DROP NOT NULL,
    ALTER COLUMN appointment_status DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS fallback text[] NOT NULL DEFAULT '{}';
CREATE INDEX CONCURRENTLY notification_jobs_ended_at_idx ON notification_jobs (ended_at)
    WHERE ended_at IS NOT NULL;

ALTER TABLE notification_deliveries
    ADD COLUMN IF NOT EXISTS provider_id text,
    ADD COLUMN IF NOT EXISTS receipt text,
    DROP CONSTRAINT IF EXISTS notification_deliveries_receipt_known,
    ADD CONSTRAINT notification_deliveries_receipt_known
        CHECK (receipt IN ('accepted', 'sent', 'delivered', 'undelivered')) NOT VALID;
ALTER TABLE notification_deliveries VALIDATE CONSTRAINT notification_deliveries_receipt_known;
"""

TABLES = """
CREATE TABLE notification_preferences (
    user_id uuid NOT NULL,
    data jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_preferences_pkey PRIMARY KEY (user_id)
);

CREATE TABLE notification_schedules (
    provider_id uuid NOT NULL,
    service_id uuid NOT NULL,
    lines jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_schedules_pkey PRIMARY KEY (provider_id, service_id)
);

CREATE TABLE unsubscribe_links (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    category text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unsubscribe_links_pkey PRIMARY KEY (token_hash)
);
CREATE INDEX unsubscribe_links_user_id_idx ON unsubscribe_links (user_id);

CREATE TABLE push_devices (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    token text NOT NULL,
    platform text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_devices_pkey PRIMARY KEY (id),
    CONSTRAINT push_devices_token_key UNIQUE (token),
    CONSTRAINT push_devices_platform_known CHECK (platform IN ('android', 'ios', 'web'))
);
CREATE INDEX push_devices_user_id_created_at_idx ON push_devices (user_id, created_at);

CREATE TABLE in_app_notifications (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    appointment_id uuid,
    title text NOT NULL,
    text text NOT NULL,
    link text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    CONSTRAINT in_app_notifications_pkey PRIMARY KEY (id)
);
CREATE INDEX in_app_notifications_user_id_created_at_id_idx
    ON in_app_notifications (user_id, created_at, id);
CREATE INDEX in_app_notifications_unread_idx ON in_app_notifications (user_id)
    WHERE read_at IS NULL;
CREATE INDEX in_app_notifications_created_at_idx ON in_app_notifications (created_at);

CREATE TABLE calendar_connections (
    id uuid NOT NULL,
    version integer NOT NULL,
    is_broken boolean NOT NULL,
    CONSTRAINT calendar_connections_pkey PRIMARY KEY (id)
);
"""


def upgrade() -> None:
    step_by_step(op, CHANGES)
    execute_script(op, TABLES)
