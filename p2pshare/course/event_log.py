"""A course peer's log: one of the eleven sentences on each line, and nothing else."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol as Seam

from attrs import define, field

from p2pshare.course.layout import log_file
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    ReceivedNotInterested,
    Sentence,
    WasChoked,
    WasConnected,
    WasUnchoked,
    write,
)
from p2pshare.errors import DiskFull, StorageError


class Sink(Seam):
    """A text file that is open for writing."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> object:
        """Hand everything to the system: whoever looks at the log sees it, whatever becomes of us."""

    def close(self) -> object:
        """Write no more."""


@define(eq=False)
class EventLog:
    """
    What one peer does and hears, sentence by sentence. Decides only whether a set of neighbors has changed.

    Every call raises StorageError when the disk refuses the line.
    """

    _peer: int
    _sink: Sink
    _now: Callable[[], datetime]  # the wall clock, as people read it
    _preferred: frozenset[int] = field(init=False, default=frozenset())
    _optimistic: int | None = field(init=False, default=None)

    def made_connection(self, other: int) -> None:
        """We dialled a neighbor, and both handshakes are through."""
        self._say(MadeConnection(self._peer, other))

    def was_connected(self, other: int) -> None:
        """A neighbor dialled us, and both handshakes are through."""
        self._say(WasConnected(self._peer, other))

    def chose_preferred(self, neighbors: Iterable[int]) -> None:
        """These are the preferred neighbors from now on. Told when they are others than were told, and not none."""
        chosen = frozenset(neighbors)
        if chosen and chosen != self._preferred:
            self._preferred = chosen
            self._say(ChangedPreferred(self._peer, tuple(sorted(chosen))))

    def chose_optimistic(self, other: int | None) -> None:
        """This is the optimistically unchoked neighbor from now on, if there is one. Told like the preferred ones."""
        if other is not None and other != self._optimistic:
            self._optimistic = other
            self._say(ChangedOptimistic(self._peer, other))

    def was_unchoked(self, other: int) -> None:
        """An ``unchoke`` came."""
        self._say(WasUnchoked(self._peer, other))

    def was_choked(self, other: int) -> None:
        """A ``choke`` came."""
        self._say(WasChoked(self._peer, other))

    def received_have(self, other: int, piece: int) -> None:
        """A ``have`` came."""
        self._say(ReceivedHave(self._peer, other, piece))

    def received_interested(self, other: int) -> None:
        """An ``interested`` came."""
        self._say(ReceivedInterested(self._peer, other))

    def received_not_interested(self, other: int) -> None:
        """A ``not interested`` came."""
        self._say(ReceivedNotInterested(self._peer, other))

    def downloaded_piece(self, other: int, piece: int, count: int) -> None:
        """
        A piece came from a neighbor, and is ours.

        :param count: how many pieces we have with it.
        """
        self._say(DownloadedPiece(self._peer, other, piece, count))

    def downloaded_file(self) -> None:
        """The last piece came. Not for a peer that started with the file."""
        self._say(DownloadedFile(self._peer))

    def close(self) -> None:
        """Write no more."""
        try:
            self._sink.close()
        except OSError as error:
            raise self._refusal(error) from error

    def _say(self, sentence: Sentence) -> None:
        try:
            self._sink.write(f"[{self._now():%Y-%m-%d %H:%M:%S}]: {write(sentence)}\n")
            self._sink.flush()
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> StorageError:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        return kind(f"the log of peer {self._peer}: {error.strerror}")


def open_event_log(folder: Path, peer: int, now: Callable[[], datetime]) -> EventLog:
    """
    Begin the log of a peer in the swarm's working directory; what an earlier run wrote there is gone.

    It stays locked until it is closed: a second process of the same peer must touch neither its log nor its file.

    :raise StorageError: it cannot be written, or the peer runs already.
    """
    path = log_file(folder, peer)
    try:
        sink = path.open("a", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sink.truncate(0)
    except BlockingIOError as error:
        sink.close()
        raise StorageError(f"{path}: is being written, expected that peer {peer} does not run yet") from error
    except OSError as error:
        sink.close()
        raise StorageError(f"{path}: {error.strerror}") from error
    return EventLog(peer, sink, now)
