"""What is said on one connection, gathered so that one write carries as much as there is to say."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

MOST_MENTIONS = 100  # frames; as haves they are 900 bytes, which still fits in one packet


@define(eq=False)
class Speech:
    """
    Keeps frames in order until they are written. Knows no message, and decides only when.

    What is said goes out at once, inside a batch with the batch's end. What is only mentioned nobody waits for: it goes
    out with whatever is said next, or when it is flushed.
    """

    _write: Callable[[bytes], None]
    _frames: list[bytes] = field(init=False, factory=list)
    _mentions: int = field(init=False, default=0)  # how many of the frames nobody waits for
    _in_batch: bool = field(init=False, default=False)

    def begin(self) -> None:
        """A batch begins: a read is being answered."""
        self._in_batch = True

    def end(self) -> None:
        """The batch is over."""
        self._in_batch = False
        if len(self._frames) > self._mentions:
            self.flush()

    def say(self, frames: bytes) -> None:
        """Say something."""
        self._frames.append(frames)
        if not self._in_batch:
            self.flush()

    def mention(self, frame: bytes) -> None:
        """Say something that can wait."""
        self._frames.append(frame)
        self._mentions += 1
        if self._mentions >= MOST_MENTIONS:
            self.flush()

    def flush(self) -> None:
        """Write what is there."""
        if self._frames:
            data = b"".join(self._frames) if len(self._frames) > 1 else self._frames[0]
            self.forget()
            self._write(data)

    def forget(self) -> None:
        """Nothing of it will be written any more."""
        self._frames.clear()
        self._mentions = 0
