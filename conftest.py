"""Fixtures that every test may ask for, and how tests are shared out among processes."""

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling, Scheduling

from shared.testing.run import NIGHTLY

pytest_plugins = ["shared.testing.plugin"]

# A slow machine breaks no property, and what fails once fails again; by night the cases are new.
settings.register_profile(
    "medic",
    deadline=None,
    database=None,
    derandomize=not NIGHTLY,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("medic")


class _ByFile(LoadFileScheduling):
    """A file's tests in one process, and all journeys in one: they share a running system.

    The torture comes there as well, so that two whole systems never work at the same time.
    """

    def _split_scope(self, nodeid: str) -> str:
        whole = nodeid.startswith(("tests/e2e/", "tests/torture/test_profile.py"))
        return "tests/e2e" if whole else super()._split_scope(nodeid)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return _ByFile(config, log)
