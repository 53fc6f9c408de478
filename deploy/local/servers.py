"""PostgreSQL and RabbitMQ: private ones of this run folder, or those that settings name."""

import asyncio
from dataclasses import dataclass

from local import postgres, rabbitmq
from local.accounts import unprivileged_account
from local.console import Console
from local.folder import RunFolder
from local.ports import Ports
from local.postgres import PrivatePostgres
from local.prepare import Tools, prepare
from local.processes import Program
from local.rabbitmq import PrivateRabbitMQ
from local.supervisor import Supervisor
from local.waiting import listening


@dataclass(frozen=True)
class Given:
    """Servers that are there already and shall be used; None where a private one is wanted."""

    postgres_admin_url: str | None = None
    amqp_url: str | None = None


class Servers:
    """Both servers' URLs, and what starts those that are ours."""

    def __init__(
        self,
        tools: Tools,
        given: Given,
        postgres: PrivatePostgres | None,
        rabbitmq: PrivateRabbitMQ | None,
    ) -> None:
        self.tools = tools
        self._given = given
        self._postgres = postgres
        self._rabbitmq = rabbitmq

    @property
    def admin_url(self) -> str:
        """A superuser's URL."""
        return self._postgres.admin_url if self._postgres else self._given.postgres_admin_url or ""

    @property
    def amqp_url(self) -> str:
        return self._rabbitmq.url if self._rabbitmq else self._given.amqp_url or ""

    def programs(self) -> list[Program]:
        programs = [self._postgres.program()] if self._postgres else []
        return programs + (self._rabbitmq.programs() if self._rabbitmq else [])

    async def start_postgres(self, supervisor: Supervisor, console: Console) -> None:
        if self._postgres:
            with console.step(f"PostgreSQL {self._postgres.release.major}"):
                await self._postgres.create()
                await supervisor.start("postgres")
                await supervisor.until_ready("postgres", lambda: postgres.answers(self.admin_url))

    async def start_rabbitmq(self, supervisor: Supervisor, console: Console) -> None:
        if self._rabbitmq:
            epmd_port = self._rabbitmq.epmd_port
            with console.step("RabbitMQ"):
                # The node would start a port mapper itself, one that nobody ends.
                await supervisor.start("epmd")
                await supervisor.until_ready("epmd", lambda: listening(epmd_port), limit=10)
                await supervisor.start("rabbitmq")
                port = self._rabbitmq.port
                await supervisor.until_ready("rabbitmq", lambda: listening(port))
                await supervisor.until_ready("rabbitmq", lambda: rabbitmq.answers(self.amqp_url))


async def find_servers(
    folder: RunFolder, ports: Ports, given: Given, console: Console, *, durable: bool
) -> Servers:
    """Get what is missing on this machine, and write the private servers' settings."""
    account = unprivileged_account()
    data = await postgres.home_of_data(folder.path, account)
    tools = await prepare(
        console,
        folder.logs / "install.log",
        postgres=given.postgres_admin_url is None,
        rabbitmq=given.amqp_url is None,
        postgres_major=postgres.written_by(data),
    )
    private_postgres = private_rabbitmq = None
    if tools.postgres:
        private_postgres = PrivatePostgres(
            release=await postgres.programs_for(tools.postgres, folder.path, account),
            data=data,
            port=ports["postgres"],
            password=folder.secret("postgres"),
            account=account,
            durable=durable,
        )
    if tools.rabbitmq:
        private_rabbitmq = PrivateRabbitMQ(
            tools=tools.rabbitmq,
            folder=folder.path / "rabbitmq",
            port=ports["rabbitmq"],
            distribution_port=ports["rabbitmq distribution"],
            epmd_port=ports["epmd"],
            password=folder.secret("rabbitmq"),
            durable=durable,
        )
        await asyncio.to_thread(private_rabbitmq.create)
    return Servers(tools, given, private_postgres, private_rabbitmq)
