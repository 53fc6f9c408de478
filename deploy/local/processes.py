"""The programs of a system, and the supervisord configuration that keeps them running."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

Group = Literal["servers", "services", "edge"]

# supervisord ends the highest first: nobody loses the server it still talks to.
PRIORITIES: Mapping[Group, int] = {"servers": 100, "services": 200, "edge": 300}


@dataclass(frozen=True)
class Program:
    """One long-running program and how it is asked to end."""

    name: str
    group: Group
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_seconds: int = 10


def with_settings(
    programs: Iterable[Program], settings: Mapping[str, Mapping[str, str]]
) -> list[Program]:
    """The programs, each with the variables that are given by its name over its own."""
    return [
        replace(each, environment={**each.environment, **settings.get(each.name, {})})
        for each in programs
    ]


def supervisor_config(
    programs: Iterable[Program],
    *,
    socket: Path,
    logs: Path,
    pid_file: Path,
    files: int,
    as_root: bool,
) -> str:
    """What supervisord is told: keep each program up, one log file for each, start nothing yet."""
    programs = list(programs)
    sections = [
        _section("unix_http_server", {"file": socket, "chmod": "0700"}),
        _section(
            "supervisord",
            {
                "nodaemon": "true",
                "silent": "true",
                "logfile": logs / "supervisord.log",
                "logfile_maxbytes": 0,
                "pidfile": pid_file,
                "minfds": files,
                "umask": "077",
                **({"user": "root"} if as_root else {}),
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    sections += [_program(program, logs) for program in programs]
    for group, priority in PRIORITIES.items():
        names = [program.name for program in programs if program.group == group]
        if names:
            values = {"programs": ",".join(names), "priority": priority}
            sections.append(_section(f"group:{group}", values))
    return "\n".join(sections)


def _program(program: Program, logs: Path) -> str:
    environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    log = log_of(program.name, logs)
    # Through a pipe of supervisord's each line would cost it as much as the one who writes it.
    # An account of its own may not write into our folder.
    writes_itself = program.user is None
    values: dict[str, object] = {
        "command": shlex.join(_logging(program.command, log) if writes_itself else program.command),
        "directory": program.folder,
        "environment": environment,
        "autostart": "false",
        "autorestart": "true",
        # Counted as running at once: then a crash is answered by one restart a second, without end.
        "startsecs": 0,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": "NONE" if writes_itself else log,
        "stdout_logfile_maxbytes": 0,
    }
    if program.user:
        values["user"] = program.user
    return _section(f"program:{program.name}", values)


def log_of(name: str, logs: Path) -> Path:
    return logs / f"{name}.log"


def _logging(command: tuple[str, ...], log: Path) -> tuple[str, ...]:
    return ("/bin/sh", "-c", 'log=$1; shift; exec "$@" >> "$log" 2>&1', "sh", str(log), *command)


def _section(name: str, values: Mapping[str, object]) -> str:
    # supervisord expands %(name)s in every value.
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])
