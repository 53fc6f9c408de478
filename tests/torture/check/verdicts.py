"""One line of the table for each promise."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["ok", "VIOLATED", "slow", "not seen"]
_SHOWN = 12


@dataclass(frozen=True)
class Line:
    """What was promised, what was seen of it, and everything that contradicts it.

    ``is_speed`` promises depend on the machine: on one that others use they may be missed without
    a fault of ours, and then the verdict is ``slow`` where the run asks for safety only.
    """

    promise: str
    figure: str
    occasions: int
    against: Sequence[str] = field(default_factory=tuple)
    is_speed: bool = False

    def verdict(self, *, safety_only: bool = False) -> Verdict:
        if self.against:
            return "slow" if self.is_speed and safety_only else "VIOLATED"
        return "ok" if self.occasions else "not seen"


def table(lines: Sequence[Line], *, safety_only: bool = False) -> str:
    """For a person, with the evidence against each promise below it."""
    width = max(len(line.promise) for line in lines)
    figure_width = max(len(line.figure) for line in lines)
    text = []
    for line in lines:
        verdict = line.verdict(safety_only=safety_only)
        text.append(f"{line.promise:<{width}}  {line.figure:<{figure_width}}  {verdict}")
    for line in lines:
        if line.against:
            text.append(f"\n{line.promise}: {len(line.against)} against it")
            text += [f"  {each}" for each in line.against[:_SHOWN]]
    return "\n".join(text)


def violations(lines: Sequence[Line], *, safety_only: bool = False) -> list[Line]:
    return [line for line in lines if line.verdict(safety_only=safety_only) == "VIOLATED"]
