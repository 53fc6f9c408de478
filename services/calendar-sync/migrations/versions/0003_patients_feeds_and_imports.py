"""Feeds of patients beside those of providers; calendars that were imported."""

from alembic import op

from shared.migrations import step_by_step

revision = "0003"
down_revision = "0002"

# Code that knows providers' links only writes what the check allows, and finds no provider behind
# a patient's link.
_FEEDS = """
ALTER TABLE feed_links
    ALTER COLUMN provider_id DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS user_id uuid,
    ADD COLUMN IF NOT EXISTS detailed boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT IF EXISTS feed_links_one_owner,
    ADD CONSTRAINT feed_links_one_owner
        CHECK (num_nonnulls(provider_id, user_id) = 1) NOT VALID;
ALTER TABLE feed_links VALIDATE CONSTRAINT feed_links_one_owner;
CREATE INDEX CONCURRENTLY feed_links_user_id_idx ON feed_links (user_id)
    WHERE revoked_at IS NULL;
CREATE INDEX CONCURRENTLY entries_user_id_ends_at_idx ON entries (user_id, ends_at);
"""

_IMPORTS = """
CREATE TABLE IF NOT EXISTS calendar_imports (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    file_hash bytea NOT NULL,
    times_hash bytea NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    event_count integer NOT NULL,
    imported_event_count integer NOT NULL,
    blocked_time_count integer NOT NULL,
    skipped jsonb NOT NULL,
    unknown_zones jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    imported_at timestamptz NOT NULL DEFAULT now(),
    imported_by uuid NOT NULL,
    deleted_at timestamptz,
    deleted_by uuid,
    CONSTRAINT calendar_imports_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS calendar_imports_name_idx ON calendar_imports (provider_id, name)
    WHERE deleted_at IS NULL;
"""


def upgrade() -> None:
    step_by_step(op, _FEEDS)
    step_by_step(op, _IMPORTS)
