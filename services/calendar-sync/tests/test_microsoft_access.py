"""Access to Microsoft 365 that renews itself, is refused, throttled, or not answered at all."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from calendar_sync.calendars.contract import AccessGone, Credentials, Refused, Temporary
from shared.http import new_client

from .graph.access import GRACE
from .graph.mailbox import Mailbox
from .graph.server import Fault, GraphDouble
from .microsoft import an_account, fresh, microsoft


@pytest.fixture
async def graph() -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open() as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


def stale(graph: GraphDouble, mailbox: Mailbox) -> dict[str, str]:
    return {**fresh(graph, mailbox), "expires_at": "0"}


async def test_fresh_access_is_used_as_it_is(graph: GraphDouble, mailbox: Mailbox) -> None:
    async with an_account(graph, mailbox) as account:
        await account.calendars()

    assert graph.access.renewals == 0


async def test_renewed_access_is_saved_before_it_is_used(
    graph: GraphDouble, mailbox: Mailbox
) -> None:
    saved: list[tuple[Credentials, int]] = []
    old = stale(graph, mailbox)

    async def save(credentials: Credentials) -> None:
        saved.append((credentials, graph.count("GET", "/me/calendars")))

    async with an_account(graph, mailbox, credentials=old, save=save) as account:
        await account.calendars()
        await account.calendars()

    [(renewed, calls_before)] = saved
    assert calls_before == 0
    assert renewed["refresh_token"] != old["refresh_token"]
    assert renewed["access_token"] != old["access_token"]


async def test_access_that_cannot_be_saved_is_not_used(
    graph: GraphDouble, mailbox: Mailbox
) -> None:
    async def save(_: Credentials) -> None:
        raise ConnectionError

    async with an_account(graph, mailbox, credentials=stale(graph, mailbox), save=save) as account:
        with pytest.raises(ConnectionError):
            await account.calendars()

    assert graph.calls == []


async def test_access_that_is_refused_is_renewed_once(graph: GraphDouble, mailbox: Mailbox) -> None:
    async with an_account(graph, mailbox) as account:
        graph.access.forget_access_tokens(mailbox)
        await account.calendars()

        assert graph.access.renewals == 1

        graph.faults.append(Fault("GET", "/me/calendars", 401, times=2))
        with pytest.raises(AccessGone):
            await account.calendars()

    assert graph.access.renewals == 2


async def test_a_refresh_token_is_good_for_a_while_after_it_was_replaced(
    graph: GraphDouble, mailbox: Mailbox
) -> None:
    # Killed between the renewal and its saving.
    old = stale(graph, mailbox)
    async with an_account(graph, mailbox, credentials=old) as account:
        await account.calendars()
    async with an_account(graph, mailbox, credentials=old) as account:
        await account.calendars()
    graph.advance(GRACE + timedelta(seconds=1))

    async with an_account(graph, mailbox, credentials=old) as account:
        with pytest.raises(AccessGone, match="invalid_grant"):
            await account.calendars()


async def test_access_that_was_taken_back_is_gone(graph: GraphDouble, mailbox: Mailbox) -> None:
    async with an_account(graph, mailbox) as account:
        graph.access.revoke(mailbox)

        with pytest.raises(AccessGone, match="invalid_grant"):
            await account.calendars()


async def test_our_own_mistake_gives_no_account_up(graph: GraphDouble, mailbox: Mailbox) -> None:
    async with an_account(
        graph, mailbox, credentials=stale(graph, mailbox), secret="wrong"
    ) as account:
        with pytest.raises(Temporary, match="oauth_client_refused"):
            await account.calendars()


@pytest.mark.parametrize(
    ("fault", "wish"),
    [
        (Fault("GET", "", 429, retry_after=30), timedelta(seconds=30)),
        (Fault("GET", "", 503, retry_after=120), timedelta(minutes=2)),
        (Fault("GET", "", 500), None),
        (Fault("GET", "", 409), None),
    ],
)
async def test_a_provider_that_wants_peace_gets_it(
    graph: GraphDouble, mailbox: Mailbox, fault: Fault, wish: timedelta | None
) -> None:
    graph.faults.append(fault)
    async with an_account(graph, mailbox) as account:
        with pytest.raises(Temporary) as refusal:
            await account.calendars()

        assert refusal.value.retry_after == wish
        await account.calendars()


@pytest.mark.parametrize("is_stale", [False, True])
async def test_no_answer_is_temporary(
    graph: GraphDouble, mailbox: Mailbox, *, is_stale: bool
) -> None:
    graph.is_down = True
    given: dict[str, Any] = {"credentials": stale(graph, mailbox)} if is_stale else {}
    async with an_account(graph, mailbox, **given) as account:
        with pytest.raises(Temporary, match="unreachable"):
            await account.calendars()


async def test_the_account_has_a_name(graph: GraphDouble, mailbox: Mailbox) -> None:
    async with an_account(graph, mailbox) as account:
        assert await account.owner() == mailbox.name


async def test_consent_leads_to_access(graph: GraphDouble, mailbox: Mailbox) -> None:
    verifier, redirect_uri = "v" * 50, "https://clinic.example/v1/callback"
    async with new_client() as client:
        oauth = microsoft(graph, client).oauth
        url = oauth.authorization_url(
            state="a-state", challenge=challenge_of(verifier), redirect_uri=redirect_uri
        )
        asked = dict(parse_qsl(urlsplit(url).query))
        code = graph.access.consent(
            mailbox, challenge=asked["code_challenge"], redirect_uri=asked["redirect_uri"]
        )

        credentials = await oauth.exchange(code, verifier=verifier, redirect_uri=redirect_uri)

        assert url.startswith(f"{graph.login_url}/oauth2/v2.0/authorize?")
        assert {"offline_access", "Calendars.ReadWrite"} <= set(asked["scope"].split())
        async with an_account(graph, mailbox, credentials=credentials) as account:
            assert len(await account.calendars()) == 1
        with pytest.raises(Refused, match="code_refused"):
            await oauth.exchange(code, verifier=verifier, redirect_uri=redirect_uri)


async def test_consent_without_the_calendars_is_refused(
    graph: GraphDouble, mailbox: Mailbox
) -> None:
    verifier = "v" * 50
    code = graph.access.consent(
        mailbox, challenge=challenge_of(verifier), redirect_uri="", scope="openid User.Read"
    )
    async with new_client() as client:
        with pytest.raises(Refused, match="scopes_missing"):
            await microsoft(graph, client).oauth.exchange(code, verifier=verifier, redirect_uri="")


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
