"""Consents: begun by a provider, given at Google, taken up once, and only where they were begun."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from calendar_sync.app import make_app
from calendar_sync.calendars.contract import AccessGone
from calendar_sync.consent_page import page
from calendar_sync.settings import CalendarSyncSettings
from calendar_sync.sync.lease import claim
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.connect import mend
from calendar_sync.vault import Vault
from shared.db import Database
from shared.events.provider import ProviderUpdated
from shared.http import ASGITransport, AsyncClient, Response, new_client
from shared.ids import new_id

from .conftest import OWN_SETTINGS, PROVIDER, Tell
from .google_double import GoogleDouble
from .google_double.consent import challenge_of
from .google_double.server import CLIENT_ID, CLIENT_SECRET
from .practice import KEYS, POLL, a_practice
from .remote import Remote

ORIGIN = "https://clinic.example"
CALLBACK = "/v1/calendar-connections/oauth/google/callback"
CONNECTIONS = f"/v1/providers/{PROVIDER}/calendar-connections"
START = f"{CONNECTIONS}/oauth/google/start"
OTHER_START = f"{CONNECTIONS}/oauth/microsoft/start"

AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]


@pytest.fixture
async def google() -> AsyncIterator[GoogleDouble]:
    async with GoogleDouble.running() as double:
        double.consents.redirect_uris.add(f"{ORIGIN}{CALLBACK}")
        double.an_account()
        yield double


@pytest.fixture
def own_settings(google: GoogleDouble) -> dict[str, Any]:
    return OWN_SETTINGS | {
        "google_client_id": CLIENT_ID,
        "google_client_secret": CLIENT_SECRET,
        "google_api_url": google.api_url,
        "google_consent_url": f"{google.url}/o/oauth2/v2/auth",
        "google_token_url": f"{google.url}/token",
        "google_revoke_url": f"{google.url}/revoke",
    }


@pytest.fixture
def app(settings_values: dict[str, Any], own_settings: dict[str, Any]) -> FastAPI:
    return make_app(CalendarSyncSettings(**settings_values | own_settings))


@pytest.fixture
async def browser(client: AsyncClient, tell: Tell, the_provider: ProviderUpdated) -> AsyncClient:
    """Keeps cookies; the provider is known."""
    await tell(the_provider)
    return client


def another_browser(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url=ORIGIN)


async def begin(browser: AsyncClient, headers: Headers, **body: Any) -> str:
    answer = await browser.post(START, headers=headers, json=body or None)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["authorizationUrl"]
    return url


async def consent(url: str) -> str:
    """What Google redirects to, when its page has been answered."""
    async with new_client() as http:
        answer = await http.get(url)
    assert answer.status_code == 302, answer.text
    back: str = answer.headers["Location"]
    assert back.startswith(f"{ORIGIN}{CALLBACK}?")
    return back


async def connect(browser: AsyncClient, headers: Headers, **body: Any) -> Response:
    return await browser.get(await consent(await begin(browser, headers, **body)))


async def connections(browser: AsyncClient, headers: Headers) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await browser.get(CONNECTIONS, headers=headers)).json()["items"]
    return items


async def test_a_calendar_is_connected_by_consent(
    browser: AsyncClient, provider: Headers, google: GoogleDouble, database: Database
) -> None:
    answer = await connect(browser, provider)

    assert answer.status_code == 200
    assert "is connected" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (connection,) = await connections(browser, provider)
    assert (connection["kind"], connection["state"]) == ("google", "connected")
    assert (connection["account"], connection["place"]) == (
        "doctor@example.com",
        "Google Calendar",
    )
    assert [each["isTarget"] for each in connection["calendars"]] == [True]
    (grant,) = google.consents.grants
    stored = await dump(database)
    for secret in (grant.refresh_token, *grant.access_tokens, *google.consents.codes):
        assert secret not in stored


async def dump(database: Database) -> str:
    async with database.reading() as db:
        tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = [await db.fetch(f"SELECT t::text FROM {name} AS t") for (name,) in tables]
        bodies = await db.fetch("SELECT convert_from(body, 'UTF8') FROM idempotency_keys")
    return repr([[tuple(row) for row in rows] for rows in (*found, bodies)])


async def test_what_google_is_asked_for(browser: AsyncClient, provider: Headers) -> None:
    url = await begin(browser, provider)

    asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    assert asked.keys() == {
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "access_type",
        "prompt",
        "include_granted_scopes",
        "code_challenge",
        "code_challenge_method",
    }
    assert asked["redirect_uri"] == f"{ORIGIN}{CALLBACK}"
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == len(asked["code_challenge"]) == 43
    assert {scope.rpartition("/")[2] for scope in asked["scope"].split()} == {
        "calendar.events.owned",
        "calendar.calendarlist.readonly",
    }


async def test_the_cookie_is_for_the_way_back_only(browser: AsyncClient, provider: Headers) -> None:
    answer = await browser.post(START, headers=provider)

    cookie = answer.headers["set-cookie"].lower()
    assert answer.headers["cache-control"] == "no-store"
    for part in ("httponly", "secure", "samesite=lax", "max-age=600"):
        assert part in cookie
    assert "path=/v1/calendar-connections/oauth" in cookie


async def test_secrets_of_a_consent_are_nowhere_stored(
    browser: AsyncClient, provider: Headers, database: Database
) -> None:
    answer = await browser.post(START, headers=provider | {"Idempotency-Key": "one"})
    state = parse_qs(urlsplit(answer.json()["authorizationUrl"]).query)["state"][0]

    stored = await dump(database)

    assert "google" in stored
    for secret in (state, *browser.cookies.values()):
        assert secret not in stored
        assert secret.encode().hex() not in stored


async def test_a_repeated_start_is_one_journey(
    browser: AsyncClient, provider: Headers, database: Database
) -> None:
    keyed = provider | {"Idempotency-Key": "the same intent"}

    first, second = [await browser.post(START, headers=keyed) for _ in range(2)]

    assert first.json() == second.json()
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM consents") == 1
    assert (await browser.get(await consent(first.json()["authorizationUrl"]))).status_code == 200


async def test_a_stolen_state_is_refused_and_stays_good(
    browser: AsyncClient, app: FastAPI, provider: Headers, google: GoogleDouble
) -> None:
    url = await begin(browser, provider)
    google.an_account("thief@example.com")
    google.consents.visitor = "thief@example.com"
    of_the_thief = await consent(url)

    async with another_browser(app) as thief:
        # Their own journey gives them a cookie, but not that of the one they want to end.
        await thief.get(CALLBACK, params={"state": "x", "code": "y"})
        stolen = await thief.get(of_the_thief)
        state = parse_qs(urlsplit(of_the_thief).query)["state"][0]
        forged = {"Cookie": "; ".join(f"{name}=forged" for name in browser.cookies)}
        with_forged_cookie = await thief.get(of_the_thief, headers=forged)
    google.consents.visitor = "doctor@example.com"
    own = await browser.get(await consent(url))

    assert state in of_the_thief
    assert (stolen.status_code, with_forged_cookie.status_code) == (404, 404)
    assert stolen.json()["code"] == "calendar_consent_not_found"
    assert own.status_code == 200
    (connection,) = await connections(browser, provider)
    assert connection["account"] == "doctor@example.com"


async def test_a_state_is_good_once_also_for_many_at_once(
    browser: AsyncClient, provider: Headers, google: GoogleDouble
) -> None:
    back = await consent(await begin(browser, provider))

    answers = await asyncio.gather(*(browser.get(back) for _ in range(20)))
    later = await browser.get(back)

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, *[404] * 19]
    assert later.status_code == 404
    assert len(await connections(browser, provider)) == 1


@pytest.mark.parametrize("change", ["expired", "other kind", "no state", "odd state"])
async def test_states_that_are_not_good(
    browser: AsyncClient, provider: Headers, database: Database, change: str
) -> None:
    back = await consent(await begin(browser, provider))
    match change:
        case "expired":
            async with database.autocommit() as db:
                await db.execute("UPDATE consents SET expires_at = now()")
        case "other kind":
            async with database.autocommit() as db:
                await db.execute("UPDATE consents SET kind = 'microsoft'")
        case "no state":
            back = back.replace("state=", "other=")
        case "odd state":
            back = back.replace("state=", "state=%F0%9F%8F%A5")

    answer = await browser.get(back)

    assert answer.status_code == 404
    assert answer.json()["code"] == "calendar_consent_not_found"
    assert await connections(browser, provider) == []


async def test_an_expired_consent_is_forgotten(
    browser: AsyncClient, provider: Headers, database: Database
) -> None:
    await begin(browser, provider)
    async with database.autocommit() as db:
        await db.execute("UPDATE consents SET expires_at = now() - interval '1 second'")

    await begin(browser, provider)

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM consents") == 1


async def test_the_providers_word_is_shown(
    browser: AsyncClient, provider: Headers, google: GoogleDouble
) -> None:
    google.consents.denies = True
    back = await consent(await begin(browser, provider))

    denied = await browser.get(back)
    again = await browser.get(back)

    assert denied.status_code == 409
    assert denied.json()["code"] == "calendar_consent_denied"
    assert "access_denied" in denied.json()["detail"]
    assert again.status_code == 404


async def test_odd_words_are_not_repeated(browser: AsyncClient, provider: Headers) -> None:
    back = (await consent(await begin(browser, provider))).replace("code=", "error=<b>x</b>&c=")

    answer = await browser.get(back, headers={"Accept": "text/html"})

    assert answer.status_code == 409
    assert answer.headers["content-type"].startswith("text/html")
    assert "calendar_consent_denied" in answer.text
    assert "The provider says: no code." in answer.text
    assert "<b>" not in answer.text


def test_the_page_takes_words_literally() -> None:
    shown = page("<b>title</b>", "{{7*7}} <script>")

    assert "<b>" not in shown
    assert "<script>" not in shown
    assert "{{7*7}}" in shown


async def test_a_scope_that_was_not_ticked_is_asked_for_clearly(
    browser: AsyncClient, provider: Headers, google: GoogleDouble
) -> None:
    google.consents.unticked.add("https://www.googleapis.com/auth/calendar.events.owned")

    answer = await connect(browser, provider)

    assert answer.status_code == 409
    assert answer.json()["code"] == "calendar_scopes_missing"
    assert "tick every box" in answer.json()["title"]
    assert await connections(browser, provider) == []


async def test_a_code_that_google_does_not_know_connects_nothing(
    browser: AsyncClient, provider: Headers
) -> None:
    back = (await consent(await begin(browser, provider))).replace("code=", "code=x")

    answer = await browser.get(back)

    assert (answer.status_code, answer.json()["code"]) == (409, "calendar_consent_failed")


async def test_a_provider_that_does_not_answer_is_told(
    browser: AsyncClient, provider: Headers, google: GoogleDouble
) -> None:
    back = await consent(await begin(browser, provider))
    google.faults.is_down = True

    answer = await browser.get(back)

    assert (answer.status_code, answer.json()["code"]) == (503, "calendar_unreachable")


async def test_google_sees_the_verifier_of_its_challenge(
    browser: AsyncClient, provider: Headers, google: GoogleDouble
) -> None:
    back = await consent(await begin(browser, provider))
    (code,) = google.consents.codes.values()
    code.challenge = challenge_of("a" * 43)

    answer = await browser.get(back)

    assert answer.json()["code"] == "calendar_consent_failed"


# Mending


async def break_it(database: Database) -> None:
    async with database.autocommit() as db:
        await db.execute(
            "UPDATE connections SET state = 'broken', broken_because = 'invalid_grant'"
        )


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_broken_connection_is_mended_under_its_id(
    browser: AsyncClient, provider: Headers, database: Database, is_named: bool
) -> None:
    await connect(browser, provider)
    (before,) = await connections(browser, provider)
    await break_it(database)

    body = {"connectionId": before["id"]} if is_named else {}
    answer = await connect(browser, provider, **body)

    assert answer.status_code == 200
    (after,) = await connections(browser, provider)
    assert (after["id"], after["state"], after["lastError"]) == (before["id"], "connected", None)
    assert [each["id"] for each in after["calendars"]] == [
        each["id"] for each in before["calendars"]
    ]


async def test_a_connection_is_not_mended_with_another_account(
    browser: AsyncClient, provider: Headers, google: GoogleDouble, database: Database
) -> None:
    await connect(browser, provider)
    (before,) = await connections(browser, provider)
    await break_it(database)
    google.an_account("private@example.com")
    google.consents.visitor = "private@example.com"

    answer = await connect(browser, provider, connectionId=before["id"])

    assert (answer.status_code, answer.json()["code"]) == (409, "calendar_other_account")
    (after,) = await connections(browser, provider)
    assert after["state"] == "broken"


async def test_only_an_own_connection_of_that_kind_can_be_mended(
    browser: AsyncClient, provider: Headers
) -> None:
    answer = await browser.post(START, headers=provider, json={"connectionId": str(new_id())})

    assert (answer.status_code, answer.json()["code"]) == (404, "calendar_connection_not_found")


# Who may, and where it leads


async def test_only_the_provider_and_admins_may_begin(
    browser: AsyncClient, as_user: AsUser, provider: Headers
) -> None:
    strangers = [("provider", new_id()), ("patient", PROVIDER), ("service", PROVIDER)]

    refused = [await browser.post(START, headers=as_user(*who)) for who in strangers]
    admin = await browser.post(START, headers=as_user("admin", new_id()))
    nobody = await browser.post(START)

    assert {answer.status_code for answer in refused} == {404}
    assert (admin.status_code, nobody.status_code) == (200, 401)


async def test_a_kind_that_is_not_set_up_says_so(browser: AsyncClient, provider: Headers) -> None:
    start = await browser.post(OTHER_START, headers=provider)
    back = await browser.get("/v1/calendar-connections/oauth/microsoft/callback?state=x&code=y")
    unknown = await browser.post(f"{CONNECTIONS}/oauth/apple/start", headers=provider)

    assert (start.status_code, start.json()["code"]) == (409, "calendar_kind_off")
    assert (back.status_code, back.json()["code"]) == (409, "calendar_kind_off")
    assert unknown.status_code == 422


async def test_a_front_end_takes_over_where_one_is_set(
    settings_values: dict[str, Any],
    own_settings: dict[str, Any],
    provider: Headers,
    tell: Tell,
    the_provider: ProviderUpdated,
) -> None:
    await tell(the_provider)
    own = own_settings | {"calendar_return_url": "https://app.example/calendars?tab=1"}
    app = make_app(CalendarSyncSettings(**settings_values | own))
    async with app.router.lifespan_context(app), another_browser(app) as browser:
        connected = await connect(browser, provider)
        refused = await browser.get(CALLBACK, params={"state": "x", "code": "y"})
        (connection,) = await connections(browser, provider)

    assert (connected.status_code, refused.status_code) == (303, 303)
    back = f"https://app.example/calendars?tab=1&calendar=connected&connectionId={connection['id']}"
    assert connected.headers["location"] == back
    assert refused.headers["location"] == (
        "https://app.example/calendars?tab=1&calendar=refused&code=calendar_consent_not_found"
    )


def test_half_a_registration_stops_the_start(
    settings_values: dict[str, Any],
) -> None:
    own = OWN_SETTINGS | {"google_client_id": CLIENT_ID}

    with pytest.raises(ValidationError, match="go together"):
        CalendarSyncSettings(**settings_values | own)


# What comes after


async def test_the_worker_reads_with_what_the_consent_brought(
    browser: AsyncClient,
    app: FastAPI,
    provider: Headers,
    google: GoogleDouble,
    database: Database,
) -> None:
    await connect(browser, provider)
    refreshes = google.consents.refreshes
    visits = Visits(
        database, app.state.kinds.by_name, app.state.settings.vault, "clinic.example", POLL
    )
    worker = Visitor(database, visits, 1)

    await worker.tick()
    await worker.idle()

    (connection,) = await connections(browser, provider)
    assert connection["health"] == "healthy"
    assert google.consents.refreshes == refreshes == 0


async def test_a_visit_with_old_credentials_breaks_nothing_that_is_mended(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote(renew=True))
    (lease,) = await claim(database, 1)
    async with database.transaction() as db:
        await mend(db, practice.id, {"token": "100"}, Vault.of(KEYS))
    practice.remote.faults = [AccessGone("invalid_grant")]

    await practice.visitor._visits.visit(lease)
    practice.remote.faults = []
    await practice.visit()

    assert (await practice.row())["state"] == "connected"
    assert practice.remote.opened_with[-1] == {"token": "100"}


ODD = [
    "",
    "state=&code=&error=",
    "state=%00&code=x",
    "state=x&code=%00",
    "state=%ED%A0%80&code=%ED%A0%80",
    "state=%FF%FE&code=x",
    "state=" + "x" * 4001,
    "state=x&state=y&code=z",
    "state=x%0D%0ASet-Cookie:%20a=b&code=x",
    "state={{7*7}}&code=%3Cscript%3E&error=%3Cscript%3E",
    "state=%E2%80%AEx&code=x",
    "state[]=x&code=y&__proto__=z",
]


async def test_odd_ways_back_lead_nowhere(browser: AsyncClient, provider: Headers) -> None:
    cookies = b"consent-=x; consent-0=\xe9; =; ;;"

    answers = [
        await browser.get(f"{CALLBACK}?{query}", headers={b"Accept": accept, b"Cookie": cookies})
        for query in ODD
        for accept in (b"text/html", b"application/json")
    ]

    assert {answer.status_code for answer in answers} == {400, 404, 422}
    assert not any("<script>" in answer.text for answer in answers)
    assert await connections(browser, provider) == []
