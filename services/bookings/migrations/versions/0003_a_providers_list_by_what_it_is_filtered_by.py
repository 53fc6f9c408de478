"""The index behind a provider's list carries what the list is filtered by.

Nobody waits for it, so it is no transaction; what an attempt that was cut short has left is made
anew. The old one is a part of it, so code of the release before finds its way as well.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_NEW = "appointments_of_provider_by_start_idx"
_OLD = "appointments_of_provider_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NEW}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_NEW} ON appointments (provider_id, starts_at, id) "
            "INCLUDE (status, service_id, location_id) "
            "WHERE status IN ('pending', 'confirmed') OR status IN ('completed', 'no_show') "
            "OR status = 'cancelled' "
            "AND coalesce(cancellation_cause, '') NOT IN ('hold_released', 'hold_expired')"
        )
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_OLD}")
        op.execute("RESET statement_timeout")
