"""Feeds of patients beside those of providers; calendars that were imported."""

from alembic import op

from shared.migrations import execute_script

revision = "0003"
down_revision = "0002"

# Code that knows providers' links only writes what the check allows, and finds no provider behind
# a patient's link.
_FEEDS = """
ALTER TABLE feed_links
    ALTER COLUMN provider_id DROP NOT NULL,
    ADD COLUMN user_id uuid,
    ADD COLUMN detailed boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT feed_links_one_owner CHECK (num_nonnulls(provider_id, user_id) = 1);
CREATE INDEX feed_links_user_id_idx ON feed_links (user_id) WHERE revoked_at IS NULL;
CREATE INDEX entries_user_id_ends_at_idx ON entries (user_id, ends_at);
"""


def upgrade() -> None:
    execute_script(op, _FEEDS)
