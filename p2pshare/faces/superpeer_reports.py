"""What nodes say of each other at a super-peer: who served well, and who was banned."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from attrs import define, frozen
from msgspec import Meta

from p2pshare.faces.superpeer_bodies import in_any_spelling, read_body
from p2pshare.faces.superpeer_peers import PEER_NOT_FOUND, PeerHeader, read_wire_peer_id
from p2pshare.index.nodes import Nodes
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

AT_ONCE = 100  # peers in one report
_PIECES = 10_000  # of one peer in one report
_BANS = 100
_A_BAN = 100  # pieces that it takes to make up for a ban


@frozen
class _Served:
    """What one peer did."""

    wire_peer_id: str
    pieces: Annotated[int, Meta(ge=0, le=_PIECES)] = 0  # that it sent, and that were right
    bans: Annotated[int, Meta(ge=0, le=_BANS)] = 0  # for data that was wrong


@frozen
class _ReportBody:
    peers: Annotated[list[dict[str, Any]], Meta(max_length=AT_ONCE)]  # wire_peer_id, pieces, bans of each


@define(eq=False)
class ReportFace:
    """Listens to nodes that have dealt with others."""

    _nodes: Nodes

    def routes(self, rate: RateLimit) -> list[Route]:
        """
        Give the row.

        :param rate: at which one address may report.
        """
        return [
            Route(
                "POST",
                "/api/v1/peers/report",
                self.report,
                "Report what other nodes have served",
                body=in_any_spelling(_ReportBody),
                headers=PeerHeader,
                refusals={404: "The node is unknown and has to register"},
                rate=rate,
                group="Nodes",
            )
        ]

    async def report(self, call: Call[None, dict[str, Any]]) -> None:
        """A node's reputation grows by one for each piece, and falls by a hundred for each ban. Hearsay, all of it."""
        changes = Counter[str]()
        for said in read_body(_ReportBody, call.body).peers:
            served = read_body(_Served, said)
            changes[read_wire_peer_id(served.wire_peer_id)] += served.pieces - _A_BAN * served.bans
        if not await self._nodes.report(call.headers.x_peer_id, changes):
            raise Refused(404, PEER_NOT_FOUND)
