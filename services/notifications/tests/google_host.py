"""Google's token endpoint and FCM's messages:send, as their documentation describes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import jwt
from aiohttp import web


class GoogleHost:
    """Takes every message of the right account, unless told otherwise by device."""

    def __init__(self, public_key: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.replies: dict[str, list[web.Response]] = {}
        """By device: answers instead of 200."""
        self.tokens = 0
        self.refuses_access = False
        self.drops = 0
        self.url = ""
        self._key = public_key

    @classmethod
    @asynccontextmanager
    async def open(cls, public_key: Any) -> AsyncIterator[Self]:
        host = cls(public_key)
        app = web.Application()
        app.router.add_post("/token", host._token)
        app.router.add_post("/v1/projects/medic-test/messages:send", host._send)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield host
        finally:
            await runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = jwt.decode(
            str(form["assertion"]), self._key, ["RS256"], audience=f"{self.url}/token"
        )
        assert claims["iss"] == "push@medic-test.iam.gserviceaccount.com"
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        assert claims["exp"] - claims["iat"] <= 3600
        if self.refuses_access:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.tokens += 1
        return web.json_response(
            {"access_token": f"token-{self.tokens}", "expires_in": 3599, "token_type": "Bearer"}
        )

    async def _send(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer token-{self.tokens}":
            return problem(401, "UNAUTHENTICATED", None)
        message = (await request.json())["message"]
        assert message.keys() <= {"token", "notification", "data", "android", "apns", "webpush"}
        assert all(isinstance(value, str) for value in message["data"].values())
        if replies := self.replies.get(message["token"]):
            return replies.pop(0)
        self.sent.append(message)
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"name": "projects/medic-test/messages/1"})


def problem(status: int, name: str, code: str | None, **headers: str) -> web.Response:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": code}] if code else []
    error = {"code": status, "status": name, "message": "…", "details": details}
    return web.json_response({"error": error}, status=status, headers=headers)
