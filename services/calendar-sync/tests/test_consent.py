"""A consent is good once, for who began it, for a quarter of an hour."""

import asyncio
from base64 import urlsafe_b64encode
from hashlib import sha256
from uuid import uuid4

import pytest

from calendar_sync.refusals import ConsentNotFound
from calendar_sync.use_cases.consent import Begun, Consent, begin_consent, take_consent
from calendar_sync.use_cases.seal_anew import seal_anew
from calendar_sync.vault import Vault
from shared.db import Database
from shared.encryption import NotDecryptable

from .conftest import PROVIDER, Tell
from .practice import KEYS, a_practice
from .remote import Remote

VAULT = Vault.of(KEYS)
NEWER = f"newer:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktbmV3ZXI= {KEYS}"


async def begin(database: Database) -> Begun:
    async with database.transaction() as db:
        return await begin_consent(db, "google", PROVIDER, started_by=PROVIDER, vault=VAULT)


async def take(database: Database, state: str, kind: str = "google") -> Consent:
    async with database.transaction() as db:
        return await take_consent(db, kind, state, started_by=PROVIDER, vault=VAULT)  # type: ignore[arg-type]


async def test_what_comes_back_is_what_was_begun(database: Database) -> None:
    begun = await begin(database)

    consent = await take(database, begun.state)

    digest = sha256(consent.verifier.encode()).digest()
    assert begun.challenge == urlsafe_b64encode(digest).decode().rstrip("=")
    assert 43 <= len(consent.verifier) <= 128
    assert (consent.provider_id, consent.connection_id) == (PROVIDER, None)


async def test_of_twenty_who_come_back_with_it_one_is_let_in(database: Database) -> None:
    begun = await begin(database)

    came = await asyncio.gather(
        *(take(database, begun.state) for _ in range(20)), return_exceptions=True
    )

    assert sum(isinstance(each, Consent) for each in came) == 1
    assert sum(isinstance(each, ConsentNotFound) for each in came) == 19


async def test_nobody_else_and_nothing_else_will_do(database: Database) -> None:
    begun = await begin(database)

    for kind, state in (("microsoft", begun.state), ("google", "guessed"), ("google", "\ud800")):
        with pytest.raises(ConsentNotFound):
            await take(database, state, kind)
    async with database.transaction() as db:
        with pytest.raises(ConsentNotFound):
            await take_consent(db, "google", begun.state, started_by=uuid4(), vault=VAULT)
    async with database.autocommit() as db:
        await db.execute("UPDATE consents SET expires_at = now()")
    with pytest.raises(ConsentNotFound):
        await take(database, begun.state)


async def test_neither_state_nor_verifier_is_kept_in_the_clear(database: Database) -> None:
    begun = await begin(database)
    async with database.reading() as db:
        kept = await db.fetchval("SELECT string_agg(consents::text, '') FROM consents")

    assert begun.state not in kept
    assert (await take(database, begun.state)).verifier not in kept


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
