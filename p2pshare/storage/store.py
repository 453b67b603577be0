"""Pieces of one torrent on disk: assembled in memory, verified, written, read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.metainfo import Metainfo
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.checking import Progress
from p2pshare.storage.disk import OS_DISK, Disk
from p2pshare.storage.files import ContentFiles
from p2pshare.storage.folder import ContentFolder
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.proof import Proof
from p2pshare.storage.resume import Durability, ResumeData
from p2pshare.storage.sealing import Sealed, judge
from p2pshare.storage.serving import Serving
from p2pshare.storage.signatures import Signature
from p2pshare.storage.startup import Startup
from p2pshare.storage.tally import FileTally
from p2pshare.storage.workers import Run

MEMORY_LIMIT = 32 * 1024 * 1024  # bytes of sealed pieces waiting for the disk before peers are paused

T = TypeVar("T")


@define(eq=False)
class PieceStore:
    """
    Keeps the pieces of one torrent below a folder. Knows no peer, no request, no clock.

    Hashing and all waiting for the disk happen elsewhere, through ``run``; every method belongs to the reactor
    thread. A piece is in ``have`` only after its hash was right, all its bytes were handed to the kernel and files
    it made whole got their final names; so a full ``have`` means the content is in place. Only such pieces are read.
    """

    _metainfo: Metainfo
    _folder: Path
    _run: Run
    _memory_limit: int = field(kw_only=True, default=MEMORY_LIMIT)
    _durability: Durability | None = field(kw_only=True, default=None)  # None: after a crash everything is hashed
    _disk: Disk = field(kw_only=True, default=OS_DISK)
    # By file: how it looked when somebody else found all its pieces right. If every file still looks so, the first
    # check of content that is only read hashes nothing.
    _vouched: Mapping[int, Signature] | None = field(kw_only=True, default=None)
    geometry: Geometry = field(init=False)
    have: Bitfield = field(init=False)
    failed: StorageError | None = field(init=False, default=None)  # why nothing more is sealed
    is_pressed: bool = field(init=False, default=False)  # too much waits for the disk: put less, pause the peers
    on_relief: Callable[[], None] = field(init=False, default=lambda: None)  # called when is_pressed ends
    # Told that the disk refused something nobody was waiting for; then ``failed`` is set.
    on_trouble: Callable[[StorageError], None] = field(init=False, default=lambda _: None)
    # Told of a piece we had and have no more.
    on_lost: Callable[[int], None] = field(init=False, default=lambda _: None)
    # Asked whether a piece is likely to be read soon. What is not makes room in memory once it is safe on the disk.
    is_wanted: Callable[[int], bool] = field(init=False, default=lambda _: True)
    _files: ContentFiles = field(init=False)
    _buffers: PieceBuffers = field(init=False)
    _tally: FileTally = field(init=False)
    _ongoing: Ongoing = field(init=False, factory=Ongoing)
    _shutdown: Ongoing = field(init=False, factory=Ongoing)
    _serving: Serving = field(init=False)
    _resume: ResumeData | None = field(init=False, default=None)
    _startup: Startup = field(init=False)
    _sealing: Ongoing = field(init=False, factory=Ongoing)
    _checking: Ongoing = field(init=False, factory=Ongoing)
    _proof: Proof = field(init=False)
    _unproved: set[int] = field(init=False, factory=set)  # were on their way when the disk failed to keep something
    _closing: bool = field(init=False, default=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.geometry = self._metainfo.geometry
        self.have = Bitfield(self.geometry.num_pieces)
        self._files = ContentFiles(self._metainfo, ContentFolder(self._folder, disk=self._disk))
        self._buffers = PieceBuffers(self.geometry)
        self._tally = FileTally(self.geometry)
        self._serving = Serving(self._metainfo, self._files, self._run, self.have, self._lost)
        self._proof = Proof(self._files, self._tally, self._serving, self.have, self._run)
        if self._durability is not None:
            self._resume = ResumeData(
                self._metainfo, self._files, self._durability, self._commit_failed, lambda piece: self.is_wanted(piece)
            )
        self._startup = Startup(
            self._metainfo,
            self._files,
            self._run,
            self.have,
            self._tally,
            self._serving,
            self._resume,
            lambda: self._closing,
            self._vouched,
        )

    @property
    def is_complete(self) -> bool:
        """Whether every piece is verified and every file has its final name."""
        return self.have.is_full

    @property
    def verified_bytes(self) -> int:
        """Bytes of the pieces we have."""
        last = self.geometry.num_pieces - 1
        missing_end = self.geometry.piece_length - self.geometry.piece_size(last) if last in self.have else 0
        return self.have.count * self.geometry.piece_length - missing_end

    @property
    def buffered(self) -> int:
        """Bytes of memory that hold pieces on their way to the disk."""
        return self._buffers.held

    @property
    def in_doubt(self) -> Collection[int]:
        """Pieces in ``have`` that are hashed before anybody gets them: somebody may have written to their files."""
        return self._serving.doubtful

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being checked, hashed, written or read just now."""
        return self._ongoing.is_over

    @property
    def counters(self) -> dict[str, int]:
        """Numbers that are kept with the resume data, for whoever counts something; empty where there is none."""
        return {} if self._resume is None else self._resume.counters

    def check(self, progress: Progress | None = None, *, writable: bool = True) -> Deferred[None]:
        """
        Fill ``have`` from what lies in the folder. The first thing to do with a store; may be done again, and then
        pieces that are sealed meanwhile wait for its end.

        :param progress: told (pieces looked at, pieces in all) now and then.
        :param writable: the rest is to be downloaded here. Then empty files and the first ``.part`` are made, whole
            ``.part`` files renamed, and a file under a final name that is not the torrent's is an error. Otherwise
            nothing is changed on the disk, and whatever is right is in ``have``.
        :return: errs back with StorageError when a name is taken by something else, or permission or room is missing.
        """
        return self._checking.track(self._start(self._check(progress, writable)))

    def put(self, piece: int, begin: int, data: bytes | bytearray | memoryview) -> None:
        """
        Copy bytes that arrived to their place in memory.

        :raise ValueError: the piece is verified or sealed, or has no such place.
        """
        if piece in self.have:
            raise ValueError(f"piece {piece} is verified and never written again")
        self._buffers.put(piece, begin, data)

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """
        Verify a piece of which every block was put, and write it if it is right.

        :param digests: tell the digests of its blocks even if it is right.
        :return: errs back with StorageError when the disk refuses; then :attr:`failed` is set, this and every later
            piece is forgotten, and what was verified before can still be read.
        :raise ValueError: nothing was put, or it is sealed already.
        """
        content = self._buffers.seal(piece)
        self.is_pressed = self.is_pressed or self._buffers.sealed > self._memory_limit
        if not self._checking.is_over:  # nothing is written meanwhile
            return self._checking.over().addCallback(lambda _: self._seal_now(piece, content, digests))
        return self._seal_now(piece, content, digests)

    def discard(self, piece: int) -> None:
        """Forget what was put into a piece that is not sealed."""
        self._buffers.discard(piece)

    def trim(self) -> None:
        """Let go of memory that no piece needed since the last call; about once a second."""
        self._buffers.trim()

    def retry(self) -> None:
        """Seal again: what made the disk refuse may be gone."""
        if self._proof.is_under_way:
            return  # too early to tell
        self.failed = None
        if self._resume is not None:
            self._resume.retry()

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """
        Give bytes of a verified piece if the page cache holds them.

        :return: None when that would wait: then :meth:`read` it.
        :raise ValueError: the piece is not verified.
        """
        return self._serving.read_now(piece, begin, length)

    def read_into(self, piece: int, begin: int, buffers: Sequence[memoryview]) -> bool:
        """
        Fill up to 1,024 buffers with consecutive bytes of a verified piece if the page cache holds them.

        :return: False when that would wait: then :meth:`read` it.
        :raise ValueError: the piece is not verified.
        """
        return self._serving.read_into(piece, begin, buffers)

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """
        Give bytes of a verified piece when the disk has them.

        :return: errs back with StorageError; the piece is no longer in ``have`` if it turns out to be lost.
        :raise ValueError: the piece is not verified.
        """
        self._serving.insist_on(piece)
        return self._start(self._serving.read(piece, begin, length))

    def reread(self, piece: int) -> Deferred[bool]:
        """
        Hash a verified piece as the disk has it, whatever memory holds.

        :return: whether it is right; if not, it is no longer in ``have``. Errs back with StorageError when something
            passing stands in the way.
        :raise ValueError: the piece is not verified.
        """
        self._serving.insist_on(piece)
        return self._start(self._serving.reread(piece))

    def close(self) -> Deferred[None]:
        """
        Forget what is not sealed, wait for what is under way, close the files. Closing twice is closing once.

        Nothing can be checked, sealed or read afterwards.
        """
        if self._closing:
            return self._shutdown.over()
        self._closing = True
        self._buffers.discard_all()
        return self._shutdown.track(Deferred.fromCoroutine(self._close()))

    def _start(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        if self._closing:
            work.close()
            return fail(self._refusal())
        return self._ongoing.track(Deferred.fromCoroutine(work))

    def _refusal(self) -> StorageError:
        return StorageError(f"{self._metainfo.name}: its store is closed")

    def _seal_now(self, piece: int, content: memoryview, digests: bool) -> Deferred[Sealed]:
        if self.failed is not None or self._closing:
            self._release(piece)
            return fail(self.failed or self._refusal())
        return self._sealing.track(self._start(self._seal(piece, content, digests)))

    async def _close(self) -> None:
        await self._ongoing.over()
        self._buffers.empty()
        if self._resume is not None:
            await self._resume.close()
        await self._run(self._files.close)

    async def _check(self, progress: Progress | None, writable: bool) -> None:
        await self._sealing.over()
        await self._startup.check(progress, writable)
        self.log.info("{name}: has {count} pieces on disk", name=self._metainfo.name, count=self.have.count)

    async def _seal(self, piece: int, content: memoryview, digests: bool) -> Sealed:
        try:
            sealed: Sealed = await self._run(self._judge_and_write, piece, content, digests)
            if sealed.ok and piece not in self.have:  # a check may have come before us
                await self._finish_files(piece)
                self.have.add(piece)
            return sealed
        except StorageError as error:
            self.log.warn("{name}: {error}", name=self._metainfo.name, error=error)
            self.failed = self.failed or error
            raise
        finally:
            self._unproved.discard(piece)
            self._release(piece)

    def _judge_and_write(self, piece: int, content: memoryview, digests: bool) -> Sealed:
        """One thread hop for everything: the bytes are still in the core's cache when they are written."""
        sealed = judge(piece, content, self._metainfo.piece_hash(piece), digests=digests)
        if sealed.ok:
            self._files.write(piece, content)
            if self._resume is not None:
                self._resume.append(piece)
        return sealed

    def _release(self, piece: int) -> None:
        self._buffers.release(piece)
        # Well below the limit, so that peers are not paused and resumed with every piece.
        if self.is_pressed and self._buffers.sealed <= self._memory_limit // 2:
            self.is_pressed = False
            self.on_relief()

    async def _finish_files(self, piece: int) -> None:
        """A piece is on disk: give files that are whole now their final names."""
        whole = self._tally.got(piece)
        try:
            for file in whole:
                await self._serving.settle(self.geometry.pieces_of(file))
            whole = [file for file in whole if self._tally.is_whole(file)]
            if self.failed is not None and piece in self._unproved:
                raise self.failed  # its bytes may be among those the disk did not keep
            if self._resume is not None and self._resume.is_active:
                is_last = self.have.count == self.geometry.num_pieces - 1
                await self._resume.written(piece, whole, is_last=is_last)
            elif whole:
                await self._run(self._files.finish, whole)
        except StorageError:
            self._tally.lost(piece)
            raise

    def _lost(self, piece: int) -> None:
        """A piece we had is not on disk as it was."""
        self.have.discard(piece)
        self._tally.lost(piece)
        self._serving.doubtful.discard(piece)
        self.log.warn("{name}: piece {piece} is lost", name=self._metainfo.name, piece=piece)
        if self._resume is not None:
            self._do(self._resume.lost(piece))
        self.on_lost(piece)

    def _commit_failed(self, error: StorageError) -> None:
        """What was written since the last commit may be anything, and so may what is on its way."""
        self.log.warn("{name}: {error}", name=self._metainfo.name, error=error)
        self.failed = self.failed or error
        assert self._resume is not None
        self._unproved.update(self._buffers.all_sealed())
        self._do(self._proof.take(self._resume, self._sealing, lambda piece: self.on_lost(piece)))
        self.on_trouble(error)

    def _do(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Have something done that nobody waits for, but :meth:`close`."""
        doing = self._ongoing.track(Deferred.fromCoroutine(work))
        doing.addErrback(lambda failure: self.log.failure("storing {name}", failure, name=self._metainfo.name))
