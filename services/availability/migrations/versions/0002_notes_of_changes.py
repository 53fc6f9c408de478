"""Which times a provider's last changes were about; services by what all providers call them."""

from alembic import op

from shared.migrations import step_by_step

revision = "0002"
down_revision = "0001"

# Code that does not know the notes counts the version up without one, and so is noticed.
_CHANGES = """
ALTER TABLE schedule_versions ADD COLUMN IF NOT EXISTS notes bytea NOT NULL DEFAULT '';
CREATE INDEX CONCURRENTLY appointment_types_offered_idx
    ON appointment_types (slug, mode) WHERE is_active;
ALTER TABLE calendar_sources
    ADD COLUMN IF NOT EXISTS told_stale boolean NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    step_by_step(op, _CHANGES)
