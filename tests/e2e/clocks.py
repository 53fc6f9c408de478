"""Processes whose clocks are wrong."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_SHIFT = struct.Struct("l")


def library(folder: Path) -> Path | None:
    """What shifts a process's clock when it is preloaded; None where nothing compiles C."""
    compiler, made = shutil.which("cc"), folder / "shifted_clock.so"
    if compiler is None:
        return None
    command = [compiler, "-shared", "-fPIC", "-o", str(made), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def settings(library: Path, file: Path) -> Mapping[str, str]:
    """For a process whose clock ``set_wrong`` changes while it runs; it is right at first."""
    set_wrong(file, 0)
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT_FILE": str(file)}


def set_wrong(file: Path, seconds: int) -> None:
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(_SHIFT.pack(seconds))
