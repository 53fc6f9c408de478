"""Where settings come from, and what production refuses."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from shared.environment import Environment, SettingUnreadable
from shared.settings import DEVELOPMENT_ONLY, ServiceSettings

A_SECRET = "a-secret-between-services-for-tests-only"
GIVEN = {
    "DATABASE_URL": "postgresql://bookings:pw@db/bookings",
    "AMQP_URL": "amqp://medic:pw@broker/medic",
    "AUTH_ISSUER": "https://issuer.test",
    "AUTH_AUDIENCE": "medic",
    "AUTH_JWKS": "https://issuer.test/jwks",
    "SERVICE_SECRET": A_SECRET,
    "PUBLIC_URL": "https://clinic.example",
}


class MoreSettings(ServiceSettings):
    some_keys: SecretStr | None = None
    some_opened_hosts: str = ""
    some_number: int = Field(default=1, ge=1)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBER", "7")

    settings = MoreSettings()

    assert settings.database_url == GIVEN["DATABASE_URL"]
    assert settings.some_number == 7


def test_any_setting_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{A_SECRET} of a file\n")
    monkeypatch.delenv("SERVICE_SECRET")
    monkeypatch.setenv("SERVICE_SECRET_FILE", str(tmp_path / "secret"))

    settings = ServiceSettings()

    assert settings.service_secret.get_secret_value() == f"{A_SECRET} of a file"


def test_commands_read_files_too(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://owner@db/bookings")
    given = Environment({"MIGRATION_DATABASE_URL_FILE": str(tmp_path / "url"), "AMQP_URL": "amqp:"})

    assert given["MIGRATION_DATABASE_URL"] == "postgresql://owner@db/bookings"
    assert given["AMQP_URL"] == "amqp:"
    with pytest.raises(KeyError):
        given["DATABASE_URL"]


def test_what_is_given_twice_or_not_at_all_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(A_SECRET)
    monkeypatch.setenv("SERVICE_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingUnreadable, match="both set") as twice:
        ServiceSettings()
    monkeypatch.delenv("SERVICE_SECRET")
    monkeypatch.setenv("SERVICE_SECRET_FILE", str(tmp_path / "nothing"))
    with pytest.raises(SettingUnreadable, match="cannot be read"):
        ServiceSettings()
    monkeypatch.delenv("SERVICE_SECRET_FILE")
    with pytest.raises(ValidationError, match="service_secret"):
        ServiceSettings()

    assert A_SECRET not in str(twice.value)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"service_secret": f"{DEVELOPMENT_ONLY[0]}-between-services"}, "SERVICE_SECRET holds"),
        ({"database_url": f"postgresql://a:{DEVELOPMENT_ONLY[0]}@db/a"}, "DATABASE_URL holds"),
        ({"amqp_url": f"amqp://a:{DEVELOPMENT_ONLY[0]}@broker/a"}, "AMQP_URL holds"),
        ({"some_keys": f"k1:{DEVELOPMENT_ONLY[1]}aaaa"}, "SOME_KEYS holds"),
        ({"some_opened_hosts": "localhost"}, "SOME_OPENED_HOSTS is for development"),
        ({"public_url": "http://clinic.example"}, "PUBLIC_URL must be https"),
    ],
)
def test_production_refuses_what_is_for_development(wrong: dict[str, Any], why: str) -> None:
    MoreSettings(**wrong)
    MoreSettings(environment="production")

    with pytest.raises(ValidationError, match=why) as refusal:
        MoreSettings(environment="production", **wrong)

    assert DEVELOPMENT_ONLY[0] not in str(refusal.value)
