"""Microsoft's double in a process of its own, led by lines of JSON: ``python -m bench.graph_peer``.

It costs processor time of its own, so that ours can be measured without it.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from shared.http import Request, new_client

_TESTS = Path(__file__).parents[1] / "services" / "calendar-sync" / "tests"
HALF_AN_HOUR = timedelta(minutes=30)


async def main(api_port: int) -> None:
    sys.path.insert(0, str(_TESTS))
    from graph.server import GraphDouble  # type: ignore[import-not-found]

    async def to_our_api(request: Request) -> None:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=api_port)

    async with (
        new_client(event_hooks={"request": [to_our_api]}) as client,
        GraphDouble.open(client) as graph,
    ):
        mailboxes: list[Any] = []
        _say({"url": graph.url, "login_url": graph.login_url})
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = orjson.loads(line)
            match asked["do"]:
                case "mailboxes":
                    made = [graph.new_mailbox() for _ in range(asked["count"])]
                    first = graph.now().replace(minute=0, second=0, microsecond=0)
                    for mailbox in made:
                        for number in range(asked["events"]):
                            mailbox.add(first + (number + 1) * HALF_AN_HOUR)
                    mailboxes += made
                    _say(
                        [{**graph.access.grant(each), "calendar": each.default.id} for each in made]
                    )
                case "change":
                    mailbox = mailboxes[asked["mailbox"]]
                    mailbox.add(graph.now() + timedelta(days=40))
                    _say({"changed": True})
                    await graph.subscriptions.deliver()
                case "calls":
                    _say({"calls": len(graph.calls), "deltas": graph.count("GET", "/delta")})


def _say(answer: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
