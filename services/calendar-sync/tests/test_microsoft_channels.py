"""Subscriptions at Microsoft 365, by the double of Graph: the handshake, their lives and ends."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from calendar_sync.calendars.contract import Channel, ChannelRequest, PushingAccount, Refused
from calendar_sync.calendars.microsoft import MicrosoftAccount
from shared.http import AsyncClient, MockTransport, Request, Response
from shared.ids import new_id

from .graph.mailbox import Mailbox
from .graph.server import GraphDouble
from .microsoft import an_account

ADDRESS = "https://clinic.example/v1/webhooks/calendar/microsoft"
Echo = Callable[[str], Response]


@pytest.fixture
def echo() -> list[Echo]:
    """How the address answers a handshake."""
    return [lambda token: Response(200, text=token)]


@pytest.fixture
async def graph(echo: list[Echo]) -> AsyncIterator[GraphDouble]:
    def answer(request: Request) -> Response:
        return echo[0](request.url.params["validationToken"])

    async with (
        AsyncClient(transport=MockTransport(answer)) as client,
        GraphDouble.open(client) as double,
    ):
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
async def account(graph: GraphDouble, mailbox: Mailbox) -> AsyncIterator[MicrosoftAccount]:
    async with an_account(graph, mailbox) as account:
        yield account


def wanted(*, lasts: timedelta = timedelta(days=6), address: str = ADDRESS) -> ChannelRequest:
    return ChannelRequest(id=new_id(), secret="s" * 43, address=address, lasts=lasts)


async def test_a_subscription_is_opened_for_one_calendar(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    asked = wanted()

    channel = await account.open_channel(mailbox.default.id, asked)

    (there,) = graph.subscriptions.live()
    assert isinstance(account, PushingAccount)
    assert there.id == channel.external_id
    assert there.expires_at == channel.expires_at
    assert (there.url, there.lifecycle_url) == (ADDRESS, f"{ADDRESS}/lifecycle")
    assert there.client_state == f"{asked.id}.{asked.secret}"
    assert len(there.client_state) <= 128


async def test_no_more_time_is_asked_for_than_there_is(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    long, short = timedelta(days=30), timedelta(minutes=1)

    opened = await account.open_channel(mailbox.default.id, wanted(lasts=long))
    renewed = await account.renew_channel(opened, long)
    at_least = await account.open_channel(mailbox.default.id, wanted(lasts=short))

    assert renewed is not None
    for channel in (opened, renewed):
        left = channel.expires_at - graph.now()
        assert timedelta(days=6, hours=20) < left <= timedelta(minutes=10_080)
    assert at_least.expires_at > graph.now() + timedelta(minutes=40)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda token: Response(200, text=f"{token}\n"),
        lambda token: Response(200, html=token),
        lambda token: Response(202, text=token),
        lambda _: Response(404),
    ],
)
async def test_an_address_that_does_not_shake_hands_is_refused(
    graph: GraphDouble,
    account: MicrosoftAccount,
    mailbox: Mailbox,
    echo: list[Echo],
    wrong: Echo,
) -> None:
    echo[0] = wrong

    with pytest.raises(Refused, match="validation_error"):
        await account.open_channel(mailbox.default.id, wanted())

    assert graph.subscriptions.live() == []


async def test_without_https_there_is_no_subscription(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    with pytest.raises(Refused):
        await account.open_channel(mailbox.default.id, wanted(address="http://clinic.example/"))


async def test_one_that_has_ended_cannot_be_renewed_and_may_be_stopped(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    asked = wanted()
    channel = await account.open_channel(mailbox.default.id, asked)

    for _ in range(2):
        await account.stop_channel(asked.id, channel.external_id)

    assert graph.subscriptions.live() == []
    assert await account.renew_channel(channel, timedelta(days=6)) is None


async def test_another_persons_subscription_is_nobodys(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    channel = await account.open_channel(mailbox.default.id, wanted())

    async with an_account(graph, graph.new_mailbox()) as other:
        await other.stop_channel(new_id(), channel.external_id)
        assert await other.renew_channel(channel, timedelta(days=6)) is None
        assert (
            await other.renew_channel(Channel("x/../y", channel.expires_at), timedelta(1)) is None
        )

    assert len(graph.subscriptions.live()) == 1
