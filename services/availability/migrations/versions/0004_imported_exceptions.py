"""Exceptions that come from a calendar that was imported, and the newest word about each import."""

from alembic import op

from shared.migrations import step_by_step

revision = "0004"
down_revision = "0003"

# Their source stays "manual": code that does not know imports shows them as such.
_IMPORTS = """
CREATE TABLE IF NOT EXISTS calendar_imports (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    version integer NOT NULL,
    is_deleted boolean NOT NULL,
    CONSTRAINT calendar_imports_pkey PRIMARY KEY (id)
);
ALTER TABLE availability_exceptions ADD COLUMN IF NOT EXISTS import_id uuid;
CREATE INDEX CONCURRENTLY availability_exceptions_import_id_idx
    ON availability_exceptions (import_id) WHERE import_id IS NOT NULL;
"""


def upgrade() -> None:
    step_by_step(op, _IMPORTS)
