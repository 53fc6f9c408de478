"""How a service's API is made: ``create_app`` around the routers that ``new_router`` gives."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from shared import probes
from shared.auth import build_token_verifier
from shared.checked_route import CheckedRoute
from shared.db import Database
from shared.draining import Draining
from shared.edge import Edge
from shared.garbage import spare_the_collector
from shared.health import Readiness
from shared.observability import (
    RequestContextMiddleware,
    configure_logging,
    watched_event_loop,
)
from shared.observability.exporting import spans_exported
from shared.openapi import complete
from shared.problems import HANDLERS
from shared.settings import ServiceSettings

_VERSION = "1.0.0"
_CONTACT = {"name": "Medic platform", "url": "https://docs.medic.example"}

Settings = TypeVar("Settings", bound=ServiceSettings)
Resources = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def process_settings(service: str, kind: type[Settings]) -> Settings:
    """What a process that starts as ``service`` reads; it is set up to log JSON and to serve long.

    For ``make_app()`` as uvicorn calls it. Tests give their own settings and keep their own logs.
    """
    settings = kind()
    configure_logging(service, settings.log_level)
    spare_the_collector()
    return settings


def new_router(prefix: str = "", tags: Sequence[str] = ()) -> APIRouter:
    """A router whose every route checks its input and is tried again after a deadlock."""
    return APIRouter(
        prefix=prefix, tags=list(tags), route_class=CheckedRoute, redirect_slashes=False
    )


def create_app(
    settings: ServiceSettings,
    *,
    service: str,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    lifespan_extras: Resources | None = None,
    database_settings: Mapping[str, str] = MappingProxyType({}),
) -> FastAPI:
    """The API of ``service``. While it runs, ``app.state`` holds its ``settings``, ``database``,
    ``token_verifier`` and ``draining``, and what ``lifespan_extras`` puts there (other services).
    ``database_settings`` are PostgreSQL's, for every connection."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as resources:
            await resources.enter_async_context(spans_exported(settings, service))
            app.state.database = database = await resources.enter_async_context(
                Database.open(
                    settings.database_url,
                    application_name=service,
                    pool_size=settings.database_pool_size,
                    server_settings=database_settings,
                )
            )
            app.state.readiness = await resources.enter_async_context(
                Readiness.open(database, settings.amqp_url, name=service)
            )
            await resources.enter_async_context(watched_event_loop())
            if lifespan_extras is not None:
                await resources.enter_async_context(lifespan_extras(app))
            with app.state.draining.on_signals():
                yield

    app = _Api(
        title=title,
        description=description,
        version=_VERSION,
        contact=_CONTACT,
        servers=[{"url": settings.public_origin}],
        openapi_tags=[{"name": name} for name in _tags(routers)],
        generate_unique_id_function=_function_name,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        # Its spans hold paths and queries, its log records the texts of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers=HANDLERS,
        middleware=[Middleware(RequestContextMiddleware), Middleware(Edge)],
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.draining = Draining(settings.stop_delay_seconds)
    app.state.token_verifier = build_token_verifier(settings, service)
    for router in (*routers, probes.router):
        app.include_router(router)
    return app


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        known = self.openapi_schema
        document = super().openapi()
        return document if document is known else complete(document)


def _function_name(route: APIRoute) -> str:
    return route.name


def _tags(routers: Sequence[APIRouter]) -> list[str]:
    return list(dict.fromkeys(str(tag) for router in routers for tag in router.tags))
