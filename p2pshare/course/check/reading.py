"""The logs of a course swarm as they lie in a folder, and the configuration beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from p2pshare.course.check.times import read_times
from p2pshare.course.config import COMMON, PEER_INFO, PEERS_LIMIT, Common, PeerInfo, read_common, read_peer_info
from p2pshare.course.sentences import DownloadedPiece, Sentence, read
from p2pshare.errors import StorageError

SIZE_LIMIT = 64 * 1024 * 1024  # bytes of one log
LINES_LIMIT = 1_000_000  # of one log
SLACK = 2.0  # s; logs have whole seconds, and a line is written a moment after what it tells

_NAME = re.compile(r"log_peer_([0-9]{1,10})\.log")


@frozen
class Entry:
    """One line of a log that is one of the sentences."""

    line: int
    time: float | None  # seconds since 1970; None: in a form we do not read
    sentence: Sentence


@frozen
class PeerLog:
    """What one peer wrote."""

    peer: int
    file: str  # its name, for people
    entries: tuple[Entry, ...] = field(repr=False)
    strange: tuple[tuple[int, str], ...] = ()  # lines that are no sentence: number and text

    @property
    def own(self) -> Iterator[Entry]:
        """The lines in which it speaks of itself, in order: all of them, if nothing is wrong."""
        return (entry for entry in self.entries if entry.sentence.peer == self.peer)

    @property
    def downloads(self) -> Iterator[DownloadedPiece]:
        """The pieces it got, in order."""
        return (entry.sentence for entry in self.own if isinstance(entry.sentence, DownloadedPiece))


@frozen
class Logs:
    """All that is known of one run of a swarm."""

    by_peer: Mapping[int, PeerLog]
    common: Common | None = None
    info: PeerInfo | None = None

    @property
    def peers(self) -> list[int]:
        """Everybody who should have a log, or has one."""
        started = [] if self.info is None else [peer.id for peer in self.info.peers]
        return [*started, *sorted(self.by_peer.keys() - set(started))]

    @property
    def strays(self) -> list[PeerLog]:
        """The logs of who is not in PeerInfo.cfg: of another swarm, perhaps."""
        return [] if self.info is None else [log for peer, log in self.by_peer.items() if peer not in self.info]

    def without_strays(self) -> Logs:
        """Leave out the logs of who is not in PeerInfo.cfg."""
        gone = {log.peer for log in self.strays}
        return evolve(self, by_peer={peer: log for peer, log in self.by_peer.items() if peer not in gone})

    @property
    def num_pieces(self) -> int | None:
        """How many pieces the file has: as configured, or as many as any peer ever had; None: nobody says."""
        if self.common is not None:
            return self.common.geometry.num_pieces
        counts = [said.count for log in self.by_peer.values() for said in log.downloads]
        return max(counts, default=None)

    def started_with_file(self, peer: int) -> bool:
        """Whether a peer had the file from the start: as configured, or because it never got a piece."""
        if self.info is not None and peer in self.info:
            return self.info.of(peer).has_file
        log = self.by_peer.get(peer)
        return log is not None and next(log.downloads, None) is None


def read_logs(folder: Path) -> Logs:
    """
    Read every ``log_peer_<id>.log`` in a folder, or in the folders in it, and the two configuration files if they are
    there.

    :raise StorageError: there is no log, or one of them cannot be read.
    :raise ConfigError: a configuration file is there, and wrong.
    """
    found: dict[int, PeerLog] = {}
    for path in sorted((*folder.glob("log_peer_*.log"), *folder.glob("*/log_peer_*.log"))):
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        peer = int(name[1])
        if peer in found:
            raise StorageError(f"{path}: a second log of peer {peer}, expected one")
        if len(found) == PEERS_LIMIT:
            raise StorageError(f"{folder}: more than {PEERS_LIMIT} logs, expected those of one swarm")
        found[peer] = parse_log(peer, path.name, _text(path))
    if not found:
        raise StorageError(f"{folder}: no log_peer_<id>.log in it, expected those of one swarm")
    common, info = folder / COMMON, folder / PEER_INFO
    return Logs(
        found,
        read_common(common) if common.exists() else None,
        read_peer_info(info) if info.exists() else None,
    )


def parse_log(peer: int, file: str, text: str) -> PeerLog:
    """Read the lines of one log. Blank ones do not count."""
    found: list[tuple[int, str, Sentence]] = []
    strange = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        said = read(line)
        if said is None:
            strange.append((number, line[:200]))
        else:
            found.append((number, *said))
    times = read_times(time for _, time, _ in found)
    entries = (Entry(number, time, said) for time, (number, _, said) in zip(times, found, strict=True))
    return PeerLog(peer, file, tuple(entries), tuple(strange))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    if len(data) > SIZE_LIMIT or data.count(b"\n") > LINES_LIMIT:
        raise StorageError(f"{path}: more than {SIZE_LIMIT} bytes or {LINES_LIMIT} lines, expected the log of one peer")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # typographic quotes, as Java writes them on Windows
        return data.decode("cp1252", "replace")
