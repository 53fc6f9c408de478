"""An application of the Pusher protocol: an id, a public key, and the secret that signs."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha256
from time import time
from typing import Self
from urllib.parse import unquote, urlsplit

_APP = re.compile(r"(?P<id>[0-9]{1,18}):(?P<key>[A-Za-z0-9_-]{4,64}):(?P<secret>[!-~]{16,128})")
_CLOCK_DIFFERENCE = 600


@dataclass(frozen=True, slots=True)
class Application:
    id: str
    key: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """``<numeric id>:<key>:<secret of 16 characters or more>``; raises ValueError."""
        found = _APP.fullmatch(text)
        if found is None:
            raise ValueError("write an application as <numeric id>:<key>:<secret, 16 characters>")
        return cls(**found.groupdict())

    def channel_auth(self, socket_id: str, channel: str) -> str:
        """What lets one socket, and no other, subscribe to one private channel."""
        return f"{self.key}:{self._sign(f'{socket_id}:{channel}')}"

    def allows(self, auth: object, socket_id: str, channel: str) -> bool:
        return isinstance(auth, str) and hmac.compare_digest(
            auth.encode(), self.channel_auth(socket_id, channel).encode()
        )

    def signed(self, method: str, path: str, body: bytes, *, now: float | None = None) -> str:
        """The query string of a REST call, which proves who sends it, and when."""
        query = {
            "auth_key": self.key,
            "auth_timestamp": str(int(time() if now is None else now)),
            "auth_version": "1.0",
            "body_md5": _digest(body),
        }
        return f"{_joined(query)}&auth_signature={self._of_call(method, path, query)}"

    def has_signed(self, method: str, path: str, body: bytes, query: Mapping[str, str]) -> bool:
        """Whether a REST call of the last ten minutes is this application's, and untouched."""
        claimed = dict(query)
        signature = claimed.pop("auth_signature", "")
        try:
            age = abs(time() - int(claimed.get("auth_timestamp", "0")))
        except ValueError:
            return False
        return (
            age <= _CLOCK_DIFFERENCE
            and claimed.get("auth_key") == self.key
            and hmac.compare_digest(claimed.get("body_md5", "").encode(), _digest(body).encode())
            and hmac.compare_digest(
                signature.encode(), self._of_call(method, path, claimed).encode()
            )
        )

    def _of_call(self, method: str, path: str, query: Mapping[str, str]) -> str:
        return self._sign(f"{method}\n{path}\n{_joined(query)}")

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class HostedApplication:
    """An application, and where its REST calls go."""

    application: Application
    origin: str

    @classmethod
    def of(cls, url: str) -> Self:
        """``https://key:secret@host/apps/id``, as Pusher shows it; raises ValueError."""
        try:
            parts = urlsplit(url)
            port = f":{parts.port}" if parts.port else ""
            app_id = parts.path.removeprefix("/apps/")
            text = f"{app_id}:{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            application = Application.of(text)
        except ValueError:
            raise ValueError("write it as https://key:secret@host/apps/id") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("write it as https://key:secret@host/apps/id")
        return cls(application, f"{parts.scheme}://{parts.hostname}{port}")


def _joined(query: Mapping[str, str]) -> str:
    return "&".join(f"{name}={query[name]}" for name in sorted(query))


def _digest(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()
