"""A request that may arrive several times and takes effect once."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Annotated, Any, TypeVar

import asyncpg
from fastapi import Depends, Header, Request
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from shared.auth import CurrentUser, Principal
from shared.db import Connection, Database, database_of
from shared.errors import Conflict
from shared.fields.parsed import Parsed
from shared.idempotency.answers import KEPT_ONCE, Fetch, Kept, StoredAnswer, fetching, keep, look
from shared.idempotency.keys import (
    KEY_SCHEMA,
    IdempotencyKeyRequired,
    RequestInProgress,
    RequestKey,
    key_of,
)

Db = TypeVar("Db", Connection, AsyncSession)
Made = TypeVar("Made")
HeadersOf = Callable[[Made], Mapping[str, str]]
Keep = Callable[[Made], Kept]
"""What a request has made, to the row that keeps the answer to it."""


class _Overtaken(Exception):
    """Another request with the same key has committed first, so this one's effect must go."""


class Once:
    """One request. With a key: one effect, and for 72 hours the same answer. Without: just done.

    It owns the transaction, so that a refusal can be stored although everything else about it is
    rolled back. Only refusals by the state of things (Conflict, 409) are answers to be repeated;
    after any other refusal or failure the same key may be used again.
    """

    def __init__(
        self, database: Database, user: Principal, key: RequestKey | None, route: Any
    ) -> None:
        self.user = user
        self._database = database
        self._key = key
        self._status: int = route.status_code or 200
        self._model: Any = route.response_model

    @property
    def has_key(self) -> bool:
        return self._key is not None

    async def in_sql(
        self,
        act: Callable[[Connection], Awaitable[Made]],
        *,
        headers: HeadersOf[Made] | None = None,
    ) -> Response:
        """Run ``act`` in an asyncpg transaction; what it returns is the body, by the route's
        ``response_model`` (ready JSON as ``bytes`` goes out as it is)."""
        return await self._attempt(self._database.transaction, act, headers)

    async def in_session(
        self,
        act: Callable[[AsyncSession], Awaitable[Made]],
        *,
        headers: HeadersOf[Made] | None = None,
    ) -> Response:
        """The same with an ORM session."""
        return await self._attempt(self._database.orm_transaction, act, headers)

    async def in_one_statement(
        self,
        attempt: Callable[[Connection, Keep[Made]], Awaitable[bool]],
        *,
        headers: HeadersOf[Made] | None = None,
    ) -> Response | None:
        """Without BEGIN and COMMIT; None when nothing was written, for ``in_sql`` to find out why.

        ``attempt`` writes its effect together with the row that ``keep`` gives for the answer, in a
        single statement that fails on a known key; False when it has not.
        """
        key = self._key
        if key is None:
            return None
        answer: StoredAnswer | None = None

        def keep(made: Made) -> Kept:
            nonlocal answer
            answer = self._answer(made, headers)
            return answer.kept(key)

        try:
            async with self._database.autocommit() as db:
                done = await attempt(db, keep)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != KEPT_ONCE:
                raise
            return None
        return answer.first() if done and answer else None

    async def earlier(self, db: Connection) -> Response | None:
        """For what needs two transactions, in the first: the answer that was given already."""
        if self._key is None:
            return None
        stored = await look(fetching(db), self._key)
        return stored.again() if stored else None

    async def keep(
        self, db: Connection, made: Made, *, headers: HeadersOf[Made] | None = None
    ) -> Response:
        """And in the second: the answer to give, which is an earlier one if there is one by now.

        The effects of both requests stay, so they must be the same one.
        """
        return await self._keep_or_repeat(db, self._answer(made, headers))

    async def keep_refusal(self, db: Connection, refusal: Conflict) -> Response:
        """Like ``keep``, for a refusal that is to be repeated."""
        return await self._keep_or_repeat(db, StoredAnswer.refusing(refusal))

    async def _attempt(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Db]],
        act: Callable[[Db], Awaitable[Made]],
        headers: HeadersOf[Made] | None,
    ) -> Response:
        key = self._key
        if key is None:
            async with transaction() as db:
                return self._answer(await act(db), headers).first()
        refused: StoredAnswer | None = None
        try:
            async with transaction() as db:
                if (stored := await look(fetching(db), key)) is not None:
                    return stored.again()
                try:
                    made = await act(db)
                except Conflict as refusal:
                    refused = StoredAnswer.refusing(refusal)
                    raise
                answer = self._answer(made, headers)
                await _keep_first(fetching(db), key, answer)
            return answer.first()
        except _Overtaken:
            pass
        except Conflict:
            if refused is None:
                raise
        # Everything is rolled back and nobody has been answered yet: whichever answer to this key
        # is stored first is the answer, be it another request's.
        async with self._database.transaction() as connection:
            if refused is not None:
                return await self._keep_or_repeat(connection, refused)
            return await self._repeat(connection, key)

    async def _keep_or_repeat(self, db: Connection, answer: StoredAnswer) -> Response:
        if self._key is None or await keep(fetching(db), self._key, answer):
            return answer.first()
        return await self._repeat(db, self._key)

    async def _repeat(self, db: Connection, key: RequestKey) -> Response:
        stored = await look(fetching(db), key)
        if stored is None:
            raise RequestInProgress
        return stored.again()

    def _answer(self, made: Any, headers: HeadersOf[Any] | None) -> StoredAnswer:
        body = made if isinstance(made, bytes) else _to_json(self._model, made)
        sent = {"content-type": "application/json"} if body else {}
        return StoredAnswer(self._status, sent | dict(headers(made) if headers else {}), body)


async def _keep_first(fetch: Fetch, key: RequestKey, answer: StoredAnswer) -> None:
    if not await keep(fetch, key, answer):
        raise _Overtaken


def _to_json(model: Any, made: Any) -> bytes:
    if made is None and model is None:
        return b""
    if isinstance(made, BaseModel) and type(made) is model:
        return made.__pydantic_serializer__.to_json(made, by_alias=True)
    adapter = _adapter(model)
    return adapter.dump_json(adapter.validate_python(made, from_attributes=True), by_alias=True)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


# Only for the OpenAPI document: key_of judges the header, which has answers of its own.
_DocumentedHeader = Annotated[
    Annotated[str, Parsed(str, KEY_SCHEMA)] | None,
    Header(
        alias="Idempotency-Key",
        description="Makes it safe to send the request again: it has one effect, and for 72 hours "
        "the same key gets the same answer.",
    ),
]


async def once_of(request: Request, user: Principal) -> Once:
    """For shortcuts, which run before dependencies do."""
    key = await key_of(request, user.id)
    return Once(database_of(request), user, key, request.scope["route"])


async def _once(request: Request, user: CurrentUser, _: _DocumentedHeader = None) -> Once:
    return await once_of(request, user)


async def _required_once(request: Request, user: CurrentUser, _: _DocumentedHeader = None) -> Once:
    once = await once_of(request, user)
    if not once.has_key:
        raise IdempotencyKeyRequired(
            "Send a header Idempotency-Key that is new for each intent of the user, "
            "and the same for each retry."
        )
    return once


OnceIfKeyed = Annotated[Once, Depends(_once)]
"""For every POST: honours an Idempotency-Key where one is given."""

OnceOnly = Annotated[Once, Depends(_required_once)]
"""For a POST that must not be repeated by accident: 400 without an Idempotency-Key."""
