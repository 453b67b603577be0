"""From a folder and what the last process left, to the set of pieces we have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.metainfo import Metainfo
from p2pshare.storage.checking import ContentCheck, Progress
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.resume import ResumeData
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.serving import Serving
from p2pshare.storage.signatures import Signature
from p2pshare.storage.survey import prepare, survey
from p2pshare.storage.tally import FileTally
from p2pshare.storage.trust import Trust, insist_on_disk, weigh
from p2pshare.storage.workers import Run


@define(eq=False)
class Startup:
    """What a store does before anything else. It fills the parts that the store works with afterwards."""

    _metainfo: Metainfo
    _files: ContentFiles
    _run: Run
    _have: Bitfield
    _tally: FileTally
    _serving: Serving
    _resume: ResumeData | None
    _is_broken_off: Callable[[], bool]
    _vouched: Mapping[int, Signature] | None = None  # see PieceStore
    _is_first: bool = field(init=False, default=True)

    async def check(self, progress: Progress | None, writable: bool) -> None:
        """
        Look, hash what is not certain, and keep resume data from then on.

        :raise StorageError: see PieceStore.check().
        """
        for piece in self._have:
            self._have.discard(piece)
        self._serving.doubtful.clear()
        await self._run(survey, self._files, writable)
        trust = await self._recover(writable)
        if writable:
            await self._run(prepare, self._files)
        to_hash = None if trust is None else trust.to_hash
        check = ContentCheck(self._metainfo, self._files, self._run, self._have, progress, self._is_broken_off, to_hash)
        await check.hash_all()
        found = set(self._have)
        if trust is not None:
            for piece in trust.certain:
                self._have.add(piece)
            self._serving.doubtful.update(trust.in_doubt)
        self._tally.count(self._have)
        if writable:
            check.refuse_strangers()
            await self._prove_whole()
        await self._begin(found, writable)

    async def _recover(self, writable: bool) -> Trust | None:
        """Find out what the last process knew; only once, as who checks again wants everything looked at."""
        is_first, self._is_first = self._is_first, False
        if is_first and not writable and self._vouched is not None and self._vouched == self._files.signatures:
            return Trust(frozenset(range(self._metainfo.num_pieces)), frozenset(), frozenset())
        if self._resume is None:
            return None
        if not is_first:
            await self._resume.close()
        missing = any(place in (Place.MISSING, Place.PART) for place in self._files.places)
        recovered = await self._resume.open(writable and missing)
        if recovered is None:
            return None
        await self._run(insist_on_disk, self._files, recovered)
        # The last process may have ended because the disk failed: then memory holds what the device does not.
        await self._run(SafeFiles(self._files).forget, recovered.doubtful)
        if not is_first:
            if writable:
                await self._resume.forget()  # so that one that is broken off is made up for by the next start
            return None
        trust: Trust = await self._run(weigh, self._files, recovered)
        known = {*recovered.certain, *recovered.doubtful}
        if writable and known - trust.certain - trust.to_hash:
            # Files that held some of it are gone, and new ones are about to take their places. They may look the same:
            # same size, a time near enough, even the same inode. Nobody must believe old records of them.
            await self._resume.forget()
        return trust

    async def _prove_whole(self) -> None:
        """Hash what is in doubt of files that are about to get their final names: nobody could put them right then."""
        for file in self._files.unnamed(self._tally.whole()):
            for piece in self._metainfo.geometry.pieces_of(file):
                if piece in self._serving.doubtful:
                    self._serving.doubtful.discard(piece)
                    if not await self._run(self._serving.is_right, piece):
                        self._have.discard(piece)
                        self._tally.lost(piece)

    async def _begin(self, found: Collection[int], writable: bool) -> None:
        """Journal from now on, and give files that are whole their names."""
        whole = self._tally.whole() if writable else []
        if self._resume is not None:
            certain = self._have.copy()
            for piece in found:
                certain.discard(piece)
            await self._resume.begin(certain, found)
            if self._resume.is_active:
                unnamed = self._files.unnamed(whole)
                if unnamed:
                    await self._resume.settle(unnamed)
                return
        await self._run(self._files.finish, whole)
