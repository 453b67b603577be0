"""Finding out which pieces are already on disk: hashed on all cores, told to the reactor slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage import holes
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.hashing import hash_pieces
from p2pshare.storage.refusals import is_passing, storage_error
from p2pshare.storage.workers import Run, default_threads

# How much one thread hashes before it reports: often enough to show progress and to let other work in between,
# rarely enough that a report costs nothing.
SLICE = 16 * 1024 * 1024

Progress = Callable[[int, int], None]  # pieces looked at, pieces in all


@define(eq=False)
class ContentCheck:
    """One pass over the content on disk. Only reads; the places of the files must be known."""

    _metainfo: Metainfo
    _files: ContentFiles
    _run: Run
    _have: Bitfield  # filled as pieces turn out right
    _progress: Progress | None
    _is_broken_off: Callable[[], bool]
    _among: Container[int] | None = None  # the pieces to hash, if they are there; None: all
    _wrong: list[int] = field(init=False, factory=list)  # all their files are there, and yet
    _done: int = field(init=False, default=0)

    async def hash_all(self) -> None:
        """
        Hash every piece that was or may have been written.

        :raise StorageError: a file may not be read, or the check is broken off.
        """
        to_hash = await self._run(self._sift)
        self._advance(self._metainfo.num_pieces - len(to_hash))
        slices = self._slices(to_hash)
        lanes = [Deferred.fromCoroutine(self._lane(slices)) for _ in range(default_threads())]
        for _, outcome in await DeferredList(lanes, consumeErrors=True):
            if isinstance(outcome, Failure):
                outcome.raiseException()

    def refuse_strangers(self) -> None:
        """
        Object to files that bear a final name and hold something else: they would have to be overwritten.

        A wrong piece proves nothing against a file that shares it with an unfinished one.

        :raise StorageError: names the one that differs most.
        """
        geometry, places = self._files.geometry, self._files.places
        blame: dict[int, int] = {}
        for piece in self._wrong:
            files = self._files.written_in(piece)
            if all(places[file] is Place.FINAL for file in files):
                for file in files:
                    blame[file] = blame.get(file, 0) + 1
        if blame:
            worst = max(blame, key=lambda file: blame[file] / len(geometry.pieces_of(file)))
            raise StorageError(
                f"{self._files.path(worst)}: exists and differs from the torrent ({blame[worst]} of "
                f"{len(geometry.pieces_of(worst))} pieces wrong); move it away or choose another folder"
            )

    def _sift(self) -> list[int]:
        """Leave out pieces of missing files, and those that were never written. In a thread."""
        untouched = holes.untouched(self._files)
        zeros = holes.zero_pieces(self._metainfo, untouched)
        missing: set[int] = set()
        for file, place in enumerate(self._files.places):
            if place is Place.MISSING:
                missing.update(self._files.geometry.pieces_of(file))
        left_out = missing | (untouched - zeros)
        among = range(self._metainfo.num_pieces) if self._among is None else self._among
        return [piece for piece in range(self._metainfo.num_pieces) if piece in among and piece not in left_out]

    def _slices(self, pieces: list[int]) -> Iterator[list[int]]:
        size = max(1, SLICE // self._metainfo.piece_length)
        for first in range(0, len(pieces), size):
            yield pieces[first : first + size]

    async def _lane(self, slices: Iterator[list[int]]) -> None:
        for pieces in slices:
            if self._is_broken_off():
                raise StorageError(f"{self._metainfo.name}: closed before it was checked to the end")
            for piece, is_right in await self._run(self._hash, pieces):
                if is_right:
                    self._have.add(piece)
                else:
                    self._wrong.append(piece)
            self._advance(len(pieces))

    def _advance(self, pieces: int) -> None:
        self._done += pieces
        if self._progress is not None:
            self._progress(self._done, self._metainfo.num_pieces)

    def _hash(self, pieces: list[int]) -> list[tuple[int, bool]]:
        """Tell the right pieces from the wrong. In a thread."""
        found: list[tuple[int, bool]] = []

        def compare(run: range, digests: Sequence[bytes | None]) -> None:
            for piece, digest in zip(run, digests, strict=True):
                found.append((piece, digest == self._metainfo.piece_hash(piece)))

        hash_pieces(
            self._files.geometry,
            self._files.open,
            pieces,
            compare,
            on_error=self._unreadable,
            threads=1,
            disk=self._files.folder.disk,
        )
        return found

    def _unreadable(self, file: int, error: OSError) -> None:
        """Let a damaged file be a wrong one, but not one that we may not read or cannot open just now."""
        if isinstance(error, PermissionError) or is_passing(error):
            raise storage_error(error, self._files.path(file)) from error
