"""What PostgreSQL makes of hold and confirm alone, by its own load generator."""

import asyncio
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.load import CONNECTIONS
from bench.stage import CHECKOUT, Stage

SCRIPT = Path(__file__).with_name("hold_and_confirm.sql")

# As ours without what a benchmark of PostgreSQL needs not: the same constraints and events.
TABLES = """
CREATE SCHEMA yardstick;
CREATE TABLE yardstick.appointments (
    id uuid PRIMARY KEY, version integer NOT NULL, status text NOT NULL, patient_id uuid NOT NULL,
    starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, terms jsonb NOT NULL);
CREATE INDEX ON yardstick.appointments (patient_id, starts_at);
CREATE TABLE yardstick.claims (
    appointment_id uuid NOT NULL, unit_id uuid NOT NULL, period tstzrange NOT NULL,
    PRIMARY KEY (appointment_id, unit_id), EXCLUDE USING gist (unit_id WITH =, period WITH &&));
CREATE TABLE yardstick.audit_events (
    id uuid PRIMARY KEY, appointment_id uuid NOT NULL, sequence integer NOT NULL,
    action text NOT NULL, occurred_at timestamptz NOT NULL DEFAULT now(), hash bytea NOT NULL,
    UNIQUE (appointment_id, sequence));
CREATE TABLE yardstick.outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE,
    type text NOT NULL, subject text NOT NULL, sequence bigint NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL, published_at timestamptz);
CREATE INDEX ON yardstick.outbox (position) WHERE published_at IS NULL;
"""


async def pairs_per_second(on: Stage, seconds: int) -> float:
    """Pairs of hold and confirm, from as many clients as the API gets."""
    server = urlsplit(on.admin_url)
    process = await asyncio.create_subprocess_exec(
        *(_program(), "--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}"),
        *(f"--client={CONNECTIONS}", f"--time={seconds}", server.path.lstrip("/")),
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
