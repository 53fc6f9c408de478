"""A system whose processes are replaced one after the other while people use it.

What a cluster does is done here by hand: new copies are let in when they are ready, and a copy is
left alone before it is told to stop.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from local import demo_data
from local.api import Api, answers_200
from local.console import Console
from local.databases import Databases
from local.demo_data import Clinic
from local.folder import RunFolder
from local.gateway import Gateway
from local.keys import signing_key
from local.mail import mail_program
from local.ports import Ports
from local.servers import Given, find_servers
from local.services import (
    SERVICES,
    Release,
    Service,
    Surroundings,
    api_name,
    programs,
    worker_name,
)
from local.supervisor import Supervisor, files_allowed
from local.waiting import listening, wait_for
from tests.e2e.balancer import Balancer

READY = 180.0
LEFT_ALONE = 60.0
"""A gateway gives up an idle connection after 10 s, and asks for a new one elsewhere."""


@dataclass(frozen=True)
class Copy:
    """An API and a worker of every service, of one release."""

    name: str
    release: Release
    surroundings: Surroundings

    def address(self, service: str) -> str:
        return self.surroundings.address(service)


@dataclass
class Rolling:
    """Servers, a gateway, and copies of the services' processes that come and go."""

    folder: Path
    supervisor: Supervisor
    gateway: Gateway
    databases: Databases
    admin_url: str
    amqp_url: str
    copies: Mapping[str, Copy]
    inner: Mapping[str, Balancer]
    """Where services find each other."""
    base_url: str
    mail: Path
    let_in: dict[str, list[Copy]] = field(default_factory=dict)
    """By service: the copies whose API is asked."""

    async def start(self, copy: Copy, *services: Service) -> None:
        """API and worker of these services, or of all, until each says that it is ready.

        Nobody asks the APIs yet.
        """
        ports: dict[str, int] = {}
        for service in services or SERVICES:
            ports[api_name(service) + copy.name] = copy.surroundings.api_ports[service.name]
            ports[worker_name(service) + copy.name] = copy.surroundings.worker_ports[service.name]
        await self.supervisor.start(*ports)
        async with asyncio.TaskGroup() as group:
            for name, port in ports.items():
                look = partial(answers_200, f"http://127.0.0.1:{port}/readyz")
                group.create_task(self.supervisor.until_ready(name, look, limit=READY))

    async def ask(self, service: str, *copies: Copy) -> None:
        """From now on these copies of the service's API are asked, and no others."""
        self.let_in[service] = list(copies)
        if service in self.inner:
            self.inner[service].places = [copy.surroundings.api_ports[service] for copy in copies]
        if len(self.let_in) < len(SERVICES):
            return
        addresses = {
            name: ",".join(copy.address(name) for copy in asked)
            for name, asked in self.let_in.items()
        }
        replace(self.gateway, upstreams=addresses).create()
        if await listening(self.gateway.port):
            os.kill(await self._gateway_pid(), signal.SIGHUP)

    async def ask_all(self, *copies: Copy) -> None:
        for service in SERVICES:
            self.let_in.pop(service.name, None)
        for service in SERVICES:
            await self.ask(service.name, *copies)

    async def open_gateway(self) -> None:
        await self.supervisor.start("gateway")
        await self.supervisor.until_ready(
            "gateway", partial(answers_200, f"{self.base_url}/healthz"), limit=60
        )

    @asynccontextmanager
    async def asking_who_is_ready(self, *copies: Copy) -> AsyncIterator[None]:
        """As a load balancer: who says on `/readyz` that it is to stop is asked no more."""

        async def look(service: Service) -> None:
            while True:
                answers = await asyncio.gather(
                    *(answers_200(f"http://{copy.address(service.name)}/readyz") for copy in copies)
                )
                ready = [copy for copy, yes in zip(copies, answers, strict=True) if yes]
                if ready and ready != self.let_in[service.name]:
                    await self.ask(service.name, *ready)
                await asyncio.sleep(0.2)

        looking = [asyncio.create_task(look(service)) for service in SERVICES]
        try:
            yield
        finally:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def relay_of(self, service: str) -> int | None:
        """The backend that holds the relay's lock; None while nobody does."""
        rows = await self.query(
            service,
            """
            SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
                AND a.application_name = $1
            """,
            f"{service} relay",
        )
        return rows[0]["pid"] if rows else None

    async def end(self, name: str) -> None:
        """SIGTERM; returns when the process is gone."""
        await self.supervisor.end(name)

    async def _gateway_pid(self) -> int:
        return await asyncio.to_thread(self.supervisor.pid_of, "gateway")

    async def until_left_alone(self, service: str, copy: Copy) -> None:
        """The gateway is not connected to this copy's API any more, as after a Pod's `preStop`.

        Other services keep the connections that they have; they repeat a call that broke.
        """
        port = copy.surroundings.api_ports[service]
        others = self.inner[service].connected if service in self.inner else Counter[int]()

        async def nobody() -> bool:
            return connected_to(port) <= others[port]

        await wait_for(nobody, f"nobody asks {service}{copy.name}", limit=LEFT_ALONE, every=0.2)

    async def query(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.databases.urls()[service])
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    def migrate_as(self, release: Release) -> None:
        """As that release's own `make migrate` does it."""
        places = [release.root / "deploy", release.root / "shared"]
        places += [release.folder(service) for service in SERVICES]
        subprocess.run(
            [sys.executable, "-m", "local", "migrate", "--run-dir", str(self.folder)],
            cwd=release.root,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(map(str, places)),
                "POSTGRES_ADMIN_URL": self.admin_url,
            },
            check=True,
            capture_output=True,
        )


