"""Which times a provider's last changes were about; services by what all providers call them."""

from alembic import op

from shared.migrations import execute_script

revision = "0002"
down_revision = "0001"

# Code that does not know the notes counts the version up without one, and so is noticed.
_NOTES = "ALTER TABLE schedule_versions ADD COLUMN notes bytea NOT NULL DEFAULT ''"

_OFFERED = """
CREATE INDEX appointment_types_offered_idx ON appointment_types (slug, mode) WHERE is_active
"""

_STALE = """
ALTER TABLE calendar_sources ADD COLUMN told_stale boolean NOT NULL DEFAULT false
"""


def upgrade() -> None:
    execute_script(op, _NOTES)
    execute_script(op, _OFFERED)
    execute_script(op, _STALE)
