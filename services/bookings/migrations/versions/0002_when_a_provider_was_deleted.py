"""When a provider was deleted, as far as that can still be told.

Until now a deleted provider was an inactive one whose last snapshot still says active. One that was
made inactive first and then deleted cannot be told from one that is only inactive; it stays that.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE providers ADD COLUMN deleted_at timestamptz")
    op.execute(
        "UPDATE providers SET deleted_at = now() "
        "WHERE NOT is_active AND coalesce((data ->> 'isActive')::boolean, true)"
    )
    op.execute("CREATE INDEX providers_deleted_idx ON providers (id) WHERE deleted_at IS NOT NULL")
