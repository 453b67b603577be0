"""The two files that all peers of a course swarm share: Common.cfg and PeerInfo.cfg."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import TypeVar

from attrs import field, frozen

from p2pshare.errors import ConfigError
from p2pshare.geometry import Geometry
from p2pshare.metainfo import PIECE_LENGTHS, PIECES_LIMIT, TOTAL_LIMIT
from p2pshare.paths import safe_component

COMMON, PEER_INFO = "Common.cfg", "PeerInfo.cfg"
SIZE_LIMIT = 1024 * 1024  # bytes of either file
PEERS_LIMIT = 1000  # every peer connects to every other
_LONGEST_TIME = 86400.0  # s

Value = TypeVar("Value")


@frozen(kw_only=True)
class Common:
    """What ``Common.cfg`` says. Times in seconds, sizes in bytes."""

    preferred_neighbors: int  # k
    unchoking_interval: float  # p
    optimistic_interval: float  # m
    file_name: str
    file_size: int
    piece_size: int

    @property
    def geometry(self) -> Geometry:
        """The content's arithmetic."""
        return Geometry(self.piece_size, (self.file_size,), block_size=self.piece_size)


@frozen
class PeerLine:
    """One peer, as a line of ``PeerInfo.cfg`` describes it."""

    id: int
    host: str
    port: int
    has_file: bool  # it has the complete file when it starts


@frozen
class PeerInfo:
    """All peers of a swarm, in the order in which they are started: each dials those before it."""

    peers: tuple[PeerLine, ...]
    source: str = field(default=PEER_INFO, eq=False)  # the file, as messages name it

    def __contains__(self, id: object) -> bool:
        return any(peer.id == id for peer in self.peers)

    def of(self, id: int) -> PeerLine:
        """
        Find a peer.

        :raise ConfigError: there is no such peer.
        """
        return self.peers[self._place(id)]

    def before(self, id: int) -> tuple[PeerLine, ...]:
        """
        Name the peers that a peer dials.

        :raise ConfigError: there is no such peer.
        """
        return self.peers[: self._place(id)]

    def _place(self, id: int) -> int:
        for place, peer in enumerate(self.peers):
            if peer.id == id:
                return place
        known = ", ".join(str(peer.id) for peer in self.peers[:20]) + (", …" if len(self.peers) > 20 else "")
        raise ConfigError(f"{self.source}: peer {id} is not in it, expected one of {known}")


def read_common(path: Path) -> Common:
    """
    Read ``Common.cfg``: a key and a value on each line, in any order.

    :raise ConfigError: names the file, the line, what it holds and what is expected.
    """
    found: dict[str, tuple[str, _Line]] = {}
    for line in _lines(path):
        key, *rest = line.text.split(maxsplit=1)
        if key not in _KEYS:
            raise line.wrong(f"key {key!r}", f"one of {', '.join(_KEYS)}")
        if key in found:
            raise line.wrong(f"{key} again", f"once, as in line {found[key][1].number}")
        if not rest:
            raise line.wrong(f"{key} without a value", "a key and a value")
        found[key] = (rest[0], line)
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise ConfigError(f"{path}: without {', '.join(missing)}, expected all of {', '.join(_KEYS)}")

    def read(key: str, reader: Callable[[str], Value]) -> Value:
        value, line = found[key]
        try:
            return reader(value)
        except ValueError as error:
            raise line.wrong(f"{key} {value}", str(error)) from None

    common = Common(
        preferred_neighbors=read("NumberOfPreferredNeighbors", _whole(1, PEERS_LIMIT)),
        unchoking_interval=read("UnchokingInterval", _seconds),
        optimistic_interval=read("OptimisticUnchokingInterval", _seconds),
        file_name=read("FileName", _file_name),
        file_size=read("FileSize", _whole(1, TOTAL_LIMIT)),
        piece_size=read("PieceSize", _whole(1, PIECE_LENGTHS[1])),
    )
    if common.geometry.num_pieces > PIECES_LIMIT:
        line = found["PieceSize"][1]
        raise line.wrong(
            f"PieceSize {common.piece_size}, which makes {common.geometry.num_pieces} pieces", f"at most {PIECES_LIMIT}"
        )
    return common


