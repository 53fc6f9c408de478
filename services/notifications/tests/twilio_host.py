"""Twilio's Messages resource as its documentation describes it, and its callbacks."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Self
from uuid import uuid4

from aiohttp import web

SID, TOKEN = "AC" + "0123456789abcdef" * 2, "a-token-of-twilio"


class TwilioHost:
    """Takes every message of the right account, unless told otherwise."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.replies: list[web.Response] = []
        """Answers to the next POSTs instead of 201; such messages are not kept."""
        self.drops = 0
        """So many of the next messages are kept, and the line breaks before the answer."""
        self.lists = True
        self.gate = asyncio.Event()
        """While it is not set, a message is kept, and its answer does not come."""
        self.gate.set()
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        host = cls()
        app = web.Application()
        path = f"/2010-04-01/Accounts/{SID}/Messages.json"
        app.router.add_post(path, host._create)
        app.router.add_get(path, host._list)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield host
        finally:
            await runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        self.calls.append("POST")
        if not _is_ours(request):
            return web.json_response({"code": 20003, "status": 401}, status=401)
        form = dict(await request.post())
        assert {"To", "Body"} <= form.keys()
        assert ("From" in form) != ("MessagingServiceSid" in form)
        if self.replies:
            return self.replies.pop(0)
        message = {
            "sid": f"SM{uuid4().hex}",
            "status": "queued",
            "to": form["To"],
            "from": form.get("From"),
            "body": form["Body"],
            "callback": form["StatusCallback"],
            "date_created": format_datetime(datetime.now(UTC)),
        }
        self.messages.append(message)
        await self.gate.wait()
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(message, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        self.calls.append("GET")
        if not _is_ours(request):
            return web.json_response({"code": 20003, "status": 401}, status=401)
        if not self.lists:
            return web.json_response({"code": 20500, "status": 500}, status=500)
        found = [each for each in self.messages if each["to"] == request.query["To"]]
        return web.json_response({"messages": found[::-1]})


def _is_ours(request: web.Request) -> bool:
    expected = f"Basic {b64encode(f'{SID}:{TOKEN}'.encode()).decode()}"
    return request.headers.get("Authorization") == expected


def refusal(status: int, code: int, **headers: str) -> web.Response:
    return web.json_response(
        {"code": code, "message": "The 'To' number +302101234567 is not valid", "status": status},
        status=status,
        headers=headers,
    )
