"""What a benchmark runs on: a migrated database of its own, and servers as in production."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.db import Database
from shared.migrations import upgrade
from shared.provisioning import provision
from shared.testing.databases import PASSWORD, with_login

CHECKOUT = Path(__file__).resolve().parents[1]
ISSUER, AUDIENCE = "https://issuer.bench", "medic"
STARTS_WITHIN = 30.0


@dataclass(frozen=True)
class Stage:
    admin_url: str
    database_url: str
    database: Database
    settings: Mapping[str, str]
    _key: rsa.RSAPrivateKey
    _processes: dict[int, int] = field(default_factory=dict)
    """By port."""

    def token(self, role: str = "patient", sub: UUID | None = None) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
        claims |= {"sub": str(sub or uuid4()), "role": role}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": "bench"})

    async def as_admin(self, *statements: str) -> None:
        admin = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await admin.execute(statement)
        finally:
            await admin.close()

    @asynccontextmanager
    async def serving(self, factory: str) -> AsyncIterator[int]:
        """The port of one uvicorn process with this app, started as in production."""
        port = a_free_port()
        arguments = ["--factory", factory, "--port", str(port), "--no-access-log"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", *arguments, "--log-level", "warning"),
            env=os.environ | self.settings,
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self._processes[port] = process.pid
        try:
            await answers(port)
            yield port
        finally:
            process.terminate()
            await process.wait()

    def busy_seconds(self, port: int) -> float:
        """The processor time that the server there has taken so far."""
        stat = Path(f"/proc/{self._processes[port]}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def stage(service: str, **own_settings: str) -> AsyncIterator[Stage]:
    """On the server of TEST_POSTGRES_URL, which `make bench` starts."""
    role = service.replace("-", "_")
    server = os.environ["TEST_POSTGRES_URL"]
    name = f"bench_{uuid4().hex}"
    # Roles are the cluster's, so on a server that tests use too they keep the tests' password.
    await provision(server, role, password=PASSWORD, owner_password=PASSWORD, database=name)
    owner = with_login(server, user=f"{role}_owner", password=PASSWORD, database=name)
    url = with_login(server, user=role, password=PASSWORD, database=name)
    await asyncio.to_thread(upgrade, CHECKOUT / "services" / service, owner)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    try:
        with tempfile.TemporaryDirectory() as folder:
            jwks = Path(folder) / "jwks.json"
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            jwks.write_text(json.dumps({"keys": [public | {"kid": "bench", "use": "sig"}]}))
            settings = {
                "DATABASE_URL": url,
                "AMQP_URL": "amqp://nobody@127.0.0.1:1/",
                "AUTH_ISSUER": ISSUER,
                "AUTH_AUDIENCE": AUDIENCE,
                "AUTH_JWKS": str(jwks),
                "SERVICE_SECRET": "a-secret-between-services-for-benchmarks",
                **own_settings,
            }
            async with Database.open(url, application_name="bench") as database:
                admin_url = server.rpartition("/")[0] + f"/{name}"
                yield Stage(admin_url, url, database, settings, key)
    finally:
        admin = await asyncpg.connect(server)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


def a_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def answers(port: int) -> None:
    """Returns as soon as somebody listens there."""
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
