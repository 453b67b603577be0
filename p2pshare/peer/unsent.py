"""How much of ours may wait in transports because the other side does not read."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

# Blocks for one connection: large enough that system calls stop mattering (Twisted hands the kernel 128 KiB at a time),
# small enough that a peer that does not read costs little.
WINDOW = 256 * 1024
TOTAL = 16 * 1024 * 1024  # for all connections together
# One connection may hold this part of what is still free. However many do not read, some room is left for those that
# do, and nobody has to keep a queue of who is next.
SHARE = 32


@define(eq=False)
class SendMemory:
    """Counts the bytes that all transports of a process hold. Knows no connection."""

    _total: int = TOTAL
    window: int = WINDOW  # what one connection may hold as long as there is plenty
    _hits: Counter[str] = field(factory=Counter)
    held: int = field(init=False, default=0)

    @property
    def share(self) -> int:
        """Bytes that one connection may hold now."""
        share = (self._total - self.held) // SHARE
        if share >= self.window:
            return self.window
        self._hits["send_memory"] += 1
        return share


@define(eq=False)
class Backlog:
    """The bytes one transport holds. It is told of each write, and when everything has gone to the kernel."""

    _memory: SendMemory
    size: int = field(init=False, default=0)
    since: float = field(init=False, default=0.0)  # when it was empty last

    @property
    def room(self) -> int:
        """How many bytes of blocks may be written now; small messages go out whatever this says."""
        return self._memory.share - self.size

    @property
    def is_unheard(self) -> bool:
        """Whether so much lies here that reading more is of no use: it only makes us answer. Blocks never get there."""
        return self.size > 2 * self._memory.window

    def wrote(self, amount: int, now: float) -> None:
        """Count bytes handed to the transport."""
        if not self.size:
            self.since = now
        self.size += amount
        self._memory.held += amount

    def drained(self) -> None:
        """The transport holds nothing any more, or is gone."""
        self._memory.held -= self.size
        self.size = 0
