"""What a supervisor, a load balancer and Prometheus ask of an API."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from shared.health import Readiness
from shared.observability import metrics_response

router = APIRouter(include_in_schema=False, redirect_slashes=False)


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers; asks nobody else."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """200 while the database answers and nobody has told the process to stop, else 503.

    The broker is reported but not required: bookings stay available while it is down, and the
    outbox keeps what is to be said.
    """
    readiness: Readiness = request.app.state.readiness
    if request.app.state.draining.has_begun:
        return JSONResponse({"stopping": True}, status_code=503)
    answers = await readiness.check()
    return JSONResponse(answers, status_code=200 if answers["database"] else 503)


@router.get("/metrics")
async def metrics() -> Response:
    """Everything that Prometheus collects from this process."""
    return metrics_response()
