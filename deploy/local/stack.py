"""The whole system on this machine: started in the order of its needs, ended in the reverse."""

import argparse
import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from local import demo_data, services
from local.api import Api, answers_200
from local.calendar_connection import CalendarConnection, connect
from local.console import CannotRun, Console, WentWrong
from local.databases import Databases
from local.demo_data import Clinic
from local.demo_file import write_demo_file
from local.env_file import write_env_file
from local.folder import RunFolder
from local.gateway import WIDE_OPEN, Gateway
from local.keys import SigningKey, signing_key
from local.leftovers import end_leftovers
from local.links import Links
from local.mail import mail_program
from local.ports import Ports, is_free
from local.postgres import data_elsewhere
from local.processes import with_settings
from local.radicale import Radicale
from local.servers import Given, Servers, find_servers
from local.services import SERVICES, Surroundings
from local.settled import settled
from local.story import Story
from local.supervisor import Supervisor, files_allowed, register_file
from local.waiting import listening
from local.what_to_try import tell_what_to_try


@dataclass(frozen=True)
class Choices:
    """What the person may decide about a run."""

    port: int
    story: bool = True
    stay: bool = True
    log_level: str = "INFO"
    links: bool = False
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of a process: variables over its own."""
    given: Given = field(default_factory=Given)
    gateway_settings: Mapping[str, str] = field(default_factory=dict)
    telemetry: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        limits = WIDE_OPEN
        return cls(
            port=options.port,
            story=not options.no_story,
            stay=options.command == "run",
            links=options.links,
            settings=json.loads(options.settings.read_text()) if options.settings else {},
            log_level=os.environ.get("LOG_LEVEL", "INFO"),
            given=Given(os.environ.get("POSTGRES_ADMIN_URL"), os.environ.get("AMQP_URL")),
            gateway_settings={n: os.environ[n] for n in limits if n in os.environ},
            telemetry={n: value for n, value in os.environ.items() if n.startswith("OTEL_")},
        )


async def run(folder: RunFolder, choices: Choices, console: Console) -> None:
    """Bring everything up, tell the story, stay or end; nothing runs any more when it returns."""
    with folder.held(), Ports.held(folder.path / "ports.json") as ports:
        folder.demo_file.unlink(missing_ok=True)
        await end_leftovers(register_file(folder), console)
        if choices.port and not is_free(choices.port):
            raise CannotRun(f"port {choices.port} is in use; choose another one: PORT=…")
        stack = await Stack.prepared(folder, choices, console, ports)
        async with stack.running() as supervisor:
            clinic = await stack.load_demo_data()
            calendar = await stack.connect_calendar(clinic)
            if choices.story:
                await stack.tell_story(clinic, calendar, stay=choices.stay)
            stack.write_demo_file(clinic, calendar)
            if choices.stay:
                stack.tell_what_to_try(clinic, calendar)
                await supervisor.ended()
                raise WentWrong("somebody has ended supervisord, so everything ends")
            console.say("\nEvery step was seen to happen.")


async def clean(folder: RunFolder, console: Console) -> None:
    """Forget everything an earlier run has left: its processes and its data."""
    if not folder.path.exists():
        return
    with folder.held():
        await end_leftovers(register_file(folder), console)
        if elsewhere := data_elsewhere(folder.path):
            shutil.rmtree(elsewhere)
        shutil.rmtree(folder.path)
    console.say(f"removed {folder.path}")


async def migrate(folder: RunFolder, console: Console) -> None:
    """Bring the databases of the running system up to the newest migrations."""
    admin_url = os.environ.get("POSTGRES_ADMIN_URL")
    if not admin_url:
        raise CannotRun("POSTGRES_ADMIN_URL is not set; `make migrate` takes it from what runs")
    behind = await Databases(admin_url, folder).migrate()
    console.say(f"{behind} of {len(SERVICES)} databases were behind and are migrated now")


class Stack:
    """Five services with all they need, and the gateway before them."""

    def __init__(
        self,
        folder: RunFolder,
        choices: Choices,
        console: Console,
        servers: Servers,
        key: SigningKey,
        ports: Ports,
    ) -> None:
        self._folder = folder
        self._console = console
        self._servers = servers
        self._key = key
        self._databases = Databases(servers.admin_url, folder)
        self._links = Links(folder, ports) if choices.links else None
        self._settings = choices.settings
        self._smtp_port = ports["smtp"]
        self._radicale = Radicale.of(folder, port=ports["radicale"])
        port = choices.port or ports["gateway"]
        self.base_url = f"http://127.0.0.1:{port}"
        self._surroundings = Surroundings.of(
            folder,
            ports,
            databases=self._databases.urls(),
            amqp_url=servers.amqp_url,
            public_url=f"http://localhost:{port}",
            log_level=choices.log_level,
            telemetry=choices.telemetry,
        )
        self._gateway = Gateway(
            nginx=servers.tools.nginx,
            folder=folder.path / "gateway",
            port=port,
            upstreams={s.name: self._surroundings.address(s.name) for s in SERVICES},
            files=files_allowed(),
            settings=choices.gateway_settings,
        )

    @classmethod
    async def prepared(
        cls, folder: RunFolder, choices: Choices, console: Console, ports: Ports
    ) -> Self:
        """Everything found or installed, every setting written, nothing started."""
        servers = await find_servers(folder, ports, choices.given, console, durable=True)
        key = await asyncio.to_thread(signing_key, folder.keys)
        stack = cls(folder, choices, console, servers, key, ports)
        stack._gateway.create()
        ports.save()
        return stack

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        """Up from servers to gateway; everything is ended when the block is left."""
        mail = mail_program(self._folder.mail, port=self._smtp_port, run_folder=self._folder.path)
        processes = services.programs(self._surroundings)
        if self._links:
            processes = [self._links.program(), *self._links.through(processes)]
        processes = with_settings(processes, self._settings)
        programs = [
            *self._servers.programs(),
            mail,
            self._radicale.program(),
            *processes,
            self._gateway.program(),
        ]
        self._console.say(f"Starting everything in {self._folder.path} …")
        try:
            async with Supervisor(self._folder, programs, self._console) as supervisor:
                await self._start(supervisor)
                write_env_file(
                    self._folder.env_file,
                    self._surroundings,
                    base_url=self.base_url,
                    admin_url=self._servers.admin_url,
                )
                yield supervisor
        finally:
            # Whoever finds these files may rely on a system that runs.
            self._folder.demo_file.unlink(missing_ok=True)
            self._folder.env_file.unlink(missing_ok=True)
            self._console.say(f"Everything is ended; data and logs stay in {self._folder.path}")

    async def _start(self, supervisor: Supervisor) -> None:
        """Each as soon as what it needs is there; on two cores every second of waiting counts."""
        around = self._surroundings
        if self._links:
            await supervisor.start("links")
            await supervisor.until_ready("links", self._links.ready, limit=15)
        async with asyncio.TaskGroup() as group:
            databases = group.create_task(self._databases_ready(supervisor))
            broker = group.create_task(self._servers.start_rabbitmq(supervisor, self._console))
            group.create_task(self._mail_ready(supervisor))
            group.create_task(self._radicale_ready(supervisor))
            # An API answers without the broker: what it has to tell waits in its outbox. Workers
            # would only take processor time from the broker's start.
            ports = {services.api_name(s): around.api_ports[s.name] for s in SERVICES}
            group.create_task(self._services_ready(supervisor, "APIs", ports, databases))
            ports = {services.worker_name(s): around.worker_ports[s.name] for s in SERVICES}
            group.create_task(self._services_ready(supervisor, "workers", ports, databases, broker))
        with self._console.step("gateway"):
            await supervisor.start("gateway")
            url = f"{self.base_url}/healthz"
            await supervisor.until_ready("gateway", partial(answers_200, url), limit=15)

    async def _databases_ready(self, supervisor: Supervisor) -> None:
        await self._servers.start_postgres(supervisor, self._console)
        with self._console.step("five databases, migrated"):
            await self._databases.provide()
            await self._databases.migrate()

    async def _mail_ready(self, supervisor: Supervisor) -> None:
        await supervisor.start("mail")
        await supervisor.until_ready("mail", partial(listening, self._smtp_port))

    async def _radicale_ready(self, supervisor: Supervisor) -> None:
        await supervisor.start("radicale")
        await supervisor.until_ready("radicale", partial(listening, self._radicale.port))

    async def _services_ready(
        self,
        supervisor: Supervisor,
        kind: str,
        ports: Mapping[str, int],
        *needs: asyncio.Task[None],
    ) -> None:
        for need in needs:
            await need
        with self._console.step(f"five {kind}"):
            await supervisor.start(*ports)
            async with asyncio.TaskGroup() as group:
                for name, port in ports.items():
                    url = f"http://127.0.0.1:{port}/readyz"
                    group.create_task(supervisor.until_ready(name, partial(answers_200, url)))

    async def load_demo_data(self) -> Clinic:
        """A clinic to try things with, known to every service."""
        availability = SERVICES[0]
        with self._console.step("demo data, known to every service"):
            providers = await demo_data.load_providers(
                availability, self._surroundings.settings(availability), self._key
            )
            async with Api.open(self.base_url) as api:
                patients = await demo_data.load_patients(api, self._key)
            await settled(self._surroundings)
        return Clinic(providers, patients, demo_data.admin_token(self._key))

    async def connect_calendar(self, clinic: Clinic) -> CalendarConnection:
        """One provider has a calendar of their own; the others are as they were loaded."""
        with self._console.step("a provider's own calendar, connected"):
            async with Api.open(self.base_url) as api:
                return await connect(api, clinic.providers[1], self._radicale)

    async def tell_story(self, clinic: Clinic, calendar: CalendarConnection, *, stay: bool) -> None:
        """WentWrong at the first step that is not seen; who stays is told, and can look around."""
        async with Api.open(self.base_url) as api:
            try:
                await Story(api, clinic, calendar, self._folder.mail, self._console).tell()
            except WentWrong as error:
                if not stay:
                    raise
                self._console.say(f"! the story failed: {error}\n  What runs goes on running.")

    def write_demo_file(self, clinic: Clinic, calendar: CalendarConnection) -> None:
        write_demo_file(
            self._folder.demo_file,
            clinic,
            calendar,
            base_url=self.base_url,
            databases=self._surroundings.databases,
            amqp_url=self._surroundings.amqp_url,
            mail=self._folder.mail,
        )

    def tell_what_to_try(self, clinic: Clinic, calendar: CalendarConnection) -> None:
        tell_what_to_try(
            self._console.say,
            clinic,
            calendar,
            folder=self._folder.path,
            surroundings=self._surroundings,
            base_url=self.base_url,
        )
