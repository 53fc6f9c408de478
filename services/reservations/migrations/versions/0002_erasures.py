"""Erasures that were carried out here; a patient's reservations are found by their patient."""

from alembic import op

from shared.migrations import erasures_v1

revision = "0002"
down_revision = "0001"

_INDEX = "reservations_user_id_idx"


def upgrade() -> None:
    erasures_v1(op)
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_INDEX} ON reservations (user_id)")
        op.execute("RESET statement_timeout")
