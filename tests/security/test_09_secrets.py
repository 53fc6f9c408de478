"""Line 9: secrets come from outside, a wrong key says so, and this repository holds none.

How values are encrypted and keys rotated: shared/tests/test_encryption.py and
services/calendar-sync/tests/test_vault.py; that databases hold none: tests/e2e/test_security.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from calendar_sync.settings import CalendarSyncSettings
from notifications.settings import NotificationsSettings
from shared.encryption import Cipher, NotDecryptable, Place
from shared.settings import DEVELOPMENT_ONLY, ServiceSettings

CHECKOUT = Path(__file__).parents[2]
NOT_OURS = {".git", ".venv", ".run", "node_modules", "tests", "testing", "golden", "generated"}
KINDS = {".py", ".yml", ".yaml", ".json", ".toml", ".ini", ".sh", ".md", ".template", ".conf", ""}
LOOKS_SECRET = [
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\b(?:ghp|gho|glpat|xox[bp]|sk_live|whsec)_[A-Za-z0-9+/=-]{16,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\."),
    re.compile(r"://\w+:(?![$<{%]|(?i:pw|password|key|secret)@)[^@\s\"'/`]{6,}@"),
    re.compile(
        r"(?i)[\"']?\b\w*(?:password|secret|api_?key|auth_?token)\b[\"']?\s*[:=]\s*"
        r"[\"']?(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{20,}[\"']?\s*$"
    ),
]


@pytest.mark.parametrize("settings", [CalendarSyncSettings, NotificationsSettings])
@pytest.mark.parametrize(
    "keys", ["nonsense", "k1:c2hvcnQ=", f"k1:{'A' * 43} k1:{'B' * 43}", f"k 1:{'A' * 43}"]
)
def test_keys_that_are_none_stop_the_start_unquoted(
    settings: type[ServiceSettings], keys: str
) -> None:
    name = "calendar_keys" if settings is CalendarSyncSettings else "webhook_keys"
    values = {
        "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
        "amqp_url": "amqp://nobody@127.0.0.1:1/",
        "auth_issuer": "https://issuer.test",
        "auth_audience": "medic",
        "auth_jwks": "https://issuer.test/jwks",
        "service_secret": "a-secret-between-services-for-tests-only",
        "calendar_link_secret": "a-secret-of-feed-links-for-tests-only",
    }

    with pytest.raises(ValidationError) as refusal:
        settings(**values, **{name: keys})

    assert name in str(refusal.value)
    assert keys not in str(refusal.value)


def test_a_wrong_key_says_which_one_is_needed() -> None:
    place = Place("connections", "credentials", "1")
    stored = Cipher({"old": b"o" * 32}).encrypt(b"app password", place)

    with pytest.raises(NotDecryptable, match="needs the key old, which is not set"):
        Cipher({"new": b"n" * 32}).decrypt(stored, place)
    with pytest.raises(NotDecryptable, match="was not encrypted here with the key old"):
        Cipher({"old": b"n" * 32}).decrypt(stored, place)


def test_every_secret_of_compose_is_one_that_production_refuses() -> None:
    compose = (CHECKOUT / "docker-compose.yml").read_text()
    given = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEYS|APP)):-([^}]+)\}", compose)

    assert len(given) > 10
    assert {
        name for name, value in given if not any(known in value for known in DEVELOPMENT_ONLY)
    } == set()
    assert YAML(typ="safe").load(compose)["services"]


def test_no_file_holds_what_looks_like_a_secret() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if any(pattern.search(line) for pattern in LOOKS_SECRET)
        and not any(known in line for known in DEVELOPMENT_ONLY)
    ]

    assert found == []


def files(folder: Path = CHECKOUT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in NOT_OURS and not path.name.startswith("."):
                yield from files(path)
        elif path.suffix in KINDS and path.stat().st_size < 500_000:
            yield path


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        'aws = "AKIAABCDEFGHIJKLMNOP"',
        "DATABASE_URL=postgresql://bookings:9fk3kd93kd@db/bookings",
        'service_secret = "n7sK2mQ9xV4pL8wR3tZ6bY1c"',
        "SMTP_PASSWORD: n7sK2mQ9xV4pL8wR3tZ6bY1c",
    ],
)
def test_a_secret_would_be_seen(line: str) -> None:
    assert any(pattern.search(line) for pattern in LOOKS_SECRET)
