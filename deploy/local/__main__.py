"""``python -m local``: run, demo, with-servers, token, migrate, clean. The Makefile calls this."""

import argparse
import asyncio
import math
import os
import signal
import sys
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from local.console import CannotRun, Console, WentWrong
from local.folder import RunFolder, chosen_folder
from local.waiting import wait_for

INTERRUPTED = 130
PARENT = os.getppid()  # asked at once: later it may already be somebody else


def main() -> int:
    options = _options()
    match options.command:
        case "token":
            from local.tokens import print_tokens

            print_tokens(options.run_dir / "keys", options)
            return 0
        case "with-servers":
            from local.with_servers import with_servers

            console = Console(sys.stderr)
            work = with_servers(
                options.cmd,
                console,
                rabbitmq=not options.only_postgres,
                durable=options.durable,
            )
            return _until_told_to_stop(work, console, options)
        case "clean" | "migrate":
            from local.stack import clean, migrate

            console = Console(sys.stdout)
            do = clean if options.command == "clean" else migrate
            return _until_told_to_stop(do(RunFolder(options.run_dir), console), console, options)
        case _:
            from local.stack import Choices, run

            choices = Choices.of(options)
            console = Console(sys.stdout)
            code = _until_told_to_stop(
                run(RunFolder(options.run_dir), choices, console), console, options
            )
            # Somebody who ends what would have run for ever has not met an error.
            return 0 if code == INTERRUPTED and choices.stay else code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start everything, book one appointment, stay")
    demo = commands.add_parser("demo", help="the same, and end by itself")
    for command in (run, demo):
        command.add_argument("--port", type=_port, default=os.environ.get("PORT") or "8080")
        command.add_argument("--no-story", action="store_true", help="book nothing")
        command.add_argument(
            "--links", action="store_true", help="a switch on each way to the servers (torture)"
        )
        command.add_argument(
            "--settings", type=Path, help="JSON: variables of single processes over their own"
        )
    servers = commands.add_parser("with-servers", help="run a command beside test servers")
    servers.add_argument("--only-postgres", action="store_true", help="leave RabbitMQ out")
    servers.add_argument("--durable", action="store_true", help="PostgreSQL waits for its disk")
    servers.add_argument("cmd", nargs="+")
    token = commands.add_parser("token", help="print an access token for development")
    token.add_argument("--role", choices=("patient", "provider", "admin", "service"), required=True)
    token.add_argument("--sub", type=uuid.UUID, help="the user's id; a new one if not given")
    token.add_argument("--count", type=int, help="so many, as lines of subject and token")
    migrate = commands.add_parser("migrate", help="migrate the databases of what runs")
    clean = commands.add_parser("clean", help="remove the run folder and its data")
    for command in (run, demo, token, migrate, clean):
        command.add_argument("--run-dir", type=Path, default=chosen_folder())
    for command in (run, demo, servers):
        command.add_argument(
            "--end-with-parent", action="store_true", help="end when the parent process has ended"
        )
    options = parser.parse_args()
    if "run_dir" in options:
        options.run_dir = options.run_dir.resolve()
    return options


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 (any free one) to 65535")
    return number


def _until_told_to_stop(
    work: Coroutine[Any, Any, int | None], console: Console, options: argparse.Namespace
) -> int:
    """Run to the end, or until a signal; whatever was started is ended in both cases."""
    try:
        return asyncio.run(_interruptible(work, getattr(options, "end_with_parent", False))) or 0
    except asyncio.CancelledError:
        return INTERRUPTED
    except (CannotRun, WentWrong, ExceptionGroup) as error:
        return _report(error, console)


def _report(error: Exception, console: Console) -> int:
    """Say what is wrong, in one message; 2 for what the person has to change, else 1."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case CannotRun():
            console.say(f"cannot run: {error}")
            return 2
        case WentWrong():
            console.say(f"failed: {error}")
            return 1
        case _:
            raise error


async def _interruptible(work: Coroutine[Any, Any, int | None], with_parent: bool) -> int | None:
    """The first signal ends the work in order, a second one at once; later ones change nothing."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    signals_left = 2

    def stop() -> None:
        nonlocal signals_left
        if signals_left:
            signals_left -= 1
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    watch = asyncio.create_task(_parent_gone(stop)) if with_parent else None
    try:
        return await task
    finally:
        if watch:
            watch.cancel()


async def _parent_gone(stop: Callable[[], None]) -> None:
    async def look() -> bool:
        return os.getppid() != PARENT

    await wait_for(look, "the end of the parent process", limit=math.inf, every=0.5)
    stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
