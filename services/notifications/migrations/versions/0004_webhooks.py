"""Integrators' endpoints, what they are told, and how each telling went."""

from alembic import op

from shared.migrations import execute_script

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE webhook_endpoints (
    id uuid NOT NULL,
    provider_id uuid,
    url text NOT NULL,
    description text NOT NULL,
    events text[] NOT NULL,
    is_enabled boolean NOT NULL DEFAULT true,
    disabled_because text,
    secret text NOT NULL,
    old_secret text,
    old_secret_until timestamptz,
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_disabled_because_known
        CHECK (disabled_because IN ('by_hand', 'gone', 'failing')),
    CONSTRAINT webhook_endpoints_disabled_has_reason
        CHECK (is_enabled = (disabled_because IS NULL)),
    CONSTRAINT webhook_endpoints_old_secret_ends
        CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);
CREATE INDEX webhook_endpoints_provider_id_idx ON webhook_endpoints (provider_id);

CREATE TABLE webhook_events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id uuid NOT NULL,
    type text NOT NULL,
    provider_id uuid,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    CONSTRAINT webhook_events_pkey PRIMARY KEY (position),
    CONSTRAINT webhook_events_id_key UNIQUE (id)
);
CREATE INDEX webhook_events_provider_id_position_idx ON webhook_events (provider_id, position);
CREATE INDEX webhook_events_occurred_at_idx ON webhook_events (occurred_at);

CREATE TABLE webhook_deliveries (
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    locked_by uuid,
    locked_until timestamptz,
    last_status integer,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_endpoint_id_position_key UNIQUE (endpoint_id, position),
    CONSTRAINT webhook_deliveries_endpoint_id_fkey
        FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_position_fkey
        FOREIGN KEY (position) REFERENCES webhook_events (position) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_status_known
        CHECK (status IN ('queued', 'sending', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_sending_is_leased
        CHECK ((status = 'sending') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)),
    CONSTRAINT webhook_deliveries_ended_has_instant
        CHECK ((status IN ('delivered', 'failed')) = (ended_at IS NOT NULL))
);
CREATE INDEX webhook_deliveries_due_at_idx ON webhook_deliveries (due_at)
    WHERE status IN ('queued', 'sending');
CREATE INDEX webhook_deliveries_position_idx ON webhook_deliveries (position);
CREATE INDEX webhook_deliveries_endpoint_id_created_at_id_idx
    ON webhook_deliveries (endpoint_id, created_at, id);
"""


def upgrade() -> None:
    execute_script(op, TABLES)
