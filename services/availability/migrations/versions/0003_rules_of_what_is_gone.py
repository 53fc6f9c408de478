"""Rules of the form for locations, rooms and services that were deleted go as well."""

from alembic import op

from shared.migrations import execute_script

revision = "0003"
down_revision = "0002"

# Such a rule is about nothing, and no form can name it to take it away. Whoever saves a form over
# an answer that still showed one reads again first, so the version counts.
_RULES = """
WITH gone AS (
    DELETE FROM schedule_rules rule
    WHERE EXISTS (
            SELECT FROM locations
            WHERE id = rule.scope_location_id AND deleted_at IS NOT NULL
        ) OR EXISTS (
            SELECT FROM rooms WHERE id = rule.scope_room_id AND deleted_at IS NOT NULL
        ) OR EXISTS (
            SELECT FROM appointment_types
            WHERE id = rule.scope_appointment_type_id AND deleted_at IS NOT NULL
        )
    RETURNING provider_id
)
UPDATE schedule_versions SET version = version + 1, set_up_version = set_up_version + 1
WHERE provider_id IN (SELECT provider_id FROM gone)
"""


def upgrade() -> None:
    execute_script(op, _RULES)
