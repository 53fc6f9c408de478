"""The real PostgreSQL and RabbitMQ that tests run against.

`make test` starts private ones and names them in TEST_POSTGRES_URL and TEST_AMQP_URL. Without those
variables the fixtures start containers.
"""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_PASSWORD = "for-tests-only"
# It starts once for its set-up, and says so, before it starts for good.
_POSTGRES_READY = r"(?s)ready to accept connections.*ready to accept connections"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A superuser's URL of a PostgreSQL 15 or newer."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    image = os.environ.get("TEST_POSTGRES_IMAGE", "postgres:18")
    container = _container(image, 5432, _POSTGRES_READY)
    container.with_env("POSTGRES_PASSWORD", _PASSWORD)
    container.with_command("postgres -c fsync=off -c max_connections=300")
    with container:
        yield f"postgresql://postgres:{_PASSWORD}@{_address(container, 5432)}/postgres"


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ 3.10 or newer, with the right to declare queues."""
    if url := os.environ.get("TEST_AMQP_URL"):
        yield url
        return
    image = os.environ.get("TEST_RABBITMQ_IMAGE", "rabbitmq:4")
    with _container(image, 5672, "Server startup complete") as container:
        yield f"amqp://guest:guest@{_address(container, 5672)}/"


def _container(image: str, port: int, ready: str) -> "DockerContainer":
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    container = DockerContainer(image).with_exposed_ports(port)
    return container.waiting_for(LogMessageWaitStrategy(re.compile(ready)))


def _address(container: "DockerContainer", port: int) -> str:
    return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
