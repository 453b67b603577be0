"""Hash the pieces of a content on all cores, reading its files in long runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha1

from attrs import define, field

from p2pshare.geometry import Geometry
from p2pshare.storage.disk import OS_DISK, Disk

Opener = Callable[[int], int | None]  # file index -> a descriptor of its own, closed here; None: the file is not there
# Consecutive pieces and the SHA-1 digest of each; None: not all of its bytes could be read.
OnPieces = Callable[[range, Sequence[bytes | None]], None]
OnError = Callable[[int, OSError], None]  # file index, what opening or reading it met
OnProgress = Callable[[int, int], None]  # bytes done, bytes in all

BUFFER_SIZE = 1024 * 1024  # per thread; larger ones leave the core's cache and hash no faster
THREAD_LIMIT = 16  # keeps the buffers of many cores within 16 MiB; no disk feeds more

_RUN_SIZE = 4 * 1024 * 1024  # bytes one thread takes at a time: long for a disk, short for an even finish
_TOGETHER = 1024  # pieces read at once, where pieces are tiny
_AHEAD = 16  # files open at once per thread, so that the disk can fetch the next ones while one is read
_ZEROS = memoryview(bytes(BUFFER_SIZE))
_PROGRESS_STEPS = 1000
_SHORTEST_STEP, _LONGEST_STEP = 1024 * 1024, 32 * 1024 * 1024  # bytes


def hash_pieces(
    geometry: Geometry,
    opener: Opener,
    pieces: Iterable[int],
    on_pieces: OnPieces,
    *,
    on_error: OnError | None = None,
    threads: int | None = None,
    disk: Disk = OS_DISK,
) -> None:
    """
    Read pieces and tell the SHA-1 digest of each, in no particular order; pad files read as zeros.

    Returns when all are told. Consecutive indices are read and told together, so give them in rising order. ``opener``
    is asked from several threads, and for some files before those it was asked for earlier are read; ``on_pieces`` and
    ``on_error`` are called from several threads too, but never two at once. What any of them raises ends the work and
    is raised here.

    :param on_error: told of a file that cannot be opened or read; its pieces then come without a digest.
    :param threads: how many work, the calling one among them; by default one a core.
    """
    work = _Work(geometry, opener, on_pieces, on_error, disk, _runs(geometry, pieces))
    others = [threading.Thread(target=work.run, name="hashing") for _ in range((threads or usable_cores()) - 1)]
    for thread in others:
        thread.start()
    work.run()
    for thread in others:
        thread.join()
    if work.failure is not None:
        raise work.failure


def usable_cores() -> int:
    """Count the cores this process may run on, 16 at most."""
    return min(len(os.sched_getaffinity(0)), THREAD_LIMIT)


@define(eq=False)
class Progress:
    """Adds up bytes and tells a listener about every thousandth of them, so that small pieces do not flood it."""

    _tell: OnProgress | None
    _total: int
    _step: int = field(init=False)
    _done: int = field(init=False, default=0)
    _next: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._step = min(max(self._total // _PROGRESS_STEPS, _SHORTEST_STEP), _LONGEST_STEP)
        self.add(0)

    def add(self, size: int) -> None:
        """Note that ``size`` more bytes are done; the first call tells, and so does the one that completes."""
        self._done += size
        if self._done >= self._next:
            self._next = min(self._done + self._step, self._total)
            if self._tell is not None:
                self._tell(self._done, self._total)


def run_size(geometry: Geometry, run: range) -> int:
    """Count the bytes of consecutive pieces."""
    return (len(run) - 1) * geometry.piece_length + geometry.piece_size(run[-1]) if run else 0


def _runs(geometry: Geometry, pieces: Iterable[int]) -> Iterator[range]:
    """Join consecutive indices to ranges of about ``_RUN_SIZE`` bytes."""
    longest = max(1, _RUN_SIZE // geometry.piece_length)
    run = range(0)
    for piece in pieces:
        if run and piece == run.stop and len(run) < longest:
            run = range(run.start, piece + 1)
            continue
        if run:
            yield run
        run = range(piece, piece + 1)
    if run:
        yield run


@define(eq=False)
class _Work:
    """What the threads share: the runs left to hash, and the one place results go to."""

    _geometry: Geometry
    _opener: Opener
    _on_pieces: OnPieces
    _on_error: OnError | None
    _disk: Disk
    _runs: Iterator[range]
    failure: BaseException | None = field(init=False, default=None)  # the first; stops everybody
    _taking: threading.Lock = field(init=False, factory=threading.Lock)
    _telling: threading.Lock = field(init=False, factory=threading.Lock)

    def run(self) -> None:
        """Hash one run after the other until none is left or something failed."""
        reader = _Reader(self._geometry, self._opener, self._tell_error, self._disk)
        try:
            while (run := self._take()) is not None:
                digests = reader.hash_run(run)
                with self._telling:
                    if self.failure is None:
                        self._on_pieces(run, digests)
        except BaseException as error:  # also an interrupt: raised by hash_pieces() once no thread works any more
            self.failure = self.failure or error
        finally:
            reader.close()

    def _take(self) -> range | None:
        with self._taking:
            return None if self.failure else next(self._runs, None)

    def _tell_error(self, file: int, error: OSError) -> None:
        with self._telling:
            if self._on_error is not None and self.failure is None:
                self._on_error(file, error)


@define(eq=False)
class _Reader:
    """
    One thread's buffer and open files. Sees the content as one line of bytes, whatever its files and pieces.

    All that is done for each small piece or file keeps the other threads from the interpreter lock, so it is little.
    """

    _geometry: Geometry
    _opener: Opener
    _on_error: OnError
    _disk: Disk
    _buffer: memoryview = field(init=False, factory=lambda: memoryview(bytearray(BUFFER_SIZE)))
    _pieces: list[memoryview] = field(init=False)  # the buffer cut into pieces; none when not even one fits
    _open: dict[int, int | None] = field(init=False, factory=dict)  # file: descriptor, None if it could not be opened

    @_pieces.default
    def _cut(self) -> list[memoryview]:
        size = self._geometry.piece_length
        return [self._buffer[at * size : (at + 1) * size] for at in range(min(BUFFER_SIZE // size, _TOGETHER))]

    def hash_run(self, run: range) -> list[bytes | None]:
        """Hash consecutive pieces; None where bytes are missing."""
        together = len(self._pieces)
        if not together:
            return [self._hash_large(piece) for piece in run]
        digests: list[bytes | None] = []
        for first in range(0, len(run), together):
            digests += self._hash_small(run[first : first + together])
        return digests

    def close(self) -> None:
        """Let go of the open files."""
        self._close_all_but(None)

    def _hash_small(self, pieces: range) -> list[bytes | None]:
        """Hash pieces that fit into the buffer together."""
        size, length = self._geometry.piece_length, run_size(self._geometry, pieces)
        gaps = self._fill(pieces.start, 0, length)
        views = self._pieces[: len(pieces)]
        views[-1] = views[-1][: length - (len(pieces) - 1) * size]
        digests: list[bytes | None] = [sha1(view).digest() for view in views]
        for begin, end in gaps:
            for index in range(begin // size, -(-end // size)):
                digests[index] = None
        return digests

    def _hash_large(self, piece: int) -> bytes | None:
        """Hash a piece that is longer than the buffer."""
        size = self._geometry.piece_size(piece)
        digest = sha1()
        for begin in range(0, size, BUFFER_SIZE):
            length = min(BUFFER_SIZE, size - begin)
            if self._fill(piece, begin, length):
                return None
            digest.update(self._buffer[:length])
        return digest.digest()

    def _fill(self, piece: int, begin: int, length: int) -> list[tuple[int, int]]:
        """Read ``length`` bytes into the buffer; return the parts of it that could not be filled."""
        gaps = []
        position = 0
        spans = self._spans(piece, begin, length)
        for first in range(0, len(spans), _AHEAD):
            group = spans[first : first + _AHEAD]
            for file, _, _ in group:
                if file not in self._open:
                    self._open_file(file)
            for file, offset, size in group:
                filled = position + self._read(file, offset, self._buffer[position : position + size])
                position += size
                if filled < position:
                    gaps.append((filled, position))
            if len(self._open) > 1:
                self._close_all_but(group[-1][0])  # the next bytes are mostly there, too
        return gaps

    def _spans(self, piece: int, begin: int, length: int) -> list[tuple[int, int, int]]:
        """Find file, offset and length of bytes that may reach into later pieces. Leaves out files without bytes."""
        lengths = self._geometry.file_lengths
        start = self._geometry.spans(piece, begin, 1)[0]
        file, offset = start.file, start.offset
        spans = []
        while length:
            size = min(lengths[file] - offset, length)
            if size:
                spans.append((file, offset, size))
            length -= size
            file, offset = file + 1, 0
        return spans

    def _read(self, file: int, offset: int, target: memoryview) -> int:
        """Read one file's part; return how many bytes there were."""
        length = len(target)
        if file in self._geometry.pads:
            target[:] = _ZEROS[:length]
            return length
        descriptor = self._open[file]
        if descriptor is None:
            return 0
        done = 0
        try:
            while done < length:  # a read may stop short of the end of the file
                count = self._disk.preadv(descriptor, [target[done:] if done else target], offset + done)
                if not count:
                    break
                done += count
        except OSError as error:
            self._on_error(file, error)
        return done

    def _open_file(self, file: int) -> None:
        self._open[file] = None  # first: what cannot be opened is not tried again for its next bytes
        if file not in self._geometry.pads:
            try:
                self._open[file] = self._opener(file)
            except OSError as error:
                self._on_error(file, error)

    def _close_all_but(self, kept: int | None) -> None:
        for file in [file for file in self._open if file != kept]:
            descriptor = self._open.pop(file)
            if descriptor is not None:
                self._disk.close(descriptor)
