"""The migrations build what the models say."""

import pytest

from calendar_sync.models import Base
from shared.testing.migrations import model_differences

pytestmark = pytest.mark.migrations


async def test_migrations_match_models(owner_url: str) -> None:
    assert await model_differences(owner_url, Base.metadata) == []
