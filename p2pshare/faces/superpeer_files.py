"""Files at a super-peer: their owners register them and take them back, others vote for them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Any

from attrs import define, evolve, frozen
from msgspec import Meta

from p2pshare.addresses import is_dialable, parse_address
from p2pshare.errors import MetainfoError, RequestRefused
from p2pshare.faces.news import News
from p2pshare.faces.superpeer_bodies import in_any_spelling, read_body
from p2pshare.faces.superpeer_peers import PEER_NOT_FOUND
from p2pshare.faces.times import rfc3339
from p2pshare.index.nodes import Nodes
from p2pshare.index.records import ContentKey, Share, ShareClaim, TorrentClaim
from p2pshare.index.shares import Claim, Shares
from p2pshare.metainfo import dump, parse
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

FILE_NOT_FOUND = "File not found"
_NO_SUCH_FILE = {404: FILE_NOT_FOUND}


@frozen
class FileInfo:
    """A file that one owner shares; its id stays, whatever becomes of its name and address."""

    id: str
    filename: str
    size: int
    hash: str  # SHA-256
    category: str
    tags: tuple[str, ...]
    owner: str  # a node's id
    peer_address: str  # where it is served over HTTP
    upload_time: str
    downloads: int
    rating: float  # mean of the votes, 0 without any
    info_hash: str | None  # of the torrent with this content

    @classmethod
    def of(cls, share: Share) -> FileInfo:
        """Show a share of the index."""
        return cls(
            id=share.id,
            filename=share.filename,
            size=share.size,
            hash=share.hash,
            category=share.category,
            tags=share.tags,
            owner=share.owner,
            peer_address=share.peer_address,
            upload_time=rfc3339(share.uploaded_at),
            downloads=share.downloads,
            rating=share.rating,
            info_hash=share.info_hash,
        )


@frozen
class FileRegistered:
    """Under which id a file is known."""

    file_id: str
    message: str = "File registered successfully"
    status: str = "success"


@frozen
class FileRated:
    """What people think of a file now."""

    file_id: str
    rating: float
    votes: int
    status: str = "success"


@frozen
class _FileBody:
    filename: str
    size: int
    hash: str
    owner: str
    peer_address: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    torrent: str = ""  # a torrent file with this content and nothing else, in Base64


@frozen
class _GoneBody:
    file_id: str = ""  # or hash and owner
    id: str = ""  # the same
    hash: str = ""
    owner: str = ""
    filename: str = ""  # empty: all names of the file


@frozen
class _VoteBody:
    rating: float


@frozen
class _VoterHeader:
    x_peer_id: Annotated[str, Meta(max_length=256)] | None = None


@define(eq=False)
class FileFace:
    """Answers owners of files, and those who vote."""

    _shares: Shares
    _nodes: Nodes
    _news: News

    def routes(self, rate: RateLimit) -> list[Route]:
        """
        Give the rows.

        :param rate: at which one address may write.
        """
        return [
            Route(
                "POST",
                "/api/v1/files/register",
                self.register,
                "Register a file",
                body=in_any_spelling(_FileBody),
                reply=FileRegistered,
                rate=rate,
                group="Files",
            ),
            Route(
                "POST",
                "/api/v1/files/unregister",
                self.unregister,
                "Take a file back",
                body=in_any_spelling(_GoneBody),
                reply=FileRegistered,
                refusals=_NO_SUCH_FILE,
                rate=rate,
                group="Files",
            ),
            Route(
                "POST",
                "/api/v1/files/{file_id}/rating",
                self.rate,
                "Vote for a file, 0 to 5",
                body=in_any_spelling(_VoteBody),
                headers=_VoterHeader,
                reply=FileRated,
                refusals={404: "The file, or the node that votes, is unknown"},
                rate=rate,
                group="Files",
            ),
        ]

    async def register(self, call: Call[None, dict[str, Any]]) -> FileRegistered:
        """
        The same content of the same owner stays one entry with one id: its name, address and labels become these.

        With its torrent it can be had from a swarm, too.
        """
        share = await self._shares.register(claim_of(call.body))
        self.tell(share)
        return FileRegistered(share.id)

    async def register_all(self, claims: Sequence[Claim]) -> list[Share | RequestRefused]:
        """Register some together; gives what became of each."""
        outcomes = await self._shares.register_all(claims)
        for outcome in outcomes:
            if isinstance(outcome, Share):
                self.tell(outcome)
        return outcomes

    def tell(self, share: Share) -> None:
        """Tell the news of a file."""
        self._news.tell("file_registered", FileInfo.of(share))

    async def unregister(self, call: Call[None, dict[str, Any]]) -> FileRegistered:
        """With a filename only that name goes; the file stays as long as it has another one."""
        body = read_body(_GoneBody, call.body)
        share = await self._meant(body)
        if share is not None:
            share = await self._shares.unregister(share.id, body.filename or None)
        if share is None:
            raise Refused(404, FILE_NOT_FOUND)
        self._news.tell("file_unregistered", FileInfo.of(evolve(share, filename=body.filename or share.filename)))
        return FileRegistered(share.id, "File unregistered successfully")

    async def rate(self, call: Call[None, dict[str, Any]]) -> FileRated:
        """One vote for each node that says who it is, else for each address; the latest counts."""
        vote = read_body(_VoteBody, call.body)
        node_id = call.headers.x_peer_id
        if node_id is not None and await self._nodes.get(node_id) is None:
            raise Refused(404, PEER_NOT_FOUND)  # or whoever invents names has as many votes
        voter = f"address {call.source.group}" if node_id is None else f"node {node_id}"
        share = await self._shares.rate(call.params["file_id"], voter, vote.rating)
        if share is None:
            raise Refused(404, FILE_NOT_FOUND)
        return FileRated(share.id, share.rating, share.votes)

    async def _meant(self, body: _GoneBody) -> Share | None:
        if file_id := body.file_id or body.id:
            share = await self._shares.get(file_id)
            return share if share is None or body.owner in ("", share.owner) else None
        if not (body.hash and body.owner):
            raise RequestRefused("file_id: missing; or give hash and owner")
        # The claim knows how a hash names a content.
        return await self._shares.find(ShareClaim("-", 0, body.hash, body.owner).key, body.owner)


async def tell_file(shares: Shares, news: News, key: ContentKey, owner: str) -> None:
    """Tell the news of a file that did not come from its owner's node, but was uploaded, say."""
    share = await shares.find(key, owner)
    if share is not None:
        news.tell("file_registered", FileInfo.of(share))