def connected_to(port: int) -> int:
    """How many connections somebody has to this port of 127.0.0.1."""
    wanted, established = f"0100007F:{port:04X}", "01"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        fields[1] == wanted and fields[3] == established
        for fields in (line.split() for line in lines)
    )


@asynccontextmanager
async def rolling(
    folder: Path,
    releases: Mapping[str, Release],
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Rolling]:
    """Servers that run, databases without a schema, and a copy of each name, not started yet.

    ``settings`` are what the processes of a copy find in their environment as well.
    """
    async with AsyncExitStack() as stack:
        output = stack.enter_context(folder.with_suffix(".log").open("w"))
        console, run_folder = Console(output), RunFolder(folder)
        stack.enter_context(run_folder.held())
        ports = stack.enter_context(Ports.held(folder / "ports.json"))
        servers = await find_servers(run_folder, ports, Given(), console, durable=False)
        await asyncio.to_thread(signing_key, run_folder.keys)
        databases = Databases(servers.admin_url, run_folder)
        inner = {
            name: await stack.enter_async_context(Balancer.open())
            for name in ("availability", "bookings")
        }
        port = ports["gateway"]
        base_url = f"http://127.0.0.1:{port}"
        copies = {
            name: Copy(
                name,
                release,
                Surroundings.of(
                    run_folder,
                    ports,
                    databases=databases.urls(),
                    amqp_url=servers.amqp_url,
                    public_url=base_url,
                    copy=name,
                ),
            )
            for name, release in releases.items()
        }
        copies = {
            name: replace(
                copy,
                surroundings=replace(
                    copy.surroundings,
                    inner={name: f"127.0.0.1:{each.port}" for name, each in inner.items()},
                ),
            )
            for name, copy in copies.items()
        }
        gateway = Gateway(
            nginx=servers.tools.nginx,
            folder=folder / "gateway",
            port=port,
            upstreams={},
            files=files_allowed(),
            reloads=True,
        )
        ports.save()
        everything = [
            *servers.programs(),
            mail_program(run_folder.mail, port=ports["smtp"], run_folder=folder),
            *(
                replace(program, environment={**program.environment, **more})
                for copy in copies.values()
                for more in ((settings or {}).get(copy.name, {}),)
                for program in programs(copy.surroundings, release=copy.release, copy=copy.name)
            ),
            gateway.program(),
        ]
        supervisor = await stack.enter_async_context(Supervisor(run_folder, everything, console))
        async with asyncio.TaskGroup() as group:
            group.create_task(servers.start_rabbitmq(supervisor, console))
            group.create_task(supervisor.start("mail"))
            await servers.start_postgres(supervisor, console)
            await databases.provide()
        yield Rolling(
            folder=folder,
            supervisor=supervisor,
            gateway=gateway,
            databases=databases,
            admin_url=servers.admin_url,
            amqp_url=servers.amqp_url,
            copies=copies,
            inner=inner,
            base_url=base_url,
            mail=run_folder.mail,
        )


async def clinic_of(system: Rolling, copy: Copy) -> Clinic:
    """The demo's providers and patients, loaded by this copy's release."""
    availability = SERVICES[0]
    key = await asyncio.to_thread(signing_key, system.folder / "keys")
    providers = await demo_data.load_providers(
        availability, copy.surroundings.settings(availability), key, copy.release
    )
    async with Api.open(system.base_url) as api:
        patients = await demo_data.load_patients(api, key)
    return Clinic(providers, patients, demo_data.admin_token(key))
