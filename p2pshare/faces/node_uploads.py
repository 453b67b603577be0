"""Sharing a file over HTTP: it is put into the shared folder, where the library finds it like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pshare.errors import DiskFull, RequestRefused, StorageError
from p2pshare.faces.node_content import OpenBelow
from p2pshare.faces.node_files import SharedFolder
from p2pshare.faces.node_offer import Offer, Shared
from p2pshare.faces.uploading_names import free_name, safe_name
from p2pshare.storage.ongoing import Ongoing
from p2pshare.web.open_file import Run
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route
from p2pshare.web.staging import StagedFile, Staging
from p2pshare.web.uploads import FilePart, Sink, Upload, UploadForm

MAX_FILE_SIZE = 100 * 1024**2  # bytes
FORM_BYTES = 64 * 1024  # of a form besides its file
READ_WITHIN = 30.0  # s in which the library is expected to have read a new file; then the answer goes without it

_ATTEMPTS = 10  # at a name, as long as somebody else puts files there


@frozen
class FileShared:
    """Under which id a file is shared."""

    file_id: str
    filename: str
    message: str = "File shared successfully"
    status: str = "success"


@define(eq=False)
class BoundedSink:
    """A sink that refuses what is too much, before it is written."""

    sink: Sink
    _most: int  # bytes
    _limit: str = "max_file_size"  # its name, for who counts what is hit
    _size: int = field(init=False, default=0)

    def write(self, data: bytes) -> Deferred[None]:
        """Take the next bytes. :raise Refused: there are more than there may be."""
        self._size += len(data)
        if self._size > self._most:
            raise Refused(413, f"the file is too large: at most {self._most} bytes", hit=self._limit)
        return self.sink.write(data)

    async def close(self) -> None:
        """Make sure of all that was written."""
        await self.sink.close()

    def discard(self) -> Deferred[None]:
        """Drop it, unless it was kept."""
        return self.sink.discard()


@define(eq=False)
class NodeUploads:
    """
    Takes files in. A content that is shared already is not stored again.

    :meth:`added` has to be told what the library shares, so that an answer can wait for it.
    """

    _offer: Offer
    _folder: SharedFolder
    _open_below: OpenBelow
    _run: Run
    _clock: IReactorTime
    _is_wanted: Callable[[str], bool]  # whether a file of this name would be shared
    _id_of: Callable[[str], str]  # of a file, by its name
    _most: int = MAX_FILE_SIZE
    expected: set[str] = field(init=False, factory=set)  # names that are being shared from here
    _waiting: dict[str, Deferred[None]] = field(init=False, factory=dict)  # by name, until the library has read it
    _staging: Staging = field(init=False)
    _under_way: Ongoing = field(init=False, factory=Ongoing)

    def __attrs_post_init__(self) -> None:
        self._staging = Staging(self._folder.folder, self._run, ("sha256",))

    def routes(self) -> list[Route]:
        """Give the rows."""
        form = UploadForm(self._open, limit=self._most + FORM_BYTES)
        return [
            Route(
                "POST",
                path,
                self.share,
                "Share a file",
                upload=form,
                reply=FileShared,
                refusals={413: f"The file is larger than {self._most} bytes"},
                group="Files",
            )
            for path in ("/api/v1/files/share", "/api/v1/upload")
        ]

    def sweep(self) -> int:
        """Remove what a process that was killed left behind; before the first upload. Blocks."""
        return self._staging.sweep()

    def over(self) -> Deferred[None]:
        """Fire when the uploads that have arrived are dealt with; they do not wait for the library any more."""
        for name in list(self._waiting):
            self._give_up(name)
        return self._under_way.over()

    def added(self, file: Shared) -> bool:
        """A file is shared from now on; tells whether it was shared from here."""
        waiting = self._waiting.pop(file.name, None)
        if waiting is not None:
            waiting.callback(None)
        is_ours = file.name in self.expected
        self.expected.discard(file.name)
        return is_ours

    async def share(self, call: Call[None, None]) -> FileShared:
        """It gets a name that is safe, and with a number if there is another file of that name."""
        assert call.upload is not None, "the route takes one"
        # Who goes away before the answer has shared the file all the same.
        return await self._under_way.track(Deferred.fromCoroutine(self._explained(call.upload)))

    def _open(self, part: FilePart) -> BoundedSink:
        name = safe_name(part.filename)
        if not self._is_wanted(name):
            raise RequestRefused(f"{name}: files with such names count as unfinished or hidden, and are not shared")
        return BoundedSink(self._staging.open(), self._most)

    async def _explained(self, upload: Upload) -> FileShared:
        try:
            return await self._share(upload)
        except DiskFull as error:
            raise Refused(507, str(error)) from None
        except StorageError as error:
            raise Refused(500, str(error)) from None

    async def _share(self, upload: Upload) -> FileShared:
        assert isinstance(upload.sink, BoundedSink), "opened by _open()"
        staged = upload.sink.sink
        assert isinstance(staged, StagedFile), "opened by _open()"
        sha256 = staged.digests["sha256"]
        known = self._offer.with_content(sha256)
        if known is not None:
            return FileShared(self._offer.id_of(known), known.name, "This content is shared already")
        wanted = safe_name(upload.part.filename)
        if wanted in self._folder.withdrawn and await self._run(self._holds, wanted, sha256):
            name = wanted  # it was unshared, and is to be shared again
        else:
            name = await self._keep(staged, wanted)
        is_read = await self._shared(name)
        shared = FileShared(self._id_of(name), name)
        return (
            shared if is_read else FileShared(shared.file_id, name, "File stored; it is shared once it has been read")
        )

    async def _keep(self, staged: StagedFile, wanted: str) -> str:
        """Store a file under the first name that is free."""
        for _ in range(_ATTEMPTS):
            name: str = await self._run(free_name, self._folder.folder, wanted)
            self.expected.add(name)  # the library may be faster than we are
            if await staged.keep(Path(self._folder.folder, name)):
                return name
            self.expected.discard(name)  # somebody else has made a file of that name this very moment
        raise Refused(409, f"{wanted}: the name is taken again and again")

    async def _shared(self, name: str) -> bool:
        """Wait until the library has a file; tell whether it has."""
        if self._offer.named(name) is not None:
            return True
        self.expected.add(name)
        read = self._waiting[name] = Deferred()
        timer: IDelayedCall = self._clock.callLater(READ_WITHIN, self._give_up, name)
        self._folder.restore(name)  # in case an earlier file of this name was taken back
        self._folder.poke()
        await read
        if timer.active():
            timer.cancel()
        return self._offer.named(name) is not None

    def _give_up(self, name: str) -> None:
        self.expected.discard(name)
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.callback(None)

    def _holds(self, name: str, sha256: str) -> bool:
        """Whether a file on disk has this content. Blocks."""
        try:
            with open(self._open_below(self._folder.folder, name), "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False
