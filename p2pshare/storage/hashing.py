"""Hash the pieces of a content on all cores, reading its files in long runs."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from attrs import define, evolve, field

from p2pshare.geometry import FileSpan, Geometry
from p2pshare.storage.disk import OS_DISK, Disk

Opener = Callable[[int], int | None]  # file index -> a descriptor of its own, closed here; None: the file is not there
OnPiece = Callable[[int, bytes | None], None]  # piece, SHA-1 digest; None: not all of its bytes could be read
OnError = Callable[[int, OSError], None]  # file index, what opening or reading it met
OnProgress = Callable[[int, int], None]  # bytes done, bytes in all

BUFFER_SIZE = 1024 * 1024  # per thread; larger ones leave the core's cache and hash no faster
THREAD_LIMIT = 16  # keeps the buffers of many cores within 16 MiB; no disk feeds more

_RUN_SIZE = 4 * 1024 * 1024  # bytes one thread takes at a time: long for a disk, short for an even finish
_ZEROS = memoryview(bytes(BUFFER_SIZE))
_PROGRESS_STEPS = 1000
_SHORTEST_STEP, _LONGEST_STEP = 1024 * 1024, 32 * 1024 * 1024  # bytes


def hash_pieces(
    geometry: Geometry,
    opener: Opener,
    pieces: Iterable[int],
    on_piece: OnPiece,
    *,
    on_error: OnError | None = None,
    threads: int | None = None,
    disk: Disk = OS_DISK,
) -> None:
    """
    Read pieces and tell the SHA-1 digest of each, in no particular order; pad files read as zeros.

    Returns when all are told. Consecutive indices are read together, so give them in rising order. ``opener`` is asked
    from several threads; ``on_piece`` and ``on_error`` too, but never two at once. What any of them raises ends the
    work and is raised here.

    :param on_error: told of a file that cannot be opened or read; its pieces then come without a digest.
    :param threads: how many work, the calling one among them; by default one a core.
    """
    work = _Work(geometry, opener, on_piece, on_error, disk, _runs(geometry, pieces))
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
    _on_piece: OnPiece
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
                    for piece, digest in zip(run, digests, strict=True):
                        if self.failure is None:
                            self._on_piece(piece, digest)
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
    """One thread's buffer and open file. Sees the content as one line of bytes, whatever its files and pieces."""

    _geometry: Geometry
    _opener: Opener
    _on_error: OnError
    _disk: Disk
    _line: Geometry = field(init=False)  # all of it as a single piece
    _buffer: memoryview = field(init=False, factory=lambda: memoryview(bytearray(BUFFER_SIZE)))
    _file: int | None = field(init=False, default=None)
    _descriptor: int | None = field(init=False, default=None)  # of _file; kept, as the next bytes are mostly there too

    def __attrs_post_init__(self) -> None:
        self._line = evolve(self._geometry, piece_length=max(1, self._geometry.total_length))

    def hash_run(self, run: range) -> list[bytes | None]:
        """Hash consecutive pieces; None where bytes are missing."""
        together = BUFFER_SIZE // self._geometry.piece_length
        if not together:
            return [self._hash_large(piece) for piece in run]
        digests: list[bytes | None] = []
        for first in range(run.start, run.stop, together):
            digests += self._hash_small(range(first, min(first + together, run.stop)))
        return digests

    def close(self) -> None:
        """Let go of the open file."""
        if self._descriptor is not None:
            self._disk.close(self._descriptor)
        self._file = self._descriptor = None

    def _hash_small(self, pieces: range) -> list[bytes | None]:
        """Hash pieces that fit into the buffer together."""
        size = self._geometry.piece_length
        length = (len(pieces) - 1) * size + self._geometry.piece_size(pieces[-1])
        gaps = self._fill(pieces.start * size, length)
        digests: list[bytes | None] = [
            hashlib.sha1(self._buffer[begin : min(begin + size, length)]).digest() for begin in range(0, length, size)
        ]
        for begin, end in gaps:
            for index in range(begin // size, -(-end // size)):
                digests[index] = None
        return digests

    def _hash_large(self, piece: int) -> bytes | None:
        """Hash a piece that is longer than the buffer."""
        first, size = piece * self._geometry.piece_length, self._geometry.piece_size(piece)
        digest = hashlib.sha1()
        for begin in range(0, size, BUFFER_SIZE):
            length = min(BUFFER_SIZE, size - begin)
            if self._fill(first + begin, length):
                return None
            digest.update(self._buffer[:length])
        return digest.digest()

    def _fill(self, first: int, length: int) -> list[tuple[int, int]]:
        """Read ``length`` bytes of the line into the buffer; return the parts of the buffer that could not be."""
        gaps = []
        begin = 0
        for span in self._line.spans(0, first, length):
            end = begin + span.length
            filled = begin + self._read(span, self._buffer[begin:end])
            if filled < end:
                gaps.append((filled, end))
            begin = end
        return gaps

    def _read(self, span: FileSpan, target: memoryview) -> int:
        """Read one file's part; return how many bytes there were."""
        if span.file in self._geometry.pads:
            target[:] = _ZEROS[: span.length]
            return span.length
        done = 0
        try:
            descriptor = self._open(span.file)
            while descriptor is not None and done < span.length:  # a read may stop short of the end of the file
                count = self._disk.preadv(descriptor, [target[done:]], span.offset + done)
                if not count:
                    break
                done += count
        except OSError as error:
            self._on_error(span.file, error)
        return done

    def _open(self, file: int) -> int | None:
        if file != self._file:
            self.close()
            self._file = file  # first, so that a file that cannot be opened is not tried again for its next bytes
            self._descriptor = self._opener(file)
        return self._descriptor
