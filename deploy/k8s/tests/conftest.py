import pytest

from .manifests import OVERLAYS, Cluster, render, renderer


@pytest.fixture(scope="session", params=OVERLAYS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Each overlay in turn, as it would be applied."""
    command = renderer()
    if command is None:
        pytest.skip("neither kubectl nor kustomize is installed: overlays cannot be rendered")
    return render(command, request.param, tmp_path_factory.mktemp(request.param))
