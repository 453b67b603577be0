"""How a file looked when it was last known to be right."""

from __future__ import annotations

import os

from attrs import frozen

# A file that we were writing to when we ended without goodbye bears a time that no record names: its last write came
# after the last record, and after a power cut the file's own time may be an older one. Commits are a second apart,
# and a slow disk takes long for one.
LEEWAY = 30 * 10**9  # nanoseconds


@frozen
class Signature:
    """
    What changes when somebody else touches a file. Compared for being the same, never for being older: clocks jump.
    """

    size: int
    mtime: int  # nanoseconds
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from what the system says of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    def is_ours(self, now: Signature, begun: int, ended: int) -> bool:
        """Whether writes of our own, between two times, explain how the file looks now."""
        same_file = (self.size, self.inode) == (now.size, now.inode)
        return same_file and begun - LEEWAY <= now.mtime <= ended + LEEWAY
