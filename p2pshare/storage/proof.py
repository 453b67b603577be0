"""After a disk failed to keep what it was given: nothing written since the last commit is believed unseen."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.storage.files import ContentFiles
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.resume import ResumeData
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.serving import Serving
from p2pshare.storage.tally import FileTally
from p2pshare.storage.workers import Run


@define(eq=False)
class Proof:
    """
    Takes back what is not certain, and hashes it as the device has it.

    Linux tells a failed write once, to whoever syncs next, and then takes the page for written: syncing again succeeds
    and proves nothing, and so does reading what memory still holds. So memory is told to forget first.
    """

    _files: ContentFiles
    _tally: FileTally
    _serving: Serving
    _have: Bitfield
    _run: Run
    is_under_way: bool = field(init=False, default=False)

    async def take(self, resume: ResumeData, in_flight: Ongoing, gone: Callable[[int], None]) -> None:
        """
        Have only what is right.

        :param in_flight: pieces on their way to the disk just now; they come to nothing, and are waited for.
        :param gone: told of pieces that somebody was told we have.
        """
        self.is_under_way = True
        try:
            taken_back = {piece for piece in resume.unsafe() if self._have.discard(piece)}
            for piece in taken_back:
                self._tally.lost(piece)
            await in_flight.over()
            unsafe = resume.unsafe()
            await self._run(SafeFiles(self._files).forget, unsafe)
            for piece in unsafe:
                if piece in taken_back and await self._run(self._serving.is_right, piece):
                    self._tally.got(piece)
                    self._have.add(piece)
                else:
                    await resume.lost(piece)
                    if piece in taken_back:
                        gone(piece)
        finally:
            self.is_under_way = False
            resume.release(self._tally.whole())
