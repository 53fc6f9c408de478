"""How Google says no."""

import json
from typing import Any

from aiohttp import web


class GoogleSaysNo(Exception):
    """An answer in Google's shape of errors."""

    def __init__(
        self, status: int, reason: str, message: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.message = message or reason
        self.headers = headers or {}

    def answer(self) -> web.Response:
        domain = "usageLimits" if "Limit" in self.reason else "global"
        error: dict[str, Any] = {
            "code": self.status,
            "message": self.message,
            "errors": [{"domain": domain, "reason": self.reason, "message": self.message}],
        }
        text = json.dumps({"error": error})
        return web.Response(
            status=self.status, text=text, content_type="application/json", headers=self.headers
        )


def invalid(message: str, reason: str = "invalid") -> GoogleSaysNo:
    return GoogleSaysNo(400, reason, message)


def not_found() -> GoogleSaysNo:
    return GoogleSaysNo(404, "notFound", "Not Found")
