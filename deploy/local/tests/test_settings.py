"""What `make run` and compose give to each service is what the service asks for."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from local.folder import CHECKOUT
from local.gateway import TEMPLATE
from local.services import SERVICES, Service, Surroundings

from .settings_read import A_SECRET, accepted, settings_class

COMPOSE = YAML(typ="safe").load(CHECKOUT / "docker-compose.yml")["services"]
PAGES = ("operations.md", "tracing.md")

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@each_service
def test_make_run_gives_each_service_its_settings(service: Service) -> None:
    names = {service.name: number for number, service in enumerate(SERVICES, start=20_000)}
    surroundings = Surroundings(
        databases=dict.fromkeys(names, "postgresql://bookings:pw@127.0.0.1:1/bookings"),
        amqp_url="amqp://medic:pw@127.0.0.1:1/medic",
        smtp_url="smtp://127.0.0.1:1",
        public_url="http://localhost:8080",
        jwks=Path("jwks.json"),
        service_secret=A_SECRET,
        reservation_token_secret=A_SECRET,
        calendar_link_secret=A_SECRET,
        calendar_keys="test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0=",
        pusher_secret="A-Secret_as-the-folder-makes-them",
        webhook_key="A" * 43,
        log_level="INFO",
        api_ports=names,
        worker_ports=names,
    )

    accepted(service, surroundings.settings(service))


@each_service
@pytest.mark.parametrize("kind", ["api", "worker"])
def test_compose_gives_each_service_its_settings(service: Service, kind: str) -> None:
    environment = COMPOSE[f"{service.name}-{kind}"]["environment"]

    # ${NAME:-default}, and a name alone, as compose fills them in where nothing is set.
    given = {name: str(value) for name, value in environment.items() if value is not None}
    accepted(service, {n: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for n, value in given.items()})


@each_service
def test_every_setting_is_explained(service: Service) -> None:
    pages = "".join((CHECKOUT / "docs" / page).read_text() for page in PAGES)

    names = {name.upper() for name in settings_class(service).model_fields}
    assert sorted(name for name in names if not re.search(rf"`[^`]*\b{name}\b", pages)) == []


def test_compose_fills_in_every_value_of_the_gateway_template() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", TEMPLATE.read_text()))
    environment = COMPOSE["gateway"]["environment"]
    passed_on = environment["NGINX_ENVSUBST_FILTER"].replace("$$", "$")

    assert asked == {name for name in environment if re.search(passed_on, name)}
