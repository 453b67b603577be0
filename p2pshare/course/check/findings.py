"""What is wrong with logs, each kind of it once per log however often it occurs."""

from __future__ import annotations

from enum import IntEnum

from attrs import define, evolve, field, frozen


class Weight(IntEnum):
    """How bad a finding is."""

    ERROR = 0  # cannot be, or must not be missing
    WARNING = 1  # allowed by a generous reading, or a sign of something
    NOTE = 2  # nothing wrong by itself


@frozen
class Finding:
    """One thing that is wrong."""

    weight: Weight
    file: str  # the log it is in; empty: in all of them together
    line: int | None  # the first it is about
    text: str
    more: int = 0  # so many others of its kind are in the same log

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line is not None else self.file or "all logs"
        more = f" (and {self.more} more like this)" if self.more else ""
        return f"{self.weight.name.lower()}: {where}: {self.text}{more}"


@define(eq=False)
class Findings:
    """Gathers them. Bounded by the kinds there are, times the logs."""

    _found: dict[tuple[str, str], Finding] = field(factory=dict)

    def add(self, weight: Weight, kind: str, file: str, line: int | None, text: str) -> None:
        """Enter one; of its kind in its log the first is kept, and the others are counted."""
        before = self._found.get((kind, file))
        if before is None:
            self._found[kind, file] = Finding(weight, file, line, text)
        else:
            self._found[kind, file] = evolve(before, more=before.more + 1)

    def all(self) -> tuple[Finding, ...]:
        """Name them, the worst first, then log by log."""
        return tuple(sorted(self._found.values(), key=lambda found: (found.weight, found.file, found.line or 0)))
