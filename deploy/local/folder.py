"""The run folder: where a private system keeps its data, settings, logs and keys."""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.console import CannotRun

CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_SOCKET_PATH = 100  # the system's own limit is 104 (macOS) or 108 (Linux)


def chosen_folder() -> Path:
    """Where RUN_DIR says, else `.run` in the checkout."""
    return Path(os.environ.get("RUN_DIR") or CHECKOUT / ".run").resolve()


class RunFolder:
    """One private system's folder; held by at most one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.keys = path / "keys"
        self.mail = path / "mail"
        self.demo_file = path / "demo.json"
        self.env_file = path / "env"
        self._lock = path / "lock"
        self._secrets = path / "secrets.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other stack out of this folder for as long as the block runs."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)  # PostgreSQL's account passes through to its data, nothing more
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotRun(f"cannot write to the run folder {self.path}: {error}") from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self._lock.read_text().strip() or "unknown"
                raise CannotRun(
                    f"the run folder {self.path} is in use by process {holder}: "
                    "end that one first, or choose another folder with RUN_DIR=…"
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    def secret(self, name: str) -> str:
        """A random secret of this folder, the same on every run."""
        known: dict[str, str] = {}
        if self._secrets.exists():
            known = json.loads(self._secrets.read_text())
        if name not in known:
            known[name] = secrets.token_urlsafe(32)
            write_private(self._secrets, json.dumps(known, indent=2))
        return known[name]

    def socket(self, name: str) -> Path:
        """Where to put a unix socket; in a short folder of our own when this one lies too deep."""
        path = self.path / name
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
            private = Path(tempfile.gettempdir()) / f"medic-{os.getuid()}-{digest}"
            private.mkdir(mode=0o700, exist_ok=True)
            if private.stat().st_uid != os.getuid():
                raise CannotRun(f"{private} belongs to somebody else; set RUN_DIR to a short path")
            path = private / name
        return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read; a reader sees the old text or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
