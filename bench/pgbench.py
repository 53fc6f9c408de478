"""What PostgreSQL makes of hold and confirm alone, by its own load generator."""

import asyncio
import math
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.load import CONNECTIONS
from bench.stage import CHECKOUT, Stage

SCRIPT = Path(__file__).with_name("hold_and_confirm.sql")


async def pairs_per_second(on: Stage, seconds: float) -> float:
    """Pairs of hold and confirm on bookings' own tables, from as many clients as the API gets."""
    server = urlsplit(on.admin_url)
    process = await asyncio.create_subprocess_exec(
        *(_program(), "--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}"),
        *(f"--client={CONNECTIONS}", f"--time={math.ceil(seconds)}", server.path.lstrip("/")),
        env=os.environ
        | {
            "PGHOST": server.hostname or "",
            "PGPORT": str(server.port or 5432),
            "PGUSER": unquote(server.username or ""),
            "PGPASSWORD": unquote(server.password or ""),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    rate = re.search(rb"^tps = ([\d.]+)", output, re.MULTILINE)
    if process.returncode or rate is None:
        raise RuntimeError(f"pgbench failed: {errors.decode(errors='replace')}")
    return float(rate[1])


def _program() -> str:
    """Beside the server's own programs, as `make run` finds them."""
    sys.path.append(str(CHECKOUT / "deploy"))
    from local.prepare import find_postgres

    found = find_postgres()
    if found is None or not (found.bin / "pgbench").is_file():
        raise RuntimeError("pgbench is not beside PostgreSQL's programs; install its contrib part")
    return str(found.bin / "pgbench")
