"""The five services: their settings on this machine, their processes, and their health."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from local.folder import CHECKOUT, RunFolder
from local.ports import Ports
from local.processes import Program
from local.tokens import AUDIENCE
from shared.settings import DEVELOPMENT_ISSUER


@dataclass(frozen=True)
class Service:
    """A service by its two names: the one people use and Python's."""

    name: str

    @property
    def package(self) -> str:
        """Also the name of its database and its role."""
        return self.name.replace("-", "_")

    @property
    def folder(self) -> Path:
        return CHECKOUT / "services" / self.name


NO_SETTINGS: Mapping[str, str] = {}

SERVICES = tuple(
    Service(name)
    for name in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
)


@dataclass(frozen=True)
class Release:
    """The services' code of one commit, unpacked at ``root``."""

    root: Path

    def folder(self, service: Service) -> Path:
        return self.root / "services" / service.name

    def environment(self, service: Service) -> Mapping[str, str]:
        """What makes the virtual environment's Python run this code and not this checkout's."""
        if self == CURRENT:
            return {}
        places = (self.root / "shared", self.folder(service))
        return {"PYTHONPATH": os.pathsep.join(map(str, places))}


CURRENT = Release(CHECKOUT)


@dataclass(frozen=True)
class Surroundings:
    """Everything outside the services that their settings name."""

    databases: Mapping[str, str]
    """Service name to the URL of its role."""
    amqp_url: str
    smtp_url: str
    public_url: str
    jwks: Path
    service_secret: str
    reservation_token_secret: str
    calendar_link_secret: str
    calendar_keys: str
    pusher_secret: str
    webhook_key: str
    log_level: str
    api_ports: Mapping[str, int]
    worker_ports: Mapping[str, int]
    telemetry: Mapping[str, str] = field(default_factory=dict)
    """OpenTelemetry's variables of whoever has started the system."""
    inner: Mapping[str, str] = field(default_factory=dict)
    """Where services find each other, if not at each other's ``address``."""

    @classmethod
    def of(
        cls,
        folder: RunFolder,
        ports: Ports,
        *,
        databases: Mapping[str, str],
        amqp_url: str,
        public_url: str,
        log_level: str = "INFO",
        telemetry: Mapping[str, str] = NO_SETTINGS,
        copy: str = "",
    ) -> Self:
        """The folder's secrets, and ports of this ``copy`` of every process."""
        return cls(
            databases=databases,
            amqp_url=amqp_url,
            smtp_url=f"smtp://127.0.0.1:{ports['smtp']}",
            public_url=public_url,
            jwks=folder.keys / "jwks.json",
            service_secret=folder.secret("between services"),
            reservation_token_secret=folder.secret("reservation tokens"),
            calendar_link_secret=folder.secret("calendar links"),
            calendar_keys=f"local:{folder.secret('calendar credentials')}=",
            pusher_secret=folder.secret("pusher"),
            webhook_key=folder.secret("webhooks"),
            log_level=log_level,
            telemetry=telemetry,
            api_ports={s.name: ports[api_name(s) + copy] for s in SERVICES},
            worker_ports={s.name: ports[worker_name(s) + copy] for s in SERVICES},
        )

    def address(self, service: str) -> str:
        return f"127.0.0.1:{self.api_ports[service]}"

    def _inner_address(self, service: str) -> str:
        return self.inner.get(service) or self.address(service)

    def settings(self, service: Service) -> dict[str, str]:
        """The environment that this service's processes read."""
        every = {
            "ENVIRONMENT": "development",
            "LOG_LEVEL": self.log_level,
            "PUBLIC_URL": self.public_url,
            "DATABASE_URL": self.databases[service.name],
            "DATABASE_POOL_SIZE": "10",
            "AMQP_URL": self.amqp_url,
            "AUTH_ISSUER": DEVELOPMENT_ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "AUTH_JWKS": str(self.jwks),
            "AUTH_ROLE_CLAIM": "role",
            "SERVICE_SECRET": self.service_secret,
        }
        match service.name:
            case "bookings":
                own = {
                    "CALENDAR_SYNC_URL": f"http://{self._inner_address('calendar-sync')}",
                    "NOTIFICATIONS_URL": f"http://{self._inner_address('notifications')}",
                    "RESERVATIONS_URL": f"http://{self._inner_address('reservations')}",
                }
            case "reservations":
                own = {
                    "AVAILABILITY_URL": f"http://{self._inner_address('availability')}",
                    "BOOKINGS_URL": f"http://{self._inner_address('bookings')}",
                    "RESERVATION_TOKEN_SECRET": self.reservation_token_secret,
                }
            case "notifications":
                own = {
                    "SMTP_URL": self.smtp_url,
                    "MAIL_FROM": "Clinic <clinic@example.org>",
                    "PUSHER_APP": f"1:medic-local:{self.pusher_secret}",
                    "WEBHOOK_KEYS": f"local:{self.webhook_key}",
                    "WEBHOOK_OPENED_HOSTS": "localhost 127.0.0.1",
                }
            case "calendar-sync":
                own = {
                    "CALENDAR_LINK_SECRET": self.calendar_link_secret,
                    "CALENDAR_KEYS": self.calendar_keys,
                    "CALENDAR_POLL_SECONDS": "15",
                    "CALENDAR_OPENED_HOSTS": "localhost 127.0.0.1",
                }
            case _:
                own = {}
        return {**every, **own, **self.telemetry}


def programs(
    surroundings: Surroundings, *, release: Release = CURRENT, copy: str = ""
) -> list[Program]:
    """An API process and a worker process for each service; ``copy`` ends their names."""
    return [
        program
        for service in SERVICES
        for program in (
            _api(service, surroundings, release, copy),
            _worker(service, surroundings, release, copy),
        )
    ]


def api_name(service: Service) -> str:
    return f"{service.name}-api"


def worker_name(service: Service) -> str:
    return f"{service.name}-worker"


def _api(service: Service, surroundings: Surroundings, release: Release, copy: str) -> Program:
    return Program(
        name=api_name(service) + copy,
        group="services",
        command=(
            *(sys.executable, "-m", "uvicorn", "--factory", f"{service.package}.app:make_app"),
            *("--host", "127.0.0.1", "--port", str(surroundings.api_ports[service.name])),
            *("--no-access-log", "--log-level", "warning"),
            # The gateway keeps its connections for 10 s; whoever closes first must be the gateway.
            *("--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "5"),
            *("--ws-max-size", "65536"),
        ),
        folder=release.folder(service),
        environment={**surroundings.settings(service), **release.environment(service)},
    )


def _worker(service: Service, surroundings: Surroundings, release: Release, copy: str) -> Program:
    port = str(surroundings.worker_ports[service.name])
    return Program(
        name=worker_name(service) + copy,
        group="services",
        command=(sys.executable, "-m", f"{service.package}.worker"),
        folder=release.folder(service),
        environment={
            **surroundings.settings(service),
            **release.environment(service),
            "WORKER_PORT": port,
        },
        stop_seconds=15,
    )
