"""A carrier of SMS that speaks like Twilio and loses answers."""

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from tests.torture.history import History, Json, now

SID = "AC" + "0123456789abcdef" * 2


def settings(port: int) -> Json:
    """What makes a notifications' worker send its texts to the carrier."""
    return {
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": "a token of the carrier's",
        "TWILIO_FROM": "+15005550006",
        "TWILIO_URL": f"http://127.0.0.1:{port}",
    }


@dataclass
class Carrier:
    """Keeps a text and says so; sometimes it keeps it and says nothing, or neither."""

    history: History
    chance: random.Random
    reliable_from: float
    """From that moment on it makes no mistakes."""
    _texts: list[Json] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, listening: socket.socket) -> AsyncIterator[None]:
        app = web.Application()
        path = f"/2010-04-01/Accounts/{SID}/Messages.json"
        app.router.add_post(path, self._take)
        app.router.add_get(path, self._list)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        form = await request.post()
        whim = self.chance.random() if now() < self.reliable_from else 1.0
        if whim < 0.1:
            return web.json_response({"code": 20503}, status=503)
        asked = parse_qs(urlsplit(str(form["StatusCallback"])).query)
        sid = f"SM{self.chance.getrandbits(128):032x}"
        text = {"sid": sid, "to": str(form["To"]), "body": str(form["Body"])}
        self._texts.append(text | {"date_created": format_datetime(datetime.now(UTC))})
        self.history.add("text", start=now(), job=asked["notification"][0], to=text["to"])
        if whim < 0.3 and request.transport is not None:
            request.transport.close()
        elif whim < 0.4:
            return web.json_response({"code": 20500}, status=500)
        return web.json_response(self._texts[-1], status=201)

    async def _list(self, request: web.Request) -> web.Response:
        found = [text for text in self._texts if text["to"] == request.query["To"]]
        return web.json_response({"messages": found[::-1][: int(request.query["PageSize"])]})
