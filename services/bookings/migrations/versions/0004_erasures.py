"""Who asked for a patient's erasure and which services have confirmed it; no words in the trail.

Why staff book outside the rules stands in a table of its own from now on: what is hashed into the
trail can never be erased. Ended holds are found by their patient, like all other appointments.
"""

from alembic import op

from shared.migrations import append_only_v1, execute_script

revision = "0004"
down_revision = "0003"

_HOLDS = "appointments_ended_holds_of_patient_idx"

TABLES = """
ALTER TABLE patients ADD COLUMN erased_version integer;

CREATE TABLE override_reasons (
    appointment_id uuid NOT NULL,
    reason text NOT NULL,
    CONSTRAINT override_reasons_pkey PRIMARY KEY (appointment_id),
    CONSTRAINT override_reasons_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id)
);

CREATE TABLE erasure_requests (
    id uuid NOT NULL,
    patient_id uuid NOT NULL,
    version integer NOT NULL,
    requested_by_type text NOT NULL,
    requested_by_id uuid NOT NULL,
    reason_code text NOT NULL,
    cancelled_appointments integer NOT NULL,
    awaits text[] NOT NULL,
    requested_at timestamptz NOT NULL,
    CONSTRAINT erasure_requests_pkey PRIMARY KEY (id),
    CONSTRAINT erasure_requests_patient_id_version_key UNIQUE (patient_id, version)
);

CREATE TABLE erasure_confirmations (
    erasure_id uuid NOT NULL,
    service text NOT NULL,
    confirmed_at timestamptz NOT NULL,
    CONSTRAINT erasure_confirmations_pkey PRIMARY KEY (erasure_id, service),
    CONSTRAINT erasure_confirmations_erasure_id_fkey
        FOREIGN KEY (erasure_id) REFERENCES erasure_requests (id)
);
"""


def upgrade() -> None:
    execute_script(op, TABLES)
    append_only_v1(op, "erasure_requests")
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_HOLDS}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_HOLDS} ON appointments (patient_id) "
            "WHERE status = 'cancelled' AND cancellation_cause IN ('hold_released', 'hold_expired')"
        )
        op.execute("RESET statement_timeout")
