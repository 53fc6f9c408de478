"""What is sealed can be read in its own place, with a key that is there."""

from uuid import uuid4

import pytest

from calendar_sync.use_cases.seal_anew import seal_anew
from calendar_sync.vault import Vault
from shared.db import Database
from shared.encryption import NotDecryptable

from .conftest import PROVIDER, Tell
from .practice import KEYS, a_practice
from .remote import Remote

VAULT = Vault.of(KEYS)
NEWER = f"newer:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktbmV3ZXI= {KEYS}"


async def test_credentials_are_sealed_anew_with_the_newest_key(
    database: Database, tell: Tell, the_provider: object
) -> None:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote())
    newest = Vault.of(NEWER)

    async with database.transaction() as db:
        assert await seal_anew(db, newest) is False

    row = await practice.row()
    assert row["credentials"].startswith("v1.newer.")
    only_new = Vault.of(NEWER.split()[0])
    assert only_new.open(practice.id, row["credentials"]) == b'{"token":"1"}'
    with pytest.raises(NotDecryptable):
        only_new.open(uuid4(), row["credentials"])
    with pytest.raises(NotDecryptable):
        VAULT.open(practice.id, row["credentials"])


async def test_a_key_that_has_gone_too_early_is_said_clearly(
    database: Database, tell: Tell, the_provider: object
) -> None:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote())
    sealed = Vault.of(NEWER).seal(practice.id, b"{}")
    await practice.sql("UPDATE connections SET credentials = $1", sealed)

    await practice.visit()

    assert (await practice.row())["last_error"] == "credentials_unreadable"
    assert practice.remote.opened_with == []
