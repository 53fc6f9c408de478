"""Appointments, their claims and their audit trail; patients; what availability has told."""

from alembic import op

from shared.migrations import append_only_v1, execute_script, idempotency_v1, messaging_v1

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE patients (
    id uuid NOT NULL,
    version integer NOT NULL,
    name text,
    email text,
    phone text,
    language text NOT NULL,
    timezone text NOT NULL,
    communication_preferences jsonb NOT NULL DEFAULT '{}',
    emergency_contact jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT patients_pkey PRIMARY KEY (id)
);

CREATE TABLE providers (
    id uuid NOT NULL,
    version integer NOT NULL,
    is_active boolean NOT NULL,
    completion_policy text NOT NULL DEFAULT 'completed',
    completion_grace_minutes integer NOT NULL DEFAULT 1440,
    data jsonb NOT NULL,
    CONSTRAINT providers_pkey PRIMARY KEY (id)
);

CREATE TABLE appointment_types (
    id uuid NOT NULL,
    version integer NOT NULL,
    is_active boolean NOT NULL,
    provider_id uuid NOT NULL,
    duration_minutes integer NOT NULL,
    buffer_before_minutes integer NOT NULL,
    buffer_after_minutes integer NOT NULL,
    data jsonb NOT NULL,
    CONSTRAINT appointment_types_pkey PRIMARY KEY (id)
);

CREATE TABLE resources (
    id uuid NOT NULL,
    version integer NOT NULL,
    is_active boolean NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    label text NOT NULL,
    location_id uuid,
    room_id uuid,
    CONSTRAINT resources_pkey PRIMARY KEY (id)
);
CREATE INDEX resources_provider_id_idx ON resources (provider_id);

CREATE TABLE appointments (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    service_id uuid NOT NULL,
    timeslot_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    mode text NOT NULL,
    location_id uuid,
    room_id uuid,
    terms jsonb NOT NULL,
    source text NOT NULL,
    patient_timezone text NOT NULL,
    provider_timezone text NOT NULL,
    reservation_token_hash bytea,
    hold_expires_at timestamptz,
    pending_expires_at timestamptz,
    reason text,
    notes text,
    participants jsonb NOT NULL DEFAULT '[]',
    decision_reason text,
    cancelled_at timestamptz,
    cancellation_cause text,
    cancellation_reason text,
    cancelled_by_type text,
    cancelled_by_id uuid,
    cancellation_fee_cents integer,
    rescheduled_from uuid,
    rescheduled_to uuid,
    reschedule_count integer NOT NULL DEFAULT 0,
    audit_sequence integer NOT NULL,
    audit_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT appointments_pkey PRIMARY KEY (id),
    CONSTRAINT appointments_reservation_token_hash_key UNIQUE (reservation_token_hash),
    CONSTRAINT appointments_status_known
        CHECK (status IN ('held', 'pending', 'confirmed', 'completed', 'cancelled', 'no_show')),
    CONSTRAINT appointments_ends_after_start CHECK (ends_at > starts_at),
    CONSTRAINT appointments_hold_ends CHECK (status <> 'held' OR hold_expires_at IS NOT NULL),
    CONSTRAINT appointments_pending_ends
        CHECK (status <> 'pending' OR pending_expires_at IS NOT NULL),
    CONSTRAINT appointments_cancelled_has_instant
        CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL))
);
-- One for each list, so that a page reads only what it shows, however much there is of the rest.
CREATE INDEX appointments_held_by_patient_idx
    ON appointments (patient_id, starts_at) WHERE status = 'held';
CREATE INDEX appointments_active_of_patient_idx
    ON appointments (patient_id, starts_at, id) WHERE status IN ('pending', 'confirmed');
CREATE INDEX appointments_ended_of_patient_idx
    ON appointments (patient_id, starts_at, id)
    WHERE status IN ('completed', 'no_show') OR status = 'cancelled'
        AND coalesce(cancellation_cause, '') NOT IN ('hold_released', 'hold_expired');
CREATE INDEX appointments_of_provider_idx
    ON appointments (provider_id, starts_at, id)
    WHERE status IN ('pending', 'confirmed') OR status IN ('completed', 'no_show')
        OR status = 'cancelled'
        AND coalesce(cancellation_cause, '') NOT IN ('hold_released', 'hold_expired');
CREATE INDEX appointments_moves_of_idx
    ON appointments (rescheduled_from) WHERE status IN ('held', 'pending');
-- And one for each timer.
CREATE INDEX appointments_hold_expires_at_idx
    ON appointments (hold_expires_at) WHERE status = 'held';
CREATE INDEX appointments_pending_expires_at_idx
    ON appointments (pending_expires_at) WHERE status = 'pending';
CREATE INDEX appointments_confirmed_ends_at_idx
    ON appointments (provider_id, ends_at) WHERE status = 'confirmed';

CREATE TABLE claims (
    appointment_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    kind text NOT NULL,
    period tstzrange NOT NULL,
    CONSTRAINT claims_pkey PRIMARY KEY (appointment_id, resource_id, period),
    CONSTRAINT claims_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id),
    CONSTRAINT claims_no_overlap EXCLUDE USING gist (resource_id WITH =, period WITH &&)
);

CREATE TABLE patient_claims (
    appointment_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    period tstzrange NOT NULL,
    CONSTRAINT patient_claims_pkey PRIMARY KEY (appointment_id, period),
    CONSTRAINT patient_claims_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id),
    CONSTRAINT patient_claims_no_overlap EXCLUDE USING gist (patient_id WITH =, period WITH &&)
);

CREATE TABLE appointment_notes (
    id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    visibility text NOT NULL,
    author_type text NOT NULL,
    author_id uuid,
    text text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT appointment_notes_pkey PRIMARY KEY (id),
    CONSTRAINT appointment_notes_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id),
    CONSTRAINT appointment_notes_visibility_known CHECK (visibility IN ('provider', 'shared'))
);
CREATE INDEX appointment_notes_appointment_id_created_at_id_idx
    ON appointment_notes (appointment_id, created_at, id);

CREATE TABLE audit_events (
    id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    sequence integer NOT NULL,
    action text NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    occurred_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (id),
    CONSTRAINT audit_events_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id),
    CONSTRAINT audit_events_appointment_id_sequence_key UNIQUE (appointment_id, sequence)
);
"""


def upgrade() -> None:
    messaging_v1(op)
    idempotency_v1(op)
    execute_script(op, TABLES)
    append_only_v1(op, "audit_events")
