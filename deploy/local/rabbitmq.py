"""A private RabbitMQ: own node, data, user, and a port mapper of its own that ends with it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import aio_pika

from local.console import CannotRun
from local.folder import write_private
from local.prepare import RabbitMQ, find_program
from local.processes import Program

USER = VHOST = "medic"

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_vhost = {vhost}
default_user = {user}
default_pass = {password}
log.file = false
log.console = true
log.console.level = warning
# The write-ahead log of quorum queues may grow to 512 MB by default: much for one person's machine.
raft.wal_max_size_bytes = 64000000
"""
DURABLE = "[].\n"
UNSAFE_BUT_FAST = "[{ra, [{wal_sync_method, none}]}].\n"


@dataclass(frozen=True)
class PrivateRabbitMQ:
    """One node, alone."""

    tools: RabbitMQ
    folder: Path
    port: int
    distribution_port: int
    epmd_port: int
    password: str
    durable: bool = True

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self.port}/{VHOST}"

    def create(self) -> None:
        """Write the node's settings; its data is its own affair."""
        for part in ("home", "mnesia", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        values = {"port": self.port, "vhost": VHOST, "user": USER, "password": self.password}
        write_private(self.folder / "rabbitmq.conf", CONFIG.format(**values))
        write_private(self.folder / "advanced.config", DURABLE if self.durable else UNSAFE_BUT_FAST)
        write_private(self.folder / "enabled_plugins", "[].\n")
        write_private(self.folder / "rabbitmq-env.conf", "")

    def programs(self) -> list[Program]:
        return [
            Program(
                name="epmd",
                group="servers",
                command=(str(self.tools.epmd),),
                folder=self.folder,
                environment=self._port_mapper(),
            ),
            Program(
                name="rabbitmq",
                group="servers",
                command=(str(self.tools.server),),
                folder=self.folder,
                environment=self._port_mapper() | self._node(),
                stop_seconds=20,
            ),
        ]

    def _port_mapper(self) -> dict[str, str]:
        return {"ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def _node(self) -> dict[str, str]:
        erlang = find_program("erl")
        if erlang is None:
            raise CannotRun("RabbitMQ is here, but Erlang's `erl` is not on the path")
        places = dict.fromkeys((str(erlang.parent), "/usr/local/bin", "/usr/bin", "/bin"))
        return {
            "PATH": ":".join(places),
            "HOME": str(self.folder / "home"),  # where the cookie lies
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": "medic@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            # The script then becomes the node instead of standing before it, so that whoever
            # kills the process they see has killed the node.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Without these two the system's own server would lend its settings.
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }


async def answers(url: str) -> bool:
    """True once the broker accepts our user."""
    try:
        connection = await aio_pika.connect(url, timeout=5)
    except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
        return False
    with contextlib.suppress(aio_pika.exceptions.AMQPError):
        await connection.close()
    return True
