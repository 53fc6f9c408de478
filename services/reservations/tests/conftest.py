from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return Path(__file__).parents[1]
