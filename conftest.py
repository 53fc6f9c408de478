"""Fixtures that every test may ask for, and how tests are shared out among processes."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling, Scheduling

pytest_plugins = ["shared.testing.plugin"]


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
