"""Whether the spans of a process leave it; while they do not, nothing of the SDK is loaded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.garbage import spare_the_collector
from shared.settings import ServiceSettings


@asynccontextmanager
async def spans_exported(settings: ServiceSettings, service: str) -> AsyncIterator[None]:
    """Inside, spans go where the settings say; open it before what makes them."""
    if settings.traces_url is None:
        yield
        return
    from shared.observability.recording import exporting

    # What has just been loaded stays too.
    spare_the_collector()
    async with exporting(settings, settings.traces_url, service):
        yield
