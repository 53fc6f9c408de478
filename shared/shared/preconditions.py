"""If-Match: a change is made only to the state that its author has seen (RFC 9110, 13.1.1)."""

import re
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Header, Request

from shared.errors import Stale
from shared.fields import Answer
from shared.fields.parsed import Parsed

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of(answer: Answer) -> str:
    """The ETag of an answer; another one as soon as anything in the answer is another."""
    return f'"{sha256(answer.model_dump_json().encode()).hexdigest()[:32]}"'


class Precondition:
    """What a request says about the state that it wants to change; nothing means any."""

    def __init__(self, header: str | None) -> None:
        self._any = header is None or header.strip() == "*"
        self._tags = _TAG.findall(header or "")

    def check(self, etag: str) -> None:
        """Raises Stale unless the state with this ETag is the wanted one; weak tags never match."""
        if not self._any and etag not in self._tags:
            raise Stale("somebody has changed it since it was read; read it again")


_DocumentedHeader = Annotated[
    Annotated[str, Parsed(str, {"type": "string", "maxLength": 1000})] | None,
    Header(
        alias="If-Match",
        description="The `ETag` of the state that is to be changed; 412 when it is another by now.",
    ),
]


async def _precondition(request: Request, _: _DocumentedHeader = None) -> Precondition:
    values = request.headers.getlist("if-match")
    return Precondition(", ".join(values) if values else None)


IfMatch = Annotated[Precondition, Depends(_precondition)]
"""The argument of a route that honours If-Match; it lists `Stale` among its problems."""
