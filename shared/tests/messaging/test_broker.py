"""A way to the broker that leads nowhere is an outage, however the library puts it."""

import asyncio

import pytest
from aiormq.connection import FrameReceiver

from shared.messaging.broker import BrokerUnavailable, broker_errors


async def test_a_connection_that_is_closed_before_its_greeting() -> None:
    """As by a proxy whose broker is gone."""
    reader = asyncio.StreamReader()
    reader.feed_eof()

    with pytest.raises(BrokerUnavailable), broker_errors("connect"):
        await FrameReceiver(reader).get_frame()
