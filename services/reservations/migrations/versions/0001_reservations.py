"""Reservations, and the shared tables."""

from alembic import op

from shared.migrations import execute_script, idempotency_v1, messaging_v1

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE reservations (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    user_id uuid NOT NULL,
    reserved_by uuid NOT NULL,
    reschedule_of uuid,
    provider_id uuid NOT NULL,
    service_id uuid NOT NULL,
    timeslot_id text NOT NULL,
    timeslot jsonb,
    token_hash bytea NOT NULL,
    appointment_id uuid,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reservations_pkey PRIMARY KEY (id),
    CONSTRAINT reservations_token_hash_key UNIQUE (token_hash),
    CONSTRAINT reservations_status_known
        CHECK (status IN ('requested', 'active', 'used', 'released', 'expired')),
    CONSTRAINT reservations_active_is_complete
        CHECK (status <> 'active' OR (appointment_id IS NOT NULL AND timeslot IS NOT NULL))
);
CREATE INDEX reservations_reserved_by_open_idx
    ON reservations (reserved_by) WHERE status IN ('requested', 'active');
CREATE INDEX reservations_reserved_by_expired_idx
    ON reservations (reserved_by, expires_at) WHERE status = 'expired';
CREATE INDEX reservations_expires_at_open_idx
    ON reservations (expires_at) WHERE status IN ('requested', 'active');
CREATE INDEX reservations_appointment_id_idx ON reservations (appointment_id);
"""


def upgrade() -> None:
    messaging_v1(op)
    idempotency_v1(op)
    execute_script(op, TABLES)
