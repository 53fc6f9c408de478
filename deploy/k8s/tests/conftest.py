from collections.abc import Callable

import pytest

from .manifests import OVERLAYS, Cluster, render, renderer

Render = Callable[..., Cluster]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """``rendered("prod", component="telemetry")``: an overlay as it would be applied."""
    command = renderer()
    if command is None:
        pytest.skip("neither kubectl nor kustomize is installed: overlays cannot be rendered")
    return lambda overlay, **more: render(
        command, overlay, tmp_path_factory.mktemp(overlay), **more
    )


@pytest.fixture(scope="session", params=OVERLAYS)
def cluster(request: pytest.FixtureRequest, rendered: Render) -> Cluster:
    """Each overlay in turn."""
    return rendered(request.param)
