"""The migrations build what the models say."""

import pytest

import notifications.realtime.models
import notifications.webhooks.models  # noqa: F401 -- more tables of the same metadata
from notifications.models import metadata
from shared.testing.migrations import model_differences

pytestmark = pytest.mark.migrations


async def test_migrations_match_models(owner_url: str) -> None:
    assert await model_differences(owner_url, metadata) == []
