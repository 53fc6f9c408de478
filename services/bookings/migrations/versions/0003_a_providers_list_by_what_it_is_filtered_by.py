"""The index behind a provider's list carries what the list is filtered by.

The old one is a part of it, so code of the release before finds its way as well.
"""

from alembic import op

from shared.migrations import step_by_step

revision = "0003"
down_revision = "0002"

_CHANGES = """
CREATE INDEX CONCURRENTLY appointments_of_provider_by_start_idx
    ON appointments (provider_id, starts_at, id) INCLUDE (status, service_id, location_id)
    WHERE status IN ('pending', 'confirmed') OR status IN ('completed', 'no_show')
        OR status = 'cancelled'
            AND coalesce(cancellation_cause, '') NOT IN ('hold_released', 'hold_expired');
DROP INDEX CONCURRENTLY IF EXISTS appointments_of_provider_idx;
"""


def upgrade() -> None:
    step_by_step(op, _CHANGES)
