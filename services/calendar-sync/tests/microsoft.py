"""Accounts at the double of Graph, opened as the worker opens them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from calendar_sync.calendars.contract import Credentials, Save
from calendar_sync.calendars.microsoft import MicrosoftAccount, MicrosoftKind, registration
from calendar_sync.calendars.oauth import OAuth
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.connect import Opened, connect
from calendar_sync.vault import Vault
from shared.db import Database
from shared.http import AsyncClient, new_client

from .graph.access import CLIENT_ID, CLIENT_SECRET
from .graph.mailbox import Mailbox
from .graph.server import GraphDouble
from .practice import HOST, KEYS, POLL, Practice
from .remote import Remote

ORIGIN = f"https://{HOST}"


def microsoft(
    graph: GraphDouble, client: AsyncClient, *, secret: str = CLIENT_SECRET
) -> MicrosoftKind:
    ours = registration(client_id=CLIENT_ID, client_secret=secret, login_url=graph.login_url)
    return MicrosoftKind(OAuth(client, ours), graph.url)


def fresh(graph: GraphDouble, mailbox: Mailbox) -> Credentials:
    """As they are kept after the owner of the mailbox has just agreed."""
    answer = graph.access.grant(mailbox)
    expires_at = graph.now() + timedelta(seconds=answer["expires_in"])
    return {
        "access_token": answer["access_token"],
        "refresh_token": answer["refresh_token"],
        "expires_at": f"{expires_at.timestamp():.0f}",
    }


async def a_connected_mailbox(
    database: Database, provider_id: UUID, graph: GraphDouble, mailbox: Mailbox, http: AsyncClient
) -> Practice:
    """Connected, and not visited yet; told of by channels, which call the API."""
    vault, kind = Vault.of(KEYS), microsoft(graph, http)
    credentials = fresh(graph, mailbox)
    async with kind.open(credentials, _forget) as account:
        calendars = await account.calendars()
    opened = Opened(
        kind="microsoft",
        account=mailbox.name,
        place="Microsoft 365",
        identity=mailbox.id,
        credentials=credentials,
        calendars=calendars,
    )
    async with database.transaction() as db:
        id_ = await connect(db, provider_id, opened, vault)
    visits = Visits(database, {"microsoft": kind}, vault, HOST, POLL, ORIGIN)
    return Practice(database, provider_id, Remote("microsoft"), id_, Visitor(database, visits, 5))


async def _forget(_: Credentials) -> None:
    pass


@asynccontextmanager
async def an_account(
    graph: GraphDouble,
    mailbox: Mailbox,
    *,
    credentials: Mapping[str, str] | None = None,
    save: Save = _forget,
    secret: str = CLIENT_SECRET,
) -> AsyncIterator[MicrosoftAccount]:
    """With access that the owner of the mailbox has just granted, unless other is given."""
    async with (
        new_client() as client,
        microsoft(graph, client, secret=secret).open(
            credentials or fresh(graph, mailbox), save
        ) as account,
    ):
        yield account
