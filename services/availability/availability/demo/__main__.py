"""``python -m availability.demo``, as often as you like: loads the clinic and prints it as JSON."""

import sys
from collections.abc import Iterable
from typing import Any

import orjson
import uvloop

from availability.demo.loading import load
from availability.demo.practice import Practice
from shared.db import Database
from shared.settings import ServiceSettings


def _told(practices: Iterable[Practice]) -> dict[str, Any]:
    return {
        "providers": [
            {
                "id": practice.provider.id,
                "name": practice.provider.name,
                "timezone": practice.provider.timezone,
                "services": [
                    {"id": service.id, "title": service.name} for service in practice.services
                ],
            }
            for practice in practices
        ]
    }


async def _main() -> None:
    settings = ServiceSettings()
    async with Database.open(
        settings.database_url, application_name="availability-demo", pool_size=2
    ) as database:
        practices = await load(database)
    sys.stdout.write(orjson.dumps(_told(practices), option=orjson.OPT_APPEND_NEWLINE).decode())


if __name__ == "__main__":
    uvloop.run(_main())
