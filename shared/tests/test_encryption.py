"""Secrets at rest: readable where they were put, with a key that we have, and nowhere else."""

from base64 import b64encode
from uuid import UUID

import pytest

from shared.encryption import Cipher, NotDecryptable, Place

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ROW = UUID("01900000-0000-7000-8000-000000000001")
HERE = Place("webhook_endpoints", "secret", ROW)


def setting(**keys: bytes) -> str:
    return " ".join(f"{key_id}:{b64encode(key).decode()}" for key_id, key in keys.items())


@pytest.mark.parametrize("secret", [b"", b"x", b"whsec_" + b"\0\xff" * 5000])
def test_what_was_encrypted_can_be_read_again(secret: bytes) -> None:
    cipher = Cipher({"k1": OLD})

    stored = cipher.encrypt(secret, HERE)

    assert cipher.decrypt(stored, HERE) == secret
    assert stored.startswith("v1.k1.")
    assert stored.count(".") == 3


def test_the_same_secret_never_looks_the_same() -> None:
    cipher = Cipher({"k1": OLD})

    assert len({cipher.encrypt(b"secret", HERE) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("webhook_endpoints", "secret", UUID(int=2)),
        Place("webhook_endpoints", "old_secret", ROW),
        Place("connections", "secret", ROW),
        Place("webhook_endpointss", "ecret", ROW),
    ],
)
def test_a_value_moved_elsewhere_cannot_be_read(elsewhere: Place) -> None:
    cipher = Cipher({"k1": OLD})
    stored = cipher.encrypt(b"secret", HERE)

    with pytest.raises(NotDecryptable):
        cipher.decrypt(stored, elsewhere)


def test_keys_rotate() -> None:
    stored = Cipher({"k1": OLD}).encrypt(b"secret", HERE)
    rotated = Cipher.of(setting(k2=NEW, k1=OLD))

    again = rotated.encrypt(rotated.decrypt(stored, HERE), HERE)

    assert not stored.startswith(rotated.prefix)
    assert again.startswith(rotated.prefix)
    assert Cipher({"k2": NEW}).decrypt(again, HERE) == b"secret"


def test_a_missing_and_a_wrong_key_say_which() -> None:
    stored = Cipher({"k1": OLD}).encrypt(b"secret", HERE)

    with pytest.raises(NotDecryptable, match="k1, which is not set"):
        Cipher({"k2": NEW}).decrypt(stored, HERE)
    with pytest.raises(NotDecryptable, match="was not encrypted here with the key k1"):
        Cipher({"k1": NEW}).decrypt(stored, HERE)


def test_a_damaged_value_cannot_be_read() -> None:
    cipher = Cipher({"k1": OLD})
    stored = cipher.encrypt(b"secret", HERE)
    broken = ["", "v1", "v1.k1", "v1.k1..", "v2" + stored[2:], "plain text", stored[:-4]]
    broken += ["v1.k1.é." + stored, stored + ".x", f"v1.{'k' * 50}.a.b", "v1.k\n.a.b"]

    for value in broken:
        with pytest.raises(NotDecryptable):
            cipher.decrypt(value, HERE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k1",
        "k1:",
        "k1:c2hvcnQ=",
        f"{setting(k1=OLD)} {setting(k1=NEW)}",
        setting(**{"a key": OLD}),
        setting(**{"k.1": OLD}),
        setting(**{"": OLD}),
        setting(k1=OLD) + "!",
        setting(k1=OLD + b"x"),
    ],
)
def test_a_setting_that_is_no_list_of_keys_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"key") as refused:
        Cipher.of(text)

    assert b64encode(OLD).decode() not in str(refused.value)
    assert refused.value.__cause__ is None
