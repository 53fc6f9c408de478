"""The five services: their settings on this machine, their processes, and their health."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.folder import CHECKOUT
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


SERVICES = tuple(
    Service(name)
    for name in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
)


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

    def address(self, service: str) -> str:
        return f"127.0.0.1:{self.api_ports[service]}"

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
                    "CALENDAR_SYNC_URL": f"http://{self.address('calendar-sync')}",
                    "NOTIFICATIONS_URL": f"http://{self.address('notifications')}",
                    "RESERVATIONS_URL": f"http://{self.address('reservations')}",
                }
            case "reservations":
                own = {
                    "AVAILABILITY_URL": f"http://{self.address('availability')}",
                    "BOOKINGS_URL": f"http://{self.address('bookings')}",
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


def programs(surroundings: Surroundings) -> list[Program]:
    """An API process and a worker process for each service."""
    return [
        program
        for service in SERVICES
        for program in (_api(service, surroundings), _worker(service, surroundings))
    ]


def api_name(service: Service) -> str:
    return f"{service.name}-api"


def worker_name(service: Service) -> str:
    return f"{service.name}-worker"


def _api(service: Service, surroundings: Surroundings) -> Program:
    return Program(
        name=api_name(service),
        group="services",
        command=(
            *(sys.executable, "-m", "uvicorn", "--factory", f"{service.package}.app:make_app"),
            *("--host", "127.0.0.1", "--port", str(surroundings.api_ports[service.name])),
            *("--no-access-log", "--log-level", "warning"),
            # The gateway keeps its connections for 10 s; whoever closes first must be the gateway.
            *("--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "5"),
            *("--ws-max-size", "65536"),
        ),
        folder=service.folder,
        environment=surroundings.settings(service),
    )


def _worker(service: Service, surroundings: Surroundings) -> Program:
    port = str(surroundings.worker_ports[service.name])
    return Program(
        name=worker_name(service),
        group="services",
        command=(sys.executable, "-m", f"{service.package}.worker"),
        folder=service.folder,
        environment=surroundings.settings(service) | {"WORKER_PORT": port},
        stop_seconds=15,
    )
