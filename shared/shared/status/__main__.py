"""``python -m shared.status [--json]``: 0 when nothing is wrong, 1 when something is.

It reads PROCESSES (``bookings-api=http://host:port …``), AMQP_URL, each service's
``<SERVICE>_DATABASE_URL``, and where they are set BASE_URL (the gateway) and SERVICES_FOLDER
(where the migrations are).
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson

from shared.status.judging import WITH_MAKE, WITH_MODULES, judge
from shared.status.looking import Places, look
from shared.status.screen import as_json, shown

_URL_OF_DATABASE = "_DATABASE_URL"


class NotTold(Exception):
    """A variable is missing or makes no sense."""


def places_of(environment: Mapping[str, str]) -> Places:
    """Raises NotTold."""
    try:
        processes = dict(entry.split("=", 1) for entry in environment["PROCESSES"].split())
        amqp_url = environment["AMQP_URL"]
    except KeyError as error:
        raise NotTold(f"{error.args[0]} is not set") from None
    except ValueError:
        raise NotTold("PROCESSES is a list like bookings-api=http://127.0.0.1:8000") from None
    services = dict.fromkeys(name.rpartition("-")[0] for name in processes)
    databases = {
        service: environment[variable]
        for service in services
        if (variable := service.upper().replace("-", "_") + _URL_OF_DATABASE) in environment
    }
    if missing := services.keys() - databases:
        raise NotTold(f"no {_URL_OF_DATABASE} is set for {', '.join(sorted(missing))}")
    folder = environment.get("SERVICES_FOLDER")
    return Places(
        processes=processes,
        databases=databases,
        amqp_url=amqp_url,
        gateway_url=environment.get("BASE_URL"),
        migrations=Path(folder) if folder else None,
    )


def main() -> int:
    """2 when it is not told where to look."""
    parser = argparse.ArgumentParser(prog="python -m shared.status", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--make", action="store_true", help="name make's targets, not modules")
    options = parser.parse_args()
    try:
        places = places_of(os.environ)
    except NotTold as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.disable(logging.CRITICAL)  # libraries tell of what is away, as the screen does
    facts = asyncio.run(look(places))
    findings = judge(facts, WITH_MAKE if options.make else WITH_MODULES)
    if options.json:
        sys.stdout.write(orjson.dumps(as_json(facts, findings)).decode() + "\n")
    else:
        sys.stdout.write(shown(facts, findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
