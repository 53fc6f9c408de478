"""Endpoints that are told nothing more, and their owners, who hear of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from notifications.domain.facts import WebhookFacts
from notifications.domain.news import News
from notifications.jobs import planning
from notifications.use_cases.operations import tell_provider
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Disabled:
    """That an endpoint has been disabled, and was not before."""

    id: UUID
    provider_id: UUID | None
    """None for one of the clinic."""
    url: str
    disabled_because: Literal["gone", "failing"]
    failing_since: datetime
    """Ends when the endpoint is enabled again, so each disabling has its own."""
    now: datetime


async def tell_owner(db: Connection, disabled: Disabled) -> None:
    """Once for each disabling. The clinic has no address: its operators read it in the log."""
    if disabled.provider_id is not None:
        await tell_provider(
            db,
            News.WEBHOOK_DISABLED,
            WebhookFacts.of(
                disabled.provider_id, disabled.id, disabled.url, disabled.disabled_because
            ),
            key=f"{_about(disabled.id)}{disabled.failing_since.isoformat()}",
            at=disabled.now,
        )


async def need_not_tell(db: Connection, owner: UUID | None, endpoint_id: UUID) -> None:
    """It is enabled again, or removed: what has not been said of it need not be."""
    if owner is not None:
        await planning.withdraw(
            db,
            _about(endpoint_id),
            recipient_id=owner,
            reason="the endpoint is enabled again, or is gone",
        )


def _about(endpoint_id: UUID) -> str:
    return f"{endpoint_id}:{News.WEBHOOK_DISABLED}:"
