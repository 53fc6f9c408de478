"""What bookings asks for when a patient wants all their data."""

from notifications import queries
from notifications.schemas.exporting import NotificationsKept
from notifications.use_cases.preferences import preferences_of
from shared.app import new_router
from shared.auth import CallingService
from shared.db import SqlReading
from shared.fields import Id

router = new_router(prefix="/internal/patients", tags=["internal"])


@router.get("/{user_id}/export", response_model=NotificationsKept)
async def export(user_id: Id, db: SqlReading, _: CallingService) -> NotificationsKept:
    """What the patient has set, and what was and will be told to them; no tokens of devices."""
    return NotificationsKept.of(
        user_id, await preferences_of(db, user_id), await queries.kept_of(db, user_id)
    )
