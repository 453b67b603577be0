"""Reads a file once, and knows it by every name: SHA-256 for the index, the hashes of its pieces for BitTorrent."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from queue import Queue
from typing import Protocol

from attrs import define, field, frozen

from p2pshare.errors import StorageError
from p2pshare.metainfo import choose_piece_length
from p2pshare.sharing.walk import Stamp

BUFFER = 1024 * 1024  # bytes; a power of two, so that pieces begin where buffers do or inside them
LARGE = 16 * BUFFER  # from here on a second thread takes its share: starting one costs about 0.1 ms


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


@frozen
class Digest:
    """What a file holds."""

    stamp: Stamp  # the file as it was read
    sha256: str  # hexadecimal digits
    piece_length: int
    pieces: bytes  # SHA-1 of each piece, joined (BEP 3); none for an empty file


def digest_file(
    descriptor: int,
    piece_length: int | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    on_bytes: Callable[[int], object] = lambda count: None,
) -> Digest:
    """
    Read an open file from its beginning to its end. Blocks.

    :param piece_length: a power of two; None: chosen by size.
    :param is_stopped: asked now and then; a stopped one ends with StorageError.
    :param on_bytes: told of each step.
    :raise StorageError: it changed meanwhile, cannot be read, or there was no need to go on.
    """
    before = Stamp.of(os.fstat(descriptor))
    length = choose_piece_length(before.size) if piece_length is None else piece_length
    whole = _Beside(hashlib.sha256()) if before.size >= LARGE else hashlib.sha256()
    pieces = _Pieces(length)
    try:
        _read(descriptor, before.size, whole, pieces, is_stopped, on_bytes)
        sha256 = whole.hexdigest()
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror}") from error
    finally:
        if isinstance(whole, _Beside):
            whole.end()
    if Stamp.of(os.fstat(descriptor)) != before:
        raise StorageError("changed while it was read")
    return Digest(before, sha256, length, pieces.end())


def _read(
    descriptor: int,
    size: int,
    whole: _Digest,
    pieces: _Pieces,
    is_stopped: Callable[[], bool],
    on_bytes: Callable[[int], object],
) -> None:
    buffers = _buffers.large() if size >= LARGE else _buffers.small
    position = turn = 0
    while position < size:
        if is_stopped():
            raise StorageError("was not read to its end")
        buffer = buffers[turn % len(buffers)]
        count = os.preadv(descriptor, [buffer], position)
        if not count:
            raise StorageError("became shorter while it was read")
        data = buffer[: min(count, size - position)]
        whole.update(data)
        pieces.update(data)
        position += len(data)
        turn += 1
        on_bytes(len(data))


@define(eq=False)
class _Pieces:
    """SHA-1 of each piece, wherever reads begin and end."""

    _length: int
    _done: list[bytes] = field(init=False, factory=list)
    _piece: hashlib._Hash = field(init=False, factory=hashlib.sha1)
    _missing: int = field(init=False)  # bytes of the piece begun

    def __attrs_post_init__(self) -> None:
        self._missing = self._length

    def update(self, data: memoryview) -> None:
        at, length, end = 0, self._length, len(data)
        if self._missing == length:  # as when all of a small file is there: as little between two pieces as can be
            done, sha1 = self._done, hashlib.sha1
            while at + length <= end:
                done.append(sha1(data[at : at + length]).digest())
                at += length
        while at < end:
            part = data[at : at + self._missing]
            self._piece.update(part)
            at += len(part)
            self._missing -= len(part)
            if not self._missing:
                self._finish()

    def end(self) -> bytes:
        if self._missing < self._length:
            self._finish()
        return b"".join(self._done)

    def _finish(self) -> None:
        self._done.append(self._piece.digest())
        self._piece, self._missing = hashlib.sha1(), self._length


class _Buffers(threading.local):
    """What a thread reads into: the same memory each time, for new one costs more than a small file's bytes."""

    def __init__(self) -> None:
        self.small = [memoryview(bytearray(BUFFER))]

    def large(self) -> list[memoryview]:
        """Give three: one is being filled, one waits, one is hashed by the other thread."""
        return [*self.small, memoryview(bytearray(BUFFER)), memoryview(bytearray(BUFFER))]


_buffers = _Buffers()


class _Beside:
    """A digest that a thread of its own computes; at most one buffer waits for it."""

    def __init__(self, digest: _Digest) -> None:
        self._digest = digest
        self._waiting: Queue[memoryview | None] = Queue(1)
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def update(self, data: memoryview) -> None:
        self._waiting.put(data)

    def hexdigest(self) -> str:
        self.end()
        return self._digest.hexdigest()

    def end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            self._digest.update(data)
