"""
Files that strangers upload: kept in a folder, made torrents of, entered into the index, and seeded from then on.

The order of steps makes every one of them a good place to be killed at: the bytes are safe under a name of ours, the
torrent file is written, the content gets its name, the index learns of it. A start sweeps what came before the third
step, and finishes what came after it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from hashlib import file_digest, sha1
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from p2pshare import bencoding
from p2pshare.errors import DiskFull, MetainfoError, P2PShareError, StorageError
from p2pshare.faces.uploading_names import free_name, plain_name, safe_name
from p2pshare.index.catalogue import Catalogue
from p2pshare.index.content_server import ContentServer
from p2pshare.index.lanes import Busy
from p2pshare.index.records import ContentKey, Scheme, Torrent, TorrentClaim
from p2pshare.json_torrent import json_info_hash
from p2pshare.metainfo import Metainfo, compose, dump, load, parse
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.ongoing import Ongoing
from p2pshare.web.replies import Refused
from p2pshare.web.spawn import Background
from p2pshare.web.staging import Run, StagedFile, Staging
from p2pshare.web.uploads import FilePart, Upload

PIECE_LENGTH = 262_144  # bytes, whatever the size: what REST clients of this kind expect
OWNER = "uploads"  # of what was uploaded, among the sharers in the index

_TORRENTS = ".torrents"  # a folder below that of the uploads, whose names never begin with a dot
_TORRENT, _UNFINISHED = ".torrent", ".tmp"
_ATTEMPTS = 10  # at a name, as long as somebody else puts files there
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@frozen
class Labels:
    """How the index files an upload."""

    category: str = ""
    tags: tuple[str, ...] = ()


def _no_labels(name: str) -> Labels:
    return Labels()


def _nowhere() -> str:
    return ""


def _nobody(torrent: Torrent) -> None:
    pass


class Uploads(Service):
    """
    Takes uploads in. Started, it sweeps the folder and has everything in it seeded again. Knows no request.

    The same content is one torrent, whatever it is called the second time.
    """

    log = Logger()

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        contents: ContentServer,
        run: Run,
        *,
        owner: str = OWNER,
        labels: Callable[[str], Labels] = _no_labels,
        peer_address: Callable[[], str] = _nowhere,
        entered: Callable[[Torrent], object] = _nobody,
    ) -> None:
        """
        Join the parts; the folder is made at the start.

        :param run: calls a function in a thread.
        :param labels: category and tags of a file by its name.
        :param peer_address: ``host:port`` where :meth:`find` is served over HTTP; empty: nowhere.
        :param entered: told of each new torrent.
        """
        self.folder = folder
        self._catalogue = catalogue
        self.contents = contents
        self._run = run
        self._owner = owner
        self._labels = labels
        self._peer_address = peer_address
        self._entered = entered
        self._staging = Staging(folder, run, ("sha256",))
        self._torrents = folder / _TORRENTS
        self._turn = DeferredLock()  # names are given to one upload at a time
        self._under_way = Ongoing()
        self._background = Background()

    def startService(self) -> None:
        """
        Make the folder, sweep it, and begin to seed what is in it. Blocks for the sweep.

        :raise StorageError: the folder cannot be used.
        """
        super().startService()
        try:
            self._torrents.mkdir(parents=True, exist_ok=True)
            swept = self._staging.sweep() + _sweep(self._torrents)
        except OSError as error:
            raise StorageError(f"cannot keep uploads in {self.folder}: {error.strerror}") from error
        if swept:
            self.log.info("removed {count} unfinished uploads from {folder}", count=swept, folder=self.folder)
        self._background.spawn(self._resume(), "seeding former uploads")

    def stopService(self) -> Deferred[None]:
        """Fire when the uploads that have arrived are dealt with."""
        super().stopService()
        return self._background.stop().addCallback(lambda _: self._under_way.over())

    def open(self, part: FilePart) -> StagedFile:
        """
        Begin a file.

        :raise Refused: nothing of its name can be used.
        """
        safe_name(part.filename)
        return self._staging.open()

    def take(self, upload: Upload) -> Deferred[Torrent]:
        """
        Take in what has arrived in full.

        :return: fires with its torrent once that is seeded; fails with Refused. Cancelling it does not stop the work,
            which ends well or leaves nothing behind.
        """
        return self._under_way.track(Deferred.fromCoroutine(self._explained(upload)))

    def find(self, name: str) -> Path | None:
        """Say where an upload of that name is if there is one; None: no upload is called so."""
        return self.folder / name if name and plain_name(name) == name else None

    async def seed(self, torrent: Torrent) -> bool:
        """
        Seed an upload, if that ended for some reason; say whether it is one.

        :raise StorageError: it is not what it was.
        """
        try:
            content = await self._run(load, self._torrents / f"{torrent.name}{_TORRENT}")
        except MetainfoError:
            return False
        if content.info_hash.hex() != torrent.info_hash:
            return False
        await self.contents.serve(content, self.folder / content.name)
        return True

    async def _explained(self, upload: Upload) -> Torrent:
        try:
            return await self._take(upload)
        except Busy as error:
            raise Refused(503, str(error), (("Retry-After", "1"),)) from None
        except DiskFull as error:
            raise Refused(507, str(error)) from None
        except StorageError as error:
            self.log.warn("{name!r} cannot be taken in: {error}", name=upload.part.filename, error=error)
            raise Refused(500, "the upload cannot be stored") from None

    async def _take(self, upload: Upload) -> Torrent:
        staged = upload.sink
        assert isinstance(staged, StagedFile), "opened by open()"
        sha256 = staged.digests["sha256"]
        known = await self._known(sha256)
        if known is not None:
            return known
        name = safe_name(upload.part.filename)
        content: Metainfo = await self._run(create, staged.path, CreateSettings(piece_length=PIECE_LENGTH, name=name))
        entering = self._turn.run(lambda: Deferred.fromCoroutine(self._enter(staged, content, sha256)))
        torrent, serving = await entering
        if serving is not None:
            await serving
        return await self._catalogue.torrents.get(torrent.info_hash) or torrent  # it may have a seed by now

    async def _known(self, sha256: str) -> Torrent | None:
        """Look for a content that is here already, and see to it that it is seeded."""
        share = await self._catalogue.shares.find(ContentKey(Scheme.SHA256, sha256), self._owner)
        torrent = None if share is None else await self._catalogue.torrents.get(share.info_hash or "")
        if torrent is None or self.contents.serves(bytes.fromhex(torrent.info_hash)):
            return torrent
        try:
            return torrent if await self.seed(torrent) else None
        except StorageError:  # it has been removed, or spoiled
            return None

    async def _enter(self, staged: StagedFile, content: Metainfo, sha256: str) -> tuple[Torrent, Deferred[None] | None]:
        """Give an upload its name, and tell everybody of it; fires before those have looked at it."""
        known = await self._known(sha256)  # it may have come twice at the same time
        if known is not None:
            return known, None
        content = await self._keep(staged, content)
        path = self.folder / content.name
        try:
            torrent = await self._index(content, sha256)
        except P2PShareError:
            await self._run(_remove, path, self._torrent_file(content.name))
            raise
        serving = Deferred.fromCoroutine(self.contents.serve(content, path))
        self._entered(torrent)
        return torrent, serving

    async def _keep(self, staged: StagedFile, content: Metainfo) -> Metainfo:
        """Store a content beside its torrent file, under the first name that is free; gives the torrent it is then."""
        for _ in range(_ATTEMPTS):
            name = await self._disk(free_name, self.folder, content.name)
            content = _renamed(content, name)
            file = self._torrent_file(name)
            await self._disk(_write, file, dump(content))
            try:
                if await staged.keep(self.folder / name):
                    return content
            except StorageError:
                await self._run(_remove, file)
                raise
            await self._run(_remove, file)  # somebody else has made a file of that name this very moment
        raise Refused(409, f"{content.name}: the name is taken again and again")

    async def _index(self, content: Metainfo, sha256: str) -> Torrent:
        """Enter a torrent under all names of its content."""
        keys = [ContentKey(Scheme.SHA256, sha256), ContentKey(Scheme.JSON_SHA1, json_info_hash(content))]
        by_name = ContentKey(Scheme.NAME_SHA1, sha1(content.name.encode()).hexdigest())
        namesake = await self._catalogue.torrents.get(by_name.value)
        if namesake is None or namesake.info_hash == content.info_hash.hex():
            keys.append(by_name)  # or two contents would be taken for one
        labels = self._labels(content.name)
        claim = claim_of(content, self._owner, tuple(keys))
        claim = evolve(claim, category=labels.category, tags=labels.tags, peer_address=self._peer_address())
        return await self._catalogue.torrents.add(claim)

    async def _resume(self) -> None:
        """Have everything seeded that was before; finish what was interrupted."""
        for file in await self._run(_torrents_in, self._torrents):
            try:
                content = await self._run(load, file)
                path = self.folder / content.name
                if not await self._run(os.path.lexists, path):
                    await self._run(_remove, file)
                    continue
                if await self._catalogue.torrents.get(content.info_hash.hex()) is None:
                    await self._index(content, await self._disk(_sha256, path))
                await self.contents.serve(content, path)
            except (P2PShareError, OSError) as error:
                self.log.warn("{file} is not seeded: {error}", file=file.name, error=error)

    async def _disk(self, function: Callable[..., Any], *args: object) -> Any:
        try:
            return await self._run(function, *args)
        except OSError as error:
            self.log.warn("cannot store an upload in {folder}: {error}", folder=self.folder, error=error)
            if error.errno in _FULL:
                raise DiskFull("no room is left for the upload") from error
            raise StorageError("the upload cannot be stored") from error

    def _torrent_file(self, name: str) -> Path:
        return self._torrents / f"{name}{_TORRENT}"


def claim_of(content: Metainfo, owner: str, keys: tuple[ContentKey, ...] = ()) -> TorrentClaim:
    """Say of a torrent what the index wants to know."""
    return TorrentClaim(
        info_hash=content.info_hash,
        name=content.name,
        size=content.total_length,
        piece_length=content.piece_length,
        num_pieces=content.num_pieces,
        pieces=content.pieces,
        owner=owner,
        metainfo=dump(content),
        paths=tuple(map(str, content.files)),
        keys=keys,
    )


def _renamed(content: Metainfo, name: str) -> Metainfo:
    if content.name == name:
        return content
    info: Mapping[str, object] = {
        "length": content.total_length,
        "name": name,
        "piece length": content.piece_length,
        "pieces": content.pieces,
    }
    return parse(compose(bencoding.encode(info)))


def _write(path: Path, data: bytes) -> None:
    """Put a file in its place, whole and safe from a power cut, or not at all."""
    unfinished = path.with_name(f"{sha1(path.name.encode()).hexdigest()}{_UNFINISHED}")
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        _remove(unfinished)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _sweep(torrents: Path) -> int:
    left = list(torrents.glob(f"*{_UNFINISHED}"))
    _remove(*left)
    return len(left)


def _torrents_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_TORRENT}"))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
