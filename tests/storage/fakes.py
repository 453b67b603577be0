"""Small stand-ins for tests of storage: work done at once or step by step, and torrents with known content."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha1
from pathlib import Path
from queue import Queue
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, execute

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.metainfo import FileEntry, Metainfo

PATIENCE = 10.0  # seconds until a test that waits for a thread gives up


def run_now(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    """Do the work before returning, as if a thread had been endlessly fast."""
    return execute(function, *args)


class Steps:
    """A ``run`` that keeps the work until the test says :meth:`step`, as a slow disk would."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, function, args))
        return done

    def step(self) -> None:
        """Do the oldest piece of work that waits."""
        done, function, args = self.waiting.pop(0)
        execute(function, *args).chainDeferred(done)

    def finish(self) -> None:
        """Do all of it, and what it leads to."""
        while self.waiting:
            self.step()


class Crossing:
    """A reactor's one method, and the turns of its loop when the test wants them."""

    def __init__(self) -> None:
        self._calls: Queue[Callable[[], Any]] = Queue()

    def callFromThread(self, function: Callable[[], Any]) -> None:
        self._calls.put(function)

    def turn(self) -> None:
        """Wait for the next wake-up and do what it asks for."""
        self._calls.get(timeout=PATIENCE)()

    def turn_until(self, done: Deferred[Any]) -> None:
        """Do what wake-ups ask for until something has its result."""
        while not done.called:
            self.turn()

    def is_quiet(self) -> bool:
        """Whether no wake-up waits."""
        return self._calls.empty()


def some_bytes(length: int, seed: int = 0) -> bytes:
    """Make bytes that look like nothing, the same in every run."""
    return Random(seed).randbytes(length)


def torrent(files: Mapping[str, bytes] | bytes, piece_length: int, name: str = "thing") -> Metainfo:
    """Describe content: the bytes of one file, or files by their path with slashes; paths in ``.pad/`` are padding."""
    entries = {name: files} if isinstance(files, bytes) else files
    content = b"".join(entries.values())
    return Metainfo(
        info_hash=sha1(content).digest(),
        name=name,
        piece_length=piece_length,
        pieces=b"".join(
            sha1(content[begin : begin + piece_length]).digest() for begin in range(0, len(content), piece_length)
        ),
        files=tuple(
            FileEntry(tuple(path.split("/")), len(data), pad=path.startswith(".pad/")) for path, data in entries.items()
        ),
        is_single=isinstance(files, bytes),
        raw_info=b"",
    )


def put_piece(store: Any, content: bytes, piece: int) -> None:
    """Put all blocks of a piece, the last one first."""
    geometry = store.geometry
    first = piece * geometry.piece_length
    for block in reversed(range(geometry.num_blocks(piece))):
        begin = block * BLOCK_SIZE
        length = geometry.block_length(piece, block)
        store.put(piece, begin, memoryview(content)[first + begin : first + begin + length])


def tree(folder: Path) -> dict[str, bytes]:
    """Read everything below a folder: path to content; links and empty folders end with ``@`` and ``/``."""
    found = {}
    for path, folders, files in os.walk(folder):
        here = Path(path)
        for name in [*files, *folders]:
            entry = here / name
            shown = str(entry.relative_to(folder))
            if entry.is_symlink():
                found[shown + "@"] = b""
            elif entry.is_file():
                found[shown] = entry.read_bytes()
            elif not any(entry.iterdir()):
                found[shown + "/"] = b""
    return found
