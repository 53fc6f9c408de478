"""What connected clients are told, and what they need to resume; who is connected."""

from alembic import op

from shared.migrations import execute_script

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE realtime_messages (
    position bigint GENERATED ALWAYS AS IDENTITY,
    channel text NOT NULL,
    event text NOT NULL,
    data text NOT NULL,
    is_foreign boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT realtime_messages_pkey PRIMARY KEY (position)
);
CREATE INDEX realtime_messages_channel_position_idx ON realtime_messages (channel, position);

CREATE TABLE realtime_history (
    is_only boolean NOT NULL DEFAULT true,
    forgotten_to bigint NOT NULL DEFAULT 0,
    CONSTRAINT realtime_history_pkey PRIMARY KEY (is_only),
    CONSTRAINT realtime_history_one_row CHECK (is_only)
);
INSERT INTO realtime_history DEFAULT VALUES;

CREATE TABLE realtime_availability (
    provider_id uuid NOT NULL,
    version bigint NOT NULL,
    told_at timestamptz NOT NULL,
    waiting jsonb,
    CONSTRAINT realtime_availability_pkey PRIMARY KEY (provider_id)
);
CREATE INDEX realtime_availability_told_at_idx
    ON realtime_availability (told_at) WHERE waiting IS NOT NULL;

CREATE TABLE realtime_tickets (
    hash bytea NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT realtime_tickets_pkey PRIMARY KEY (hash)
);

CREATE TABLE realtime_copies (
    id bigint GENERATED ALWAYS AS IDENTITY,
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT realtime_copies_pkey PRIMARY KEY (id)
);

CREATE TABLE realtime_connections (
    copy_id bigint NOT NULL,
    number bigint NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT realtime_connections_pkey PRIMARY KEY (copy_id, number),
    CONSTRAINT realtime_connections_copy_id_fkey
        FOREIGN KEY (copy_id) REFERENCES realtime_copies (id) ON DELETE CASCADE
);
CREATE INDEX realtime_connections_user_id_idx ON realtime_connections (user_id);

CREATE TABLE realtime_publications (
    target text NOT NULL,
    position bigint NOT NULL,
    locked_by uuid,
    locked_until timestamptz,
    CONSTRAINT realtime_publications_pkey PRIMARY KEY (target)
);
"""


def upgrade() -> None:
    execute_script(op, TABLES)
