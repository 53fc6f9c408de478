"""Appointments as calendar entries, providers, and links under which feeds are subscribed to."""

from alembic import op

from shared.migrations import execute_script, idempotency_v1, messaging_v1

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE entries (
    id uuid NOT NULL,
    version integer NOT NULL,
    provider_id uuid NOT NULL,
    user_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL,
    mode text NOT NULL,
    provider_name text NOT NULL,
    service_title text NOT NULL,
    location_name text,
    location_address text,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (id),
    CONSTRAINT entries_status_known
        CHECK (status IN ('pending', 'confirmed', 'completed', 'cancelled', 'no_show'))
);
CREATE INDEX entries_provider_id_ends_at_idx ON entries (provider_id, ends_at);

CREATE TABLE providers (
    id uuid NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    timezone text NOT NULL,
    is_deleted boolean NOT NULL,
    CONSTRAINT providers_pkey PRIMARY KEY (id)
);

CREATE TABLE feed_links (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    label text,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT feed_links_pkey PRIMARY KEY (id),
    CONSTRAINT feed_links_token_hash_key UNIQUE (token_hash)
);
CREATE INDEX feed_links_provider_id_idx ON feed_links (provider_id) WHERE revoked_at IS NULL;
"""


def upgrade() -> None:
    messaging_v1(op)
    idempotency_v1(op)
    execute_script(op, TABLES)
