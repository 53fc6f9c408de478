"""What is seen of the system at one moment; whatever could not be seen is None."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
"""A process's metrics: by name and labels."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One process, at one address."""

    name: str
    """Such as ``bookings-worker``; copies share it."""
    ready: Mapping[str, bool] | None
    """What it needs, and whether that answers; None when the process itself does not."""
    samples: Samples = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A service's database, which answers."""

    waiting: int
    """Committed events that are not published yet."""
    oldest: float
    """Seconds since the first of them was committed."""
    revision: str | None
    wanted: str | None
    """The newest migration there is; None when nobody has told where they are."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A listener's queues on the broker; ``ready`` is None when there is no such queue."""

    ready: int | None
    retrying: int
    parked: int
    reasons: Sequence[str] = ()
    """Of the first parked messages: type and reason."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything, as of ``now`` (Unix time)."""

    now: float
    services: Sequence[str]
    copies: Sequence[Copy]
    databases: Mapping[str, DatabaseState | None]
    queues: Mapping[str, QueueState] | None
    """None when the broker cannot be reached."""
    gateway: bool | None
    """None when nobody has told where it is."""

    def copies_of(self, name: str) -> list[Copy]:
        return [copy for copy in self.copies if copy.name == name]

    def values(self, process: str, metric: str, label: str) -> dict[str, list[float]]:
        """The metric in every copy that answers, by the value of one label."""
        found: dict[str, list[float]] = {}
        for copy in self.copies_of(process):
            for (name, labels), value in copy.samples.items():
                if name == metric:
                    found.setdefault(dict(labels).get(label, ""), []).append(value)
        return found

    def each(
        self, process: str, metric: str, label: str, choose: Callable[[list[float]], float]
    ) -> dict[str, float]:
        """The same, with one value chosen from those of the copies."""
        return {key: choose(values) for key, values in self.values(process, metric, label).items()}
