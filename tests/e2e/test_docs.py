"""The commands in the documentation do what the documentation says, one after the other.

A line that shows a refusal says which: ``call … # 409 and why``. All others succeed.
"""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest
from aiohttp import web

from local.radicale import USER
from shared.http import AsyncClient
from tests.e2e.calendar import own_calendar
from tests.e2e.system import CHECKOUT, Caller, System

PAGES = ("README.md", "docs/integrating.md")
LIMIT = 120.0

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CALLS = re.compile(r"\b(?:curl|call) ")
_REFUSED = re.compile(r"#.*?\b([45]\d\d)\b")
_WRAPPER = '#!/bin/sh\nexec {curl} -v "$@" 2>> "$HEARD"\n'
_HEARD = re.compile(r"^@ (\d+)$|^> ([A-Z]+ /\S*) HTTP|^< HTTP/1.1 (\d+)", re.MULTILINE)
_PROLOGUE = 'set -eu; trap \'echo "@ $LINENO" >> "$HEARD"\' DEBUG\n'


def commands_of(page: str, system: System, demo: Path) -> str:
    """All blocks that call the API as one script, at this system's addresses."""
    blocks = _BLOCK.findall((CHECKOUT / page).read_text())
    script = "".join(block for block in blocks if _CALLS.search(block))
    assert script, page
    script = script.replace("http://localhost:8080", system.base_url)
    return _PROLOGUE + script.replace(".run/demo.json", str(demo))


def unexpected(script: str, heard: str) -> list[str]:
    """Answers that are not as their line tells, each with its line."""
    lines = script.splitlines()
    told, number, request = [], 0, ""
    for line, asked, status in _HEARD.findall(heard):
        number, request = int(line or number), asked or request
        if status:
            refused = _REFUSED.search(lines[number - 1])
            right = status == refused[1] if refused else status.startswith(("2", "3"))
            if not right:
                told.append(f"{request}: {status} to {lines[number - 1]!r}")
    return told


@pytest.mark.parametrize("page", PAGES)
async def test_the_commands_of_a_page_work(
    system: System, client: AsyncClient, tmp_path: Path, page: str
) -> None:
    [(sub, token)] = system.tokens(1)  # in the end they are erased, so it is nobody else's patient
    profile = {"name": "Maria", "email": "maria@example.org", "timezone": "Europe/Athens"}
    await Caller(client, token, sub).call("PATCH", f"/v1/patients/{sub}", profile)
    demo = tmp_path / "demo.json"
    demo.write_text(json.dumps(system.demo | {"patients": [{"id": sub, "token": token}]}))
    heard = tmp_path / "heard"
    heard.touch()
    wrapper = tmp_path / "curl"
    wrapper.write_text(_WRAPPER.format(curl="/usr/bin/curl"))
    wrapper.chmod(0o755)
    script = commands_of(page, system, demo)
    async with own_calendar(tmp_path) as calendar:
        hook = await _a_hook()
        output, code = await _run(
            script,
            os.environ
            | {
                "HEARD": str(heard),
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "RUN_DIR": str(system.folder),
                "HOOK_URL": f"http://127.0.0.1:{hook.addresses[0][1]}/hook",
                "CALDAV_URL": calendar.url,
                "CALDAV_USER": USER,
                "CALDAV_PASSWORD": calendar.password,
            },
        )
        await hook.cleanup()

    assert unexpected(script, heard.read_text()) == []
    assert code == 0, output[-3000:]
    assert heard.read_text().count("< HTTP/1.1 2") >= script.count("call ") // 2


async def _run(script: str, environment: dict[str, str]) -> tuple[str, int]:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=CHECKOUT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    return output.decode(errors="replace"), process.returncode or 0


async def _a_hook() -> web.AppRunner:
    """A server that takes webhooks."""

    async def take(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
