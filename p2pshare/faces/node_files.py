"""The files of a node over HTTP: which there are, and how one of them is taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from attrs import define, frozen

from p2pshare.errors import StorageError
from p2pshare.faces.node_content import OpenBelow, remove_unchanged
from p2pshare.faces.node_offer import NodeFile, Offer, Shared
from p2pshare.web.open_file import Run
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

FILE_NOT_FOUND = "File not found"
LONGEST_PAGE = 1000
NO_SUCH_FILE = {404: FILE_NOT_FOUND}


class SharedFolder(Protocol):
    """Whose files a node shows; a Library."""

    @property
    def folder(self) -> Path: ...

    @property
    def withdrawn(self) -> Collection[str]:
        """Names of files that are there, and not shared."""

    def poke(self) -> None:
        """Something in the folder may have changed."""

    def withdraw(self, name: str) -> object:
        """Share a file no more."""

    def restore(self, name: str) -> None:
        """Share it again, if it is there."""


@frozen
class NodePage:
    """Which part of a list; what is no number from 0 on counts as not said."""

    limit: str = ""
    offset: str = ""

    def cut(self, default: int, most: int) -> tuple[int, int]:
        """Give the first place, and the one after the last."""
        offset, limit = number(self.offset, 0), number(self.limit, default, 1)
        return offset, offset + min(limit, most)


@frozen
class Unsharing:
    """How a file is taken back."""

    delete: bool = False  # from the disk, too


@frozen
class FileUnshared:
    """A file that is not shared any more."""

    file_id: str
    message: str
    status: str = "success"


@define(eq=False)
class NodeFileFace:
    """Answers who asks for the files of this node."""

    _offer: Offer
    _folder: SharedFolder
    _open_below: OpenBelow
    _run: Run
    _unsharing: Callable[[str], object]  # told the name of a file that is going to be taken back here

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            Route(
                "GET",
                "/api/v1/files",
                self.list_files,
                "List the files of this node, those shared last first",
                access=Access.SAME,
                query=NodePage,
                reply=list[NodeFile],
                group="Files",
            ),
            Route(
                "DELETE",
                "/api/v1/files/unshare/{file_id}",
                self.unshare,
                "Share a file no more",
                query=Unsharing,
                reply=FileUnshared,
                refusals={**NO_SUCH_FILE, 409: "The file on disk is another one than was shared, and stays"},
                group="Files",
            ),
        ]

    async def list_files(self, call: Call[NodePage, None]) -> list[NodeFile]:
        """At most a thousand at once; ask for the next with an offset."""
        return self._offer.describe_all(islice(self._offer.newest(), *call.query.cut(LONGEST_PAGE, LONGEST_PAGE)))

    async def unshare(self, call: Call[Unsharing, None]) -> FileUnshared:
        """It stays on disk, unless ``delete=true``."""
        file = self._offer.find(call.params["file_id"])
        if file is None:
            raise Refused(404, FILE_NOT_FOUND)
        file_id = self._offer.id_of(file)
        self._unsharing(file.name)
        self._folder.withdraw(file.name)
        if not call.query.delete:
            return FileUnshared(file_id, "File unshared; it stays on disk")
        await self._delete(file)
        return FileUnshared(file_id, "File unshared and deleted")

    async def _delete(self, file: Shared) -> None:
        folder = self._folder
        deleting: Any = self._run(remove_unchanged, self._open_below, folder.folder, file.name, file.digest.stamp)
        try:
            await deleting
        except StorageError as error:
            raise Refused(409, f"not shared any more, but not deleted: {error}") from None
        folder.restore(file.name)  # another file of this name is welcome


def number(text: str, default: int, least: int = 0) -> int:
    """Read a number as it stands in links that people change; ``default`` when it is none, or too small."""
    if not (text.isascii() and text.isdigit()):
        return default
    value = int(text[:12])  # 12 digits are beyond any list
    return value if value >= least else default
