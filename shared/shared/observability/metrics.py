"""Prometheus metrics of this process. Each module defines the metrics of what it does."""

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.responses import Response


def metrics_response() -> Response:
    """The answer of ``GET /metrics``."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
