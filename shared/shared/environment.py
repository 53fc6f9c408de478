"""The process's environment, of which any variable may lie in a file.

``DATABASE_URL_FILE=/run/secrets/database-url`` stands for ``DATABASE_URL``: containers get secrets
as files, which no list of processes and no description of a container shows.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_IN_FILE = "_FILE"


class SettingUnreadable(ValueError):
    """A variable is given twice, or its file cannot be read; says which, and nothing of a value."""


class Environment(Mapping[str, str]):
    """Variables by their names, wherever they lie."""

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        """KeyError when it is given neither way, SettingUnreadable when not in one clear way."""
        place = self._variables.get(f"{name}{_IN_FILE}")
        if place is None:
            return self._variables[name]
        if name in self._variables:
            raise SettingUnreadable(f"{name} and {name}{_IN_FILE} are both set")
        try:
            return Path(place).read_text("utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise SettingUnreadable(
                f"{name}{_IN_FILE}: {place} cannot be read ({type(error).__name__})"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)
