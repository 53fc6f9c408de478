"""A private PostgreSQL: own data folder, own port, own password, reached over 127.0.0.1 only."""

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from local.accounts import Account
from local.console import CannotRun, WentWrong
from local.folder import write_private
from local.prepare import Postgres
from local.processes import Program

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    # Every query here is short; compiling it takes longer than running it.
    "jit": "off",
    "log_line_prefix": "%m [%p] %d ",
    "log_lock_waits": "on",
    # Without the DETAIL lines, which quote the values of rows.
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
NOTE = "postgres-is-elsewhere.txt"
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class PrivatePostgres:
    """The server and its superuser."""

    release: Postgres
    data: Path
    port: int
    password: str
    account: Account | None
    durable: bool = True

    @property
    def admin_url(self) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    async def create(self) -> None:
        """Make the data folder when there is none yet, and write the server's settings."""
        if not (self.data / "PG_VERSION").exists():
            await self._initialise()
        values = SETTINGS | {"port": str(self.port)} | ({} if self.durable else UNSAFE_BUT_FAST)
        settings = self.data / "postgresql.conf"
        write_private(settings, "".join(f"{name} = '{value}'\n" for name, value in values.items()))
        if self.account:
            self.account.own(settings)

    async def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # an earlier attempt that was cut short
        self.data.mkdir(parents=True, mode=0o700)
        password_file = self.data.with_name(f"{self.data.name}.password")
        write_private(password_file, self.password)
        if self.account:
            self.account.own(self.data)
            self.account.own(password_file)
        command = (
            *(str(self.release.bin / "initdb"), "--pgdata", str(self.data), "--username=postgres"),
            *("--pwfile", str(password_file), "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-instructions"),
            *(() if self.durable else ("--no-sync",)),
        )
        pipe = asyncio.subprocess.PIPE
        if self.account:
            process = await self.account.start(*command, output=pipe)
        else:
            process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        output, errors = await process.communicate()
        password_file.unlink()
        if process.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            text = (output + errors).decode(errors="replace").strip()
            raise WentWrong(f"PostgreSQL's initdb failed:\n{text}")

    def program(self) -> Program:
        return Program(
            name="postgres",
            group="servers",
            command=(str(self.release.bin / "postgres"), "-D", str(self.data)),
            folder=self.data,
            user=self.account.name if self.account else None,
            stop_signal="INT",  # PostgreSQL's fast shutdown: end the sessions, write all, stop
            stop_seconds=20,
        )


async def answers(admin_url: str) -> bool:
    """True once the server accepts sessions."""
    try:
        connection = await asyncpg.connect(admin_url, timeout=5)
    except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
        return False
    await connection.close()
    return True


async def home_of_data(run_folder: Path, account: Account | None) -> Path:
    """Where the server's account can keep its data: here, or in a private folder elsewhere."""
    if account is None or await account.may_enter(run_folder):
        return run_folder / "postgres"
    return _elsewhere(run_folder) / "postgres"


async def programs_for(release: Postgres, run_folder: Path, account: Account | None) -> Postgres:
    """The release; copied, when it is a wheel where the server's account may not enter."""
    if account is None or await account.may_enter(release.bin):
        return release
    package = release.bin.parents[1]
    copy = _elsewhere(run_folder) / "programs" / str(release.major)
    if not copy.exists():
        draft = copy.with_name("draft")
        shutil.rmtree(draft, ignore_errors=True)
        # The libraries that the programs need lie beside the wheel's package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                await asyncio.to_thread(shutil.copytree, part, draft / part.name, symlinks=True)
        draft.rename(copy)
    return Postgres(copy / package.name / release.bin.relative_to(package), release.major)


def _elsewhere(run_folder: Path) -> Path:
    """A folder under /var/tmp for this run folder alone, with a note here that tells of it."""
    digest = hashlib.sha256(os.fsencode(run_folder)).hexdigest()[:12]
    folder = Path("/var/tmp") / f"medic-{digest}"  # noqa: S108 - unlike /tmp it survives a reboot
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise CannotRun(f"{folder} belongs to somebody else; remove it, or set RUN_DIR")
    (run_folder / NOTE).write_text(
        f"{folder}\n\nPostgreSQL does not run as root, and the account that it runs as may not "
        "enter this folder; so what it needs lies there. `make clean` removes both.\n"
    )
    return folder


def data_elsewhere(run_folder: Path) -> Path | None:
    """The folder under /var/tmp, where there is one."""
    note = run_folder / NOTE
    return Path(note.read_text().splitlines()[0]) if note.exists() else None


def written_by(data: Path) -> int | None:
    """The PostgreSQL release that wrote this data folder."""
    version = data / "PG_VERSION"
    return int(version.read_text()) if version.exists() else None
