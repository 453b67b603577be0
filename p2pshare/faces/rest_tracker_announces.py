"""
Announces in JSON, and who is in a swarm.

They go the way of all announces, through the same decisions into the same swarms, so peers of this face and those of
BitTorrent's meet. What a reply says of them is read from the catalogue, which first writes down what it was told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import define

from p2pshare.addresses import is_numeric
from p2pshare.errors import RequestRefused
from p2pshare.faces.rest_schemas import Announce, AnnounceReply, PeerResponse
from p2pshare.faces.rest_tracker_asking import GROUP, PREFIX, is_hash, known_torrent, told
from p2pshare.ids import PEER_ID_SIZE
from p2pshare.index.catalogue import Catalogue
from p2pshare.tracker.logic import AskedTooSoon, Tracker
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, Refused
from p2pshare.web.routes import Call, Route
from p2pshare.web.sources import Source
from p2pshare.wire.announce import AnnounceRequest, Event, read_host

MOST_PEERS = 50  # of a reply

_UNKNOWN = {404: "The torrent is unknown"}
_REFUSALS = {400: "A hash or a peer_id that is none", 403: "Not admitted", 429: "Too many announces", **_UNKNOWN}


@define(eq=False)
class Announces:
    """Reads announces, asks the tracker, writes replies. Decides nothing."""

    _catalogue: Catalogue
    _tracker: Tracker  # over RecordedSwarms, or the catalogue hears of nobody
    _interval: int  # seconds

    def routes(self) -> Iterator[Route]:
        """Give the rows."""
        path = f"{PREFIX}/announce"
        # As with BitTorrent's announces, peers in container networks call us by names that nobody has configured.
        yield Route(
            "GET",
            path,
            self._asked,
            "Announce a peer to a swarm",
            Access.OPEN,
            DETAIL,
            query=Announce,
            reply=AnnounceReply,
            refusals=_REFUSALS,
            group=GROUP,
        )
        yield Route(
            "POST",
            path,
            self._posted,
            "Announce a peer to a swarm",
            Access.OPEN,
            DETAIL,
            body=Announce,
            reply=AnnounceReply,
            refusals=_REFUSALS,
            group=GROUP,
        )
        yield Route(
            "GET",
            f"{PREFIX}/peers/{{info_hash}}",
            self.members,
            "List the peers of a swarm",
            Access.SAME,
            DETAIL,
            reply=list[PeerResponse],
            refusals=_UNKNOWN,
            group=GROUP,
        )

    async def members(self, call: Call[None, None]) -> list[PeerResponse]:
        """Peers that announced within the last two hours, the latest first."""
        torrent = await known_torrent(self._catalogue, call.params["info_hash"])
        members = await told(self._catalogue.torrents.members(torrent.info_hash))
        return [PeerResponse.of(member) for member in members]

    async def announce(self, said: Announce, source: Source) -> AnnounceReply:
        """
        Take note of a peer, and name others.

        :raise RequestRefused: it makes no sense, comes too soon, or nobody knows the torrent.
        """
        if not is_hash(said.info_hash):
            raise Refused(400, "Invalid info hash")
        peer_id = said.peer_id
        if not (1 <= len(peer_id) <= PEER_ID_SIZE and peer_id.isascii() and peer_id.isprintable()):
            raise Refused(400, "Invalid peer ID")
        torrent = await known_torrent(self._catalogue, said.info_hash)
        info_hash = bytes.fromhex(torrent.info_hash)
        self._pass_on(_request(said, info_hash), (said.passkey or "").encode("utf-8", "replace"), source)
        if said.event == "stopped":
            await self._forget(info_hash, said, source)
            return AnnounceReply([], self._interval)
        wanted = MOST_PEERS if said.numwant is None or said.numwant < 0 else min(said.numwant, MOST_PEERS)
        members = await told(self._catalogue.torrents.members(torrent.info_hash, wanted, without=peer_id))
        return AnnounceReply([PeerResponse.of(member) for member in members], self._interval)

    async def _asked(self, call: Call[Announce, None]) -> AnnounceReply:
        return await self.announce(call.query, call.source)

    async def _posted(self, call: Call[None, Announce]) -> AnnounceReply:
        return await self.announce(call.body, call.source)

    def _pass_on(self, request: AnnounceRequest, passkey: bytes, source: Source) -> None:
        try:
            self._tracker.admit(passkey, source)
            self._tracker.announce(request, source)
        except AskedTooSoon as refusal:
            raise Refused(429, str(refusal), (("Retry-After", str(math.ceil(refusal.retry_in))),)) from None
        except RequestRefused as refusal:  # a private tracker
            raise Refused(403, str(refusal)) from None

    async def _forget(self, info_hash: bytes, said: Announce, source: Source) -> None:
        """Have a peer forgotten that the swarm has forgotten before: what is active is so for longer here."""
        for membership in await told(self._catalogue.torrents.members(info_hash.hex())):
            member = membership.member
            if (member.peer_id, member.ip, member.port) == (said.peer_id, source.host, said.port):
                self._catalogue.memberships.left(info_hash, said.peer_id)


def _request(said: Announce, info_hash: bytes) -> AnnounceRequest:
    claimed = _host("hostname", said.hostname) or _host("ip", said.ip)
    return AnnounceRequest(
        info_hash,
        said.peer_id.encode("ascii").ljust(PEER_ID_SIZE, b"\0"),
        said.port,
        said.uploaded,
        said.downloaded,
        said.left,
        Event(said.event) if said.event else None,
        numwant=0,  # the reply is made of what the catalogue knows of the members
        compact=True,
        hostname=None if claimed is None or is_numeric(claimed) else claimed,
        ip=claimed if claimed is not None and is_numeric(claimed) else None,
    )


def _host(name: str, text: str | None) -> str | None:
    if not text:
        return None
    host = read_host(text.encode("utf-8", "replace"))
    if host is None:
        raise RequestRefused(f"{name}: expected an IP address or a host name")
    return host
