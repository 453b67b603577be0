"""What one peer was asked for and has not answered."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from p2pshare.policy.started import StartedPiece

# Requests that were taken back may still be answered: such a block is late, not unasked. One pipeline of each of a few
# chokes; a peer that chokes faster than that loses the benefit for its oldest ones.
MOST_LATE = 2048


@define(eq=False)
class Account:
    """
    The requests outstanding at one peer, by block number (piece times blocks in a piece, plus block).

    Peers answer in the order they were asked, so it keeps that order; it does not decide anything.
    """

    asked: dict[int, float] = field(factory=dict)  # block number -> when; oldest first
    late: dict[int, None] = field(factory=dict)  # taken back, but may still come; oldest first
    current: StartedPiece | None = None  # the piece it fetches in order
    heard_at: float = float("-inf")  # when its last block came
    reached: float = float("-inf")  # when the newest request that it has answered was made

    def ask(self, numbers: Iterable[int], now: float) -> None:
        """These blocks are outstanding from now on; none of them was."""
        if self.late:
            for number in numbers:
                self.late.pop(number, None)
        self.asked.update(dict.fromkeys(numbers, now))

    def take_back(self, number: int) -> None:
        """A block that is outstanding is so no longer, but may still come."""
        del self.asked[number]
        self.late[number] = None
        if len(self.late) > MOST_LATE:
            del self.late[next(iter(self.late))]

    def overdue(self, now: float, timeout: float) -> list[int]:
        """
        Name the blocks that were asked ``timeout`` seconds ago or earlier and will hardly come any more.

        As long as blocks keep coming in order, the rest of a long queue at a slow peer is not late, however old: a
        request is overdue when the peer has been silent for that long, or has answered one that was made later.
        """
        silent = now - self.heard_at >= timeout
        found: list[int] = []
        for number, asked_at in self.asked.items():
            if now - asked_at < timeout or not (silent or asked_at < self.reached):
                break  # all that follow were asked later
            found.append(number)
        return found
