"""Endpoints of a provider, and those of the clinic; alike but for whose they are."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response

from notifications.webhooks import endpoints
from notifications.webhooks.refusals import (
    TooManyWebhookEndpoints,
    WebhookEndpointDisabled,
    WebhookEndpointNotFound,
    WebhooksNotOffered,
)
from notifications.webhooks.schemas import (
    DeliveryLogOut,
    DeliveryOut,
    EndpointIn,
    EndpointOut,
    EndpointsOut,
    LogQuery,
    ReplayIn,
    ReplayOut,
)
from notifications.webhooks.signing import shown
from shared.app import new_router
from shared.auth import CurrentUser, Role, require
from shared.cursors import CursorInvalid, position_of
from shared.db import Connection, SqlReading, SqlTransaction
from shared.encryption import Cipher
from shared.errors import FieldError, Forbidden, Invalid
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.outside import AddressRefused, Outside
from shared.problems import problems


async def _provider(provider_id: Id, user: CurrentUser) -> UUID:
    is_own = user.role is Role.PROVIDER and user.id == provider_id
    if not is_own and user.role is not Role.ADMIN:
        raise WebhookEndpointNotFound("no such provider, or none of yours")
    return provider_id


async def _clinic(_: Annotated[object, require(Role.ADMIN)]) -> None:
    return None


async def _cipher(request: Request) -> Cipher:
    cipher: Cipher | None = request.app.state.settings.cipher
    if cipher is None:
        raise WebhooksNotOffered("WEBHOOK_KEYS is not set")
    return cipher


UsualCipher = Annotated[Cipher, Depends(_cipher)]


async def _check(request: Request, url: str) -> None:
    """Raises Invalid for an address that webhooks may not go to; asks the name service."""
    outside: Outside = request.app.state.outside
    try:
        await outside.check(url)
    except AddressRefused as refused:
        raise Invalid(errors=[FieldError("url", refused.code, str(refused))]) from None


def _with_secret(answer: Response, secret: bytes | None) -> Response:
    """The stored answer has no secret, so that it is shown once and kept nowhere in the clear."""
    if secret is None:
        return answer
    body = orjson.loads(bytes(answer.body)) | {"secret": shown(secret)}
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    return Response(orjson.dumps(body), answer.status_code, headers)


def _routes(prefix: str, owner_of: Any, named: str) -> APIRouter:
    router = new_router(prefix=prefix, tags=["webhooks"])
    Owner = Annotated[UUID | None, Depends(owner_of)]  # noqa: N806 -- a type

    @router.post(
        "",
        name=f"create_{named}",
        status_code=201,
        response_model=EndpointOut,
        responses=problems(
            WebhookEndpointNotFound,
            Forbidden,
            TooManyWebhookEndpoints,
            WebhooksNotOffered,
            *KEY_REFUSALS,
        ),
    )
    async def create(
        request: Request, owner: Owner, body: EndpointIn, once: OnceIfKeyed, cipher: UsualCipher
    ) -> Response:
        """Where to tell what happens. The secret with which we sign is shown this once."""
        await _check(request, body.url)
        told: list[bytes] = []

        async def add(db: Connection) -> EndpointOut:
            row, secret = await endpoints.add(db, owner, body.wish(), cipher)
            told[:] = [secret]
            return EndpointOut.of(row)

        answer = await once.in_sql(
            add, headers=lambda made: {"Location": f"{request.url.path}/{made.id}"}
        )
        return _with_secret(answer, _first_time(answer, told))

    @router.get(
        "",
        name=f"list_{named}s",
        responses=problems(WebhookEndpointNotFound, Forbidden),
    )
    async def list_(owner: Owner, db: SqlReading) -> EndpointsOut:
        """All of them: there are ten at most."""
        return EndpointsOut(
            items=[EndpointOut.of(row) for row in await endpoints.all_of(db, owner)]
        )

    @router.get(
        "/{endpoint_id}",
        name=f"get_{named}",
        responses=problems(WebhookEndpointNotFound, Forbidden),
    )
    async def get(owner: Owner, endpoint_id: Id, db: SqlReading) -> EndpointOut:
        """One endpoint, and whether it is well."""
        return EndpointOut.of(await endpoints.one_of(db, owner, endpoint_id))

    @router.put(
        "/{endpoint_id}",
        name=f"change_{named}",
        response_model=EndpointOut,
        responses=problems(WebhookEndpointNotFound, Forbidden, *KEY_REFUSALS),
    )
    async def change(
        request: Request, owner: Owner, endpoint_id: Id, body: EndpointIn, once: OnceIfKeyed
    ) -> Response:
        """Another address, other events, on or off; the secret stays."""
        await _check(request, body.url)

        async def act(db: Connection) -> EndpointOut:
            return EndpointOut.of(await endpoints.change(db, owner, endpoint_id, body.wish()))

        return await once.in_sql(act)

    @router.delete(
        "/{endpoint_id}",
        name=f"delete_{named}",
        status_code=204,
        responses=problems(WebhookEndpointNotFound, Forbidden),
    )
    async def delete(owner: Owner, endpoint_id: Id, db: SqlTransaction) -> None:
        """Nothing more is sent; its log goes with it."""
        await endpoints.remove(db, owner, endpoint_id)

    @router.post(
        "/{endpoint_id}/rotate-secret",
        name=f"rotate_{named}_secret",
        response_model=EndpointOut,
        responses=problems(WebhookEndpointNotFound, Forbidden, WebhooksNotOffered, *KEY_REFUSALS),
    )
    async def rotate(
        owner: Owner, endpoint_id: Id, once: OnceIfKeyed, cipher: UsualCipher
    ) -> Response:
        """A new secret, shown this once; for 24 hours both sign."""
        told: list[bytes] = []

        async def act(db: Connection) -> EndpointOut:
            row, secret = await endpoints.rotate_secret(db, owner, endpoint_id, cipher)
            told[:] = [secret]
            return EndpointOut.of(row)

        answer = await once.in_sql(act)
        return _with_secret(answer, _first_time(answer, told))

    @router.post(
        "/{endpoint_id}/test",
        name=f"test_{named}",
        status_code=202,
        response_model=DeliveryOut,
        responses=problems(
            WebhookEndpointNotFound, Forbidden, WebhookEndpointDisabled, *KEY_REFUSALS
        ),
    )
    async def test(owner: Owner, endpoint_id: Id, once: OnceIfKeyed) -> Response:
        """Sends a `webhook.test` soon; the log shows what became of it."""

        async def act(db: Connection) -> DeliveryOut:
            return DeliveryOut.of(await endpoints.send_test(db, owner, endpoint_id))

        return await once.in_sql(act)

    @router.post(
        "/{endpoint_id}/replay",
        name=f"replay_{named}",
        status_code=202,
        response_model=ReplayOut,
        responses=problems(
            WebhookEndpointNotFound, Forbidden, WebhookEndpointDisabled, *KEY_REFUSALS
        ),
    )
    async def replay(owner: Owner, endpoint_id: Id, body: ReplayIn, once: OnceIfKeyed) -> Response:
        """Sends again what happened after a position, of the last 30 days, 10,000 at most."""

        async def act(db: Connection) -> ReplayOut:
            queued = await endpoints.replay(db, owner, endpoint_id, after=body.after_position)
            return ReplayOut(queued=queued)

        return await once.in_sql(act)

    @router.get(
        "/{endpoint_id}/deliveries",
        name=f"list_{named}_deliveries",
        responses=problems(WebhookEndpointNotFound, Forbidden, CursorInvalid),
    )
    async def log(
        owner: Owner, endpoint_id: Id, wanted: FromQuery[LogQuery], db: SqlReading
    ) -> DeliveryLogOut:
        """What the endpoint was told and how it went, the latest first."""
        rows = await endpoints.log_of(
            db, owner, endpoint_id, after=position_of(wanted.cursor), limit=wanted.limit + 1
        )
        return DeliveryLogOut.of(rows, limit=wanted.limit)

    return router


def _first_time(answer: Response, told: list[bytes]) -> bytes | None:
    """None for an answer that is given again: then what was made just now is rolled back."""
    is_again = "idempotent-replayed" in answer.headers
    return told[0] if told and not is_again else None


of_providers = _routes(
    "/v1/providers/{provider_id}/webhook-endpoints", _provider, "provider_webhook_endpoint"
)
of_the_clinic = _routes("/v1/webhook-endpoints", _clinic, "webhook_endpoint")