def read_peer_info(path: Path) -> PeerInfo:
    """
    Read ``PeerInfo.cfg``: on each line the id, host name and port of a peer, and whether it has the file.

    :raise ConfigError: names the file, the line, what it holds and what is expected.
    """
    peers: list[PeerLine] = []
    lines: dict[object, int] = {}  # of each id, and of each address
    for line in _lines(path):
        peer = _peer_line(line)
        for what, key in ((f"peer {peer.id}", peer.id), (f"{peer.host} {peer.port}", (peer.host, peer.port))):
            if key in lines:
                raise line.wrong(f"{what} again", f"once, as in line {lines[key]}")
            lines[key] = line.number
        if len(peers) == PEERS_LIMIT:
            raise line.wrong(f"peer number {PEERS_LIMIT + 1}", f"at most {PEERS_LIMIT}")
        peers.append(peer)
    if not peers:
        raise ConfigError(f"{path}: no line, expected a peer on each: id, host name, port, 1 or 0")
    return PeerInfo(tuple(peers), str(path))


def write_common(common: Common) -> str:
    """Write the lines of a ``Common.cfg``."""
    values = (
        *(common.preferred_neighbors, f"{common.unchoking_interval:g}", f"{common.optimistic_interval:g}"),
        *(common.file_name, common.file_size, common.piece_size),
    )
    return "".join(f"{key} {value}\n" for key, value in zip(_KEYS, values, strict=True))


def write_peer_info(info: PeerInfo) -> str:
    """Write the lines of a ``PeerInfo.cfg``."""
    return "".join(f"{peer.id} {peer.host} {peer.port} {int(peer.has_file)}\n" for peer in info.peers)


# In the order of the assignment.
_KEYS = (
    "NumberOfPreferredNeighbors",
    "UnchokingInterval",
    "OptimisticUnchokingInterval",
    "FileName",
    "FileSize",
    "PieceSize",
)


@frozen
class _Line:
    """A line that says something, and where it stands."""

    path: Path
    number: int
    text: str

    def wrong(self, seen: str, expected: str) -> ConfigError:
        """Say what is wrong with it."""
        seen = seen if len(seen) <= 100 else f"{seen[:100]}…"
        return ConfigError(f"{self.path}, line {self.number}: {seen}, expected {expected}")


def _lines(path: Path) -> Iterator[_Line]:
    """Read the lines that are not blank. Windows' line ends and byte order mark are welcome."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > SIZE_LIMIT:
        raise ConfigError(f"{path}: more than {SIZE_LIMIT} bytes, expected a small text file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {number}: byte 0x{data[error.start]:02x}, expected UTF-8 text") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _Line(path, number, line.strip())


def _peer_line(line: _Line) -> PeerLine:
    fields = line.text.split()
    if len(fields) != 4:
        raise line.wrong(f"{len(fields)} words, {line.text!r}", "four: id, host name, port, 1 or 0")
    id, host, port, has_file = fields
    try:
        return PeerLine(_whole(0, 2**32 - 1)(id), host, _whole(1, 65535)(port), bool(_whole(0, 1)(has_file)))
    except ValueError as error:
        raise line.wrong(
            repr(line.text), f"id, host name, port, 1 or 0, where each number is in its range: {error}"
        ) from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    """Read a time. The assignment has whole seconds; fractions make tests quick."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and 0 < seconds <= _LONGEST_TIME):
        raise ValueError(f"seconds, more than 0 and at most {_LONGEST_TIME:g}")
    return seconds


def _file_name(text: str) -> str:
    if safe_component(os.fsencode(text)) != text:
        raise ValueError("the name of a file, without folders, that is safe on every disk")
    return text
