"""Many files at once at a super-peer: a node that shares thousands would take minutes to register them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from attrs import define, frozen
from msgspec import Meta

from p2pshare.errors import RequestRefused
from p2pshare.faces.superpeer_bodies import in_any_spelling, read_body
from p2pshare.faces.superpeer_files import FileFace, claim_of
from p2pshare.index.shares import Claim
from p2pshare.web.rates import RateLimit
from p2pshare.web.routes import Call, Route

AT_ONCE = 200  # files in one request
_TOGETHER = 25  # of them in one transaction: others wait for no more
_BODY = 1024 * 1024  # bytes; 200 files have about 60,000, and their names may be long
_OF_ALL = ("owner", "peeraddress")  # fields of the request, not of a file; see superpeer_bodies for spellings


@frozen
class FileOutcome:
    """What became of one file of many: its id, or why it is not registered."""

    file_id: str = ""
    error: str = ""


@frozen
class FilesRegistered:
    """What became of each file, in the order of the request."""

    results: list[FileOutcome]
    status: str = "success"


@frozen
class _BatchBody:
    owner: str
    files: Annotated[list[dict[str, Any]], Meta(max_length=AT_ONCE)]  # each as one file is registered
    peer_address: str = ""


@define(eq=False)
class FileBatchFace:
    """Answers owners of many files, each as if it had been registered alone."""

    _files: FileFace

    def routes(self, rate: RateLimit) -> list[Route]:
        """
        Give the row.

        :param rate: at which one address may register so many files.
        """
        return [
            Route(
                "POST",
                "/api/v1/files/register_all",
                self.register_all,
                f"Register up to {AT_ONCE} files of one owner",
                body=in_any_spelling(_BatchBody),
                body_limit=_BODY,
                reply=FilesRegistered,
                rate=rate,
                group="Files",
            )
        ]

    async def register_all(self, call: Call[None, dict[str, Any]]) -> FilesRegistered:
        """One that is refused does not stand in the way of the others. Owner and address are those of the whole."""
        body = read_body(_BatchBody, call.body)
        shared = {"owner": body.owner, "peer_address": body.peer_address}
        results: list[FileOutcome] = []
        for start in range(0, len(body.files), _TOGETHER):
            results += await self._register(body.files[start : start + _TOGETHER], shared)
        return FilesRegistered(results)

    async def _register(self, files: Sequence[dict[str, Any]], shared: dict[str, str]) -> list[FileOutcome]:
        outcomes = [FileOutcome()] * len(files)
        claims: dict[int, Claim] = {}
        for place, file in enumerate(files):
            own = {key: value for key, value in file.items() if key.replace("_", "").lower() not in _OF_ALL}
            try:
                claims[place] = claim_of({**own, **shared})
            except RequestRefused as error:
                outcomes[place] = FileOutcome(error=str(error))
        entered = await self._files.register_all(list(claims.values()))
        for place, outcome in zip(claims, entered, strict=True):
            if isinstance(outcome, RequestRefused):
                outcomes[place] = FileOutcome(error=str(outcome))
            else:
                outcomes[place] = FileOutcome(outcome.id)
        return outcomes
