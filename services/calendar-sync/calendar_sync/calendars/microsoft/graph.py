"""Calls to Microsoft Graph, and its refusals in the contract's words."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from calendar_sync.calendars.contract import AccessGone, Refused, Temporary
from calendar_sync.calendars.oauth import Access, json_of
from calendar_sync.metrics import counted
from shared.http import Response
from shared.observability import logger
from shared.retry_after import retry_after

_LATER = frozenset({408, 409, 423, 425, 429})
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Without it an event's id changes when it is moved to another folder.
_IDS = 'IdType="ImmutableId"'


class Rejected(Refused):
    """Graph's no to one request, for whoever asked to make sense of."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(_reason(status, code))
        self.status = status
        self.code = code.lower()


class Graph:
    """One person's mailbox."""

    def __init__(self, access: Access, url: str) -> None:
        self.access = access
        self._url = url

    async def call(
        self,
        method: str,
        place: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        prefer: str = "",
        if_match: str | None = None,
    ) -> dict[str, Any]:
        """The answer; ``place`` is a path, or a whole link that Graph gave.

        Raises Temporary, AccessGone, and Rejected for every other no.
        """
        url = place if "://" in place else self._url + place
        if not url.startswith(f"{self._url}/"):
            raise Temporary("foreign_link")  # it would be shown our access
        request_id = str(uuid4())
        headers = {
            "Prefer": ", ".join(filter(None, [_IDS, prefer])),
            "client-request-id": request_id,
            **({"If-Match": if_match} if if_match is not None else {}),
        }
        response = await counted(
            "microsoft",
            self.access.send(method, url, params=query, json=body, headers=headers),
        )
        if response.is_success:
            return json_of(response) if response.content else {}
        status, code = response.status_code, _code(response)
        logger.info("graph_refused", status=status, code=code, request=request_id)
        if status == 401:
            raise AccessGone("access_refused")
        if status in _LATER or status >= 500:
            raise Temporary(_reason(status, code), retry_after(response.headers))
        raise Rejected(status, code)


def _code(response: Response) -> str:
    error = json_of(response).get("error")
    return str(error.get("code", ""))[:80] if isinstance(error, dict) else ""


def _reason(status: int, code: str) -> str:
    """``ErrorItemNotFound`` as ``error_item_not_found``."""
    words = _NOT_WORD.sub("_", _BREAK.sub("_", code).lower()).strip("_")
    return words or f"status_{status}"
