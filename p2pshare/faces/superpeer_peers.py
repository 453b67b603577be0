"""Nodes at a super-peer: they register, let us hear of them, and are listed."""

from __future__ import annotations

from typing import Annotated, Any

from attrs import define, frozen
from msgspec import Meta

from p2pshare.addresses import Address, is_dialable, plain_host
from p2pshare.errors import RequestRefused
from p2pshare.faces.news import News
from p2pshare.faces.superpeer_bodies import in_any_spelling, read_body
from p2pshare.faces.times import rfc3339
from p2pshare.ids import PEER_ID_SIZE
from p2pshare.index.nodes import Nodes
from p2pshare.index.records import Node, NodeClaim, peer_id_text
from p2pshare.web.paths import Access
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

PEER_NOT_FOUND = "Peer not found: register it first"


@frozen
class PeerInfo:
    """A node."""

    id: str
    address: str
    port: int
    last_seen: str
    is_online: bool
    reputation: int
    shared_files: int
    region: str

    @classmethod
    def of(cls, node: Node) -> PeerInfo:
        """Show a node of the index."""
        return cls(
            id=node.id,
            address=node.address,
            port=node.port,
            last_seen=rfc3339(node.last_seen),
            is_online=node.online,
            reputation=node.reputation,
            shared_files=node.shared_files,
            region=node.region,
        )


@frozen
class PeerRegistered:
    """Under which id a node is known from now on."""

    peer_id: str
    status: str = "success"
    message: str = "Peer registered successfully"
    files_at_once: int = 1  # how many files /api/v1/files/register_all takes


@frozen
class _NodeBody:
    port: int
    address: str = ""  # empty: where it asks from
    id: str = ""  # empty: it wants one
    shared_files: int = 0
    region: str = ""
    wire_peer_id: str = ""  # by which it announces to swarms: 20 characters, or 40 hexadecimal digits


@frozen
class PeerHeader:
    """Who asks."""

    x_peer_id: Annotated[str, Meta(min_length=1, max_length=256)]


@define(eq=False)
class PeerFace:
    """Answers nodes."""

    _nodes: Nodes
    _news: News
    _files_at_once: int = 1

    def routes(self, rate: RateLimit) -> list[Route]:
        """
        Give the rows.

        :param rate: at which one address may write.
        """
        return [
            Route(
                "POST",
                "/api/v1/peers/register",
                self.register,
                "Register a node, or welcome it back",
                body=in_any_spelling(_NodeBody),
                reply=PeerRegistered,
                rate=rate,
                group="Nodes",
            ),
            Route(
                "POST",
                "/api/v1/peers/heartbeat",
                self.heartbeat,
                "Tell that a node is alive",
                headers=PeerHeader,
                refusals={404: "The node is unknown and has to register"},
                rate=rate,
                group="Nodes",
            ),
            Route(
                "POST",
                "/api/v1/peers/offline",
                self.goodbye,
                "Tell that a node is going",
                headers=PeerHeader,
                refusals={404: "The node is unknown"},
                rate=rate,
                group="Nodes",
            ),
            Route(
                "GET",
                "/api/v1/peers",
                self.list_peers,
                "List the nodes, those online first",
                access=Access.SAME,
                reply=list[PeerInfo],
                group="Nodes",
            ),
        ]

    async def register(self, call: Call[None, dict[str, Any]]) -> PeerRegistered:
        """A node keeps the id it brings, unless another one that is online has it. Take the id of the answer."""
        body = read_body(_NodeBody, call.body)
        address = plain_host(body.address or call.source.host)
        if not is_dialable(Address(address, body.port)):
            raise RequestRefused(
                f"address {address[:100]}, port {body.port}: expected an IP address or a host name, and 1 to 65535"
            )
        node = await self._nodes.register(
            NodeClaim(
                address=address,
                port=body.port,
                id=body.id or None,
                shared_files=body.shared_files,
                region=body.region,
                wire_peer_id=read_wire_peer_id(body.wire_peer_id) if body.wire_peer_id else None,
            )
        )
        self._news.tell("peer_registered", PeerInfo.of(node))
        return PeerRegistered(node.id, files_at_once=self._files_at_once)

    async def heartbeat(self, call: Call[None, None]) -> None:
        """To be told every 30 seconds; a node that is silent for two minutes is offline, until it is heard of again."""
        if await self._nodes.heard_from(call.headers.x_peer_id) is None:
            raise Refused(404, PEER_NOT_FOUND)
        self._news.stats_changed()

    async def goodbye(self, call: Call[None, None]) -> None:
        """Nobody is sent to the node from now on, until it is heard of again. Its files stay listed."""
        if await self._nodes.left(call.headers.x_peer_id) is None:
            raise Refused(404, PEER_NOT_FOUND)
        self._news.stats_changed()

    async def list_peers(self, call: Call[None, None]) -> list[PeerInfo]:
        """Nodes that are offline stay listed."""
        return [PeerInfo.of(node) for node in await self._nodes.all()]


def read_wire_peer_id(text: str) -> str:
    """
    Read the id by which a node announces to swarms.

    :raise RequestRefused: it is none.
    """
    try:
        wire_peer_id = bytes.fromhex(text) if len(text) == 2 * PEER_ID_SIZE else text.encode("latin-1")
    except ValueError:
        wire_peer_id = b""
    if len(wire_peer_id) != PEER_ID_SIZE:
        raise RequestRefused(f"wire_peer_id {text[:80]}: expected {PEER_ID_SIZE} characters, or twice as many digits")
    return peer_id_text(wire_peer_id)
