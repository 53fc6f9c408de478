"""People as far as planning has to know them: what they want, and how they are reached."""

from typing import Any

from notifications.domain.news import ChannelName, Party
from notifications.domain.preferences import Preferences, Recipient


def recipient_json(party: Party, person: str) -> str:
    """SQL for what ``recipient_of`` reads; ``person`` is an expression for the id."""
    return f"""(
        SELECT jsonb_build_object(
            'preferences', p.data, 'timezone', c.timezone, 'by_email', c.by_email,
            'by_sms', c.by_sms, 'by_push', c.by_push,
            'has_device', EXISTS (SELECT FROM push_devices d WHERE d.user_id = who.id))
        FROM (SELECT {person} AS id) who
        LEFT JOIN contacts c ON c.party = '{party}' AND c.person_id = who.id
        LEFT JOIN notification_preferences p ON p.user_id = who.id
    )"""


def recipient_of(stored: dict[str, Any]) -> Recipient:
    """Somebody whose profile has not arrived yet may be reached by every way."""
    ways = {
        ChannelName.EMAIL: stored["by_email"],
        ChannelName.SMS: stored["by_sms"],
        ChannelName.PUSH: stored["by_push"],
    }
    return Recipient(
        preferences=Preferences.of(stored["preferences"]),
        reachable_by=frozenset(way for way, allowed in ways.items() if allowed is not False),
        has_device=stored["has_device"],
        timezone=stored["timezone"],
    )
