"""The door to httpx, and that it is the only one."""

import re
from pathlib import Path

from shared.http import MockTransport, Request, Response, new_client

ROOT = Path(__file__).parents[2]


def test_no_other_module_imports_httpx() -> None:
    importing = re.compile(r"^\s*(import|from) httpx", re.MULTILINE)
    folders = [ROOT / each for each in ("shared", "services", "deploy", "tests")]

    modules = [path for folder in folders for path in folder.rglob("*.py")]
    found = [path.name for path in modules if importing.search(path.read_text())]

    assert len(modules) > 20
    assert found == ["http.py"]


async def test_redirects_are_not_followed() -> None:
    def answer(request: Request) -> Response:
        return Response(302, headers={"location": "http://169.254.169.254/"})

    async with new_client(transport=MockTransport(answer)) as client:
        assert (await client.get("https://calendar.test/")).status_code == 302