def claim_of(said: dict[str, Any]) -> Claim:
    """
    Read what an owner says of a file.

    :raise RequestRefused: it cannot be.
    """
    body = read_body(_FileBody, said)
    claim = ShareClaim(
        filename=body.filename,
        size=body.size,
        hash=body.hash,
        owner=body.owner,
        peer_address=_served_at(body.peer_address),
        category=body.category,
        tags=body.tags,
    )
    return _torrent_of(claim, body.torrent) if body.torrent else claim


def _torrent_of(share: ShareClaim, text: str) -> TorrentClaim:
    """Read the torrent of a file that is registered."""
    try:
        content = parse(b64decode(text, validate=True))
    except (ValueError, MetainfoError) as error:
        raise RequestRefused(f"torrent: {error}") from None
    if not content.is_single or content.total_length != share.size:
        raise RequestRefused(f"torrent: {content.total_length} bytes, expected one file of {share.size}")
    return TorrentClaim(
        info_hash=content.info_hash,
        name=share.filename,
        size=share.size,
        piece_length=content.piece_length,
        num_pieces=content.num_pieces,
        pieces=content.pieces,
        owner=share.owner,
        metainfo=dump(content),
        keys=(share.key,),
        category=share.category,
        tags=share.tags,
        peer_address=share.peer_address,
    )


def _served_at(peer_address: str) -> str:
    """
    Check where people will be sent: a host and a port, and nothing that makes another URL of it.

    :raise RequestRefused: it is something else.
    """
    if not peer_address:
        return ""
    try:
        address = parse_address(peer_address)
    except ValueError:
        address = None
    if address is None or not is_dialable(address):
        raise RequestRefused(f"peer_address {peer_address[:100]}: expected HOST:PORT, where the file can be had")
    return str(address)
