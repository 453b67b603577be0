"""The files of one torrent: ``.part`` until whole, sparse, opened safely, renamed over nobody's file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from attrs import define, field

from p2pshare.errors import StorageError
from p2pshare.geometry import FileSpan, Geometry
from p2pshare.metainfo import Metainfo
from p2pshare.storage.descriptors import Descriptors
from p2pshare.storage.disk import Disk
from p2pshare.storage.exact import ShortRead, read_exactly, write_exactly
from p2pshare.storage.folder import ContentFolder
from p2pshare.storage.layout import FileNames, file_names
from p2pshare.storage.refusals import is_passing, storage_error
from p2pshare.storage.signatures import Signature
from p2pshare.storage.volume import Volume

# What preadv says where RWF_NOWAIT is not known: some filesystems, old kernels.
_NO_NOWAIT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


class ContentLost(StorageError):
    """Bytes that should be on disk cannot be read from there."""


class Place(Enum):
    """What there is of a file."""

    PAD = auto()  # BEP 47: never on disk, reads as zeros
    MISSING = auto()
    PART = auto()
    FINAL = auto()  # under its own name: from then on never written to, whoever put it there


@define(eq=False)
class ContentFiles:
    """
    Reads and writes the bytes of pieces in the files of a torrent. Knows no hash and not what is verified.

    Blocks the thread that calls it, and any may; :meth:`read_now` alone never waits and is for the reactor.
    Whatever the disk refuses comes out as StorageError, naming the path and what can be done.
    """

    _metainfo: Metainfo
    folder: ContentFolder
    geometry: Geometry = field(init=False)
    names: tuple[FileNames, ...] = field(init=False)
    places: list[Place] = field(init=False)
    disk: Disk = field(init=False)
    descriptors: Descriptors = field(init=False)
    volume: Volume = field(init=False)
    signatures: dict[int, Signature] = field(init=False, factory=dict)  # how each was when last known to be right
    altered: set[int] = field(init=False, factory=set)  # files under their final name that somebody else wrote to
    _sized: set[int] = field(init=False, factory=set)  # files whose .part has had its length set
    made: set[int] = field(init=False, factory=set)  # files whose name a power cut may still take
    _nowait: int | None = field(init=False, default=_NOWAIT)  # None once the filesystem is seen not to have it
    # Kernels let one writer into a file at a time, and the others spin: asleep they leave their core to somebody else.
    _writing: Lock = field(init=False, factory=Lock)

    def __attrs_post_init__(self) -> None:
        self.geometry = self._metainfo.geometry
        self.names = file_names(self._metainfo)
        self.places = [Place.PAD if entry.pad else Place.MISSING for entry in self._metainfo.files]
        self.disk = self.folder.disk
        self.descriptors = Descriptors(self._open_file, disk=self.disk)
        self.volume = Volume(self.disk, self.folder.path)

    def path(self, file: int) -> str:
        """Spell where a file lies now, for people."""
        names = self.names[file]
        return self.folder.full(names.final if self.places[file] is Place.FINAL else names.part)

    def found(self, file: int, place: Place, signature: Signature) -> None:
        """Take note of a file that is there; who made it may not have lived to make its name safe."""
        self.places[file] = place
        self.signatures[file] = signature
        self.made.add(file)

    def written_in(self, piece: int) -> list[int]:
        """Name the files on disk that hold bytes of a piece."""
        lengths = self.geometry.file_lengths
        return [file for file in self.geometry.files_of(piece) if lengths[file] and self.places[file] is not Place.PAD]

    def open(self, file: int) -> int:
        """
        Open a file for reading; the caller closes it.

        :raise OSError: it is not there, or out of reach.
        """
        return self.descriptors.apart(file)

    def write(self, piece: int, content: memoryview) -> None:
        """
        Put a whole verified piece into its files.

        Bytes that belong to a file under its final name are compared, not written: a piece that it shares with an
        unfinished file can be fetched again without touching it.
        """
        spans = self.geometry.spans(piece, 0, len(content))
        if len(spans) == 1:
            self._write_span(spans[0], content)
            return
        begin = 0
        with self.folder.keeping():
            for span in spans:
                self._write_span(span, content[begin : begin + span.length])
                begin += span.length

    def _write_span(self, span: FileSpan, view: memoryview) -> None:
        place = self.places[span.file]
        if place is Place.FINAL:
            self._compare(span, view)
        elif place is not Place.PAD:
            borrowed = self.descriptors.borrowed(span.file, writable=True)
            with self.explained(span.file), borrowed as fd, self._writing:
                write_exactly(fd, view, span.offset, pwrite=self.disk.pwrite)

    def read(self, piece: int, begin: int, view: memoryview) -> None:
        """
        Fill a view with bytes of a piece.

        :raise ContentLost: they are not there, or the disk cannot read them.
        :raise StorageError: something passing stands in the way; they may well be there.
        """
        start = 0
        for span in self.geometry.spans(piece, begin, len(view)):
            self._read_span(span, view[start : start + span.length])
            start += span.length

    def read_bytes(self, piece: int, begin: int, length: int) -> bytes:
        """Give bytes of a piece; as :meth:`read`."""
        buffer = bytearray(length)
        self.read(piece, begin, memoryview(buffer))
        return bytes(buffer)

    def read_now(self, piece: int, begin: int, buffers: Sequence[memoryview]) -> bool:
        """
        Fill the buffers, one behind the other, with bytes of a piece that the page cache holds.

        :return: False, with the buffers in any state, when that would wait or the disk objects.
        """
        spans = self.geometry.spans(piece, begin, sum(map(len, buffers)))
        if len(spans) == 1:
            return self._read_span_now(spans[0], buffers)
        rest = list(buffers)
        return all(self._read_span_now(span, _cut(rest, span.length)) for span in spans)

    def finish(self, files: Iterable[int]) -> None:
        """
        Give whole files their final names.

        :raise StorageError: a name is taken; files before it have been renamed, it and those after it not.
        """
        for file in files:
            if self.places[file] is not Place.PART:
                continue
            if file not in self._sized:
                self.try_writing(file)  # it was whole when found, but perhaps too long
            with self.explained(file):
                self._sign(file)
                with self.descriptors.renaming(file):
                    self.folder.rename(self.names[file].part, self.names[file].final)
                    self.places[file] = Place.FINAL

    def unnamed(self, files: Iterable[int]) -> list[int]:
        """Name those of some whole files that have not got their final names."""
        return [file for file in files if self.places[file] is Place.PART]

    def fit(self, file: int) -> None:
        """Cut an unfinished file that was found too long."""
        if file not in self._sized:
            self.try_writing(file)

    def device(self) -> int:
        """
        Tell the disk that the chosen folder is on.

        :raise OSError: it is not there.
        """
        return self.folder.device()

    def close(self) -> None:
        """Close all files. A later read or write opens them again."""
        self.descriptors.close()
        self.volume.close()

    def try_writing(self, file: int) -> None:
        """Open an unfinished file for writing, made and sized if it is not there; write nothing."""
        with self.explained(file), self.descriptors.borrowed(file, writable=True):
            pass

    def _open_file(self, file: int, writable: bool) -> int:
        names, place = self.names[file], self.places[file]
        if place is Place.FINAL:
            return self.folder.open(names.final, os.O_RDONLY)
        if not writable:
            return self.folder.open(names.part, os.O_RDONLY)
        # A .part that was there is not made anew when it vanishes: the disk it was on may be unmounted.
        fd = self.folder.open(names.part, os.O_RDWR | (os.O_CREAT if place is Place.MISSING else 0))
        try:
            length = self.geometry.file_lengths[file]
            if self.disk.fstat(fd).st_size != length:
                self.disk.ftruncate(fd, length)  # sparse
        except OSError:
            self.disk.close(fd)
            raise
        self._sized.add(file)
        if place is Place.MISSING:
            self.made.add(file)
        self.places[file] = Place.PART
        return fd

    def _compare(self, span: FileSpan, expected: memoryview) -> None:
        found = bytearray(span.length)
        self._read_span(span, memoryview(found))
        if found != expected:
            path = self.folder.full(self.names[span.file].final)
            raise StorageError(f"{path}: exists and differs from the torrent at byte {span.offset}; move it away")

    def _read_span(self, span: FileSpan, view: memoryview) -> None:
        if self.places[span.file] is Place.PAD:
            view[:] = bytes(span.length)
            return
        try:
            with self.descriptors.borrowed(span.file) as fd:
                read_exactly(fd, view, span.offset, preadv=self.disk.preadv)
                self._is_unaltered(span.file, fd)
        except ShortRead:
            raise ContentLost(f"{self.path(span.file)}: ends before byte {span.offset + span.length}") from None
        except OSError as error:
            refused = storage_error(error, self.path(span.file))
            raise refused if is_passing(error) else ContentLost(str(refused)) from error

    def _read_span_now(self, span: FileSpan, buffers: Sequence[memoryview]) -> bool:
        if self.places[span.file] is Place.PAD:
            for buffer in buffers:
                buffer[:] = bytes(len(buffer))
            return True
        if self._nowait is None:
            return False
        descriptor = self.descriptors.borrow_open(span.file)
        if descriptor is None:
            return False  # opening may wait for the disk too
        try:
            count = self.disk.preadv(descriptor.fd, buffers, span.offset, self._nowait)
            return count == span.length and self._is_unaltered(span.file, descriptor.fd)
        except OSError as error:
            if error.errno in _NO_NOWAIT:
                self._nowait = None
            return False
        finally:
            self.descriptors.give_back(descriptor)

    def _is_unaltered(self, file: int, fd: int) -> bool:
        """Look whether somebody wrote to a file that has its final name; we never do."""
        if self.places[file] is not Place.FINAL:
            return True
        signed, status = self.signatures.get(file), self.disk.fstat(fd)
        if signed is not None and (signed.mtime != status.st_mtime_ns or signed.size != status.st_size):
            self.altered.add(file)  # first: whoever sees the new signature must see this, too
            self.signatures[file] = Signature.of(status)
            return False
        return True

    def sign(self, file: int) -> None:
        """Take a file as it is now for what it should be; its pieces are going to be hashed."""
        with self.explained(file):
            self._sign(file)

    def _sign(self, file: int) -> None:
        with self.descriptors.borrowed(file) as fd:
            self.signatures[file] = Signature.of(self.disk.fstat(fd))

    @contextmanager
    def explained(self, file: int | None = None) -> Iterator[None]:
        """Turn what the disk refuses into StorageError, naming a file or the folder."""
        try:
            yield
        except OSError as error:
            raise storage_error(error, self.folder.full(()) if file is None else self.path(file)) from error


def _cut(rest: list[memoryview], length: int) -> list[memoryview]:
    """Take views worth ``length`` bytes off the front of a list, cutting the last one in two if need be."""
    taken = []
    while length:
        view = rest.pop(0)
        if len(view) > length:
            rest.insert(0, view[length:])
            view = view[:length]
        taken.append(view)
        length -= len(view)
    return taken
