"""When a provider was deleted, as far as that can still be told.

Until now a deleted provider was an inactive one whose last snapshot still says active. One that was
made inactive first and then deleted cannot be told from one that is only inactive; it stays that.
"""

from alembic import op

from shared.migrations import step_by_step

revision = "0002"
down_revision = "0001"

_CHANGES = """
ALTER TABLE providers ADD COLUMN IF NOT EXISTS deleted_at timestamptz;
UPDATE providers SET deleted_at = now()
WHERE deleted_at IS NULL AND NOT is_active AND coalesce((data ->> 'isActive')::boolean, true);
CREATE INDEX CONCURRENTLY providers_deleted_idx ON providers (id) WHERE deleted_at IS NOT NULL;
"""


def upgrade() -> None:
    step_by_step(op, _CHANGES)
