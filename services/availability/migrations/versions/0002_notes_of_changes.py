"""Beside a provider's version, which times its last changes were about."""

from alembic import op

from shared.migrations import execute_script

revision = "0002"
down_revision = "0001"

# Code that does not know the notes counts the version up without one, and so is noticed.
_NOTES = "ALTER TABLE schedule_versions ADD COLUMN notes bytea NOT NULL DEFAULT ''"


def upgrade() -> None:
    execute_script(op, _NOTES)
