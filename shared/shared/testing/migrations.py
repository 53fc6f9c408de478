"""The test that every service runs on its migrations."""

from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from shared.migrations import differences


async def model_differences(owner_url: str, metadata: MetaData) -> list[Any]:
    """How the migrated database behind ``owner_url`` differs from the models; empty is right."""
    engine = create_async_engine(owner_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: differences(metadata, sync))
    finally:
        await engine.dispose()
