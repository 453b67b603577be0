"""Announce and scrape over UDP (BEP 15): the edge between datagrams and the tracker's decisions."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from p2pshare.addresses import is_ipv6, pack_compact
from p2pshare.errors import RemoteWireError, RequestRefused
from p2pshare.tracker.connection_ids import ConnectionIds
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.logic import Carrier, Tracker
from p2pshare.tracker.names import Found, Names
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.swarm import WIDTH4, WIDTH6
from p2pshare.web.sources import Source, Sources
from p2pshare.wire.udp_tracker import (
    ANNOUNCE,
    CONNECT,
    MAX_REQUEST,
    decode_announce,
    decode_request,
    decode_scrape,
    encode_announced,
    encode_connected,
    encode_refusal,
    encode_scraped,
    url_data,
)

MAX_REPLY = 1220  # bytes: passes through any network in one piece, tunnels included (RFC 8200: 1280 with headers)
_HEAD = 20  # bytes of a reply before its peers
_RESEND_AFTER = 14.0  # seconds; BEP 15 says 15, and the network may have held up the first one more than the second
_IPV4, _IPV6 = (
    Carrier(most_peers=(MAX_REPLY - _HEAD) // width, width=width, resend_after=_RESEND_AFTER)
    for width in (WIDTH4, WIDTH6)
)

# Bytes read before others get a turn: at most 2,000 connect requests, or 330 announces; some milliseconds.
_READ_AT_ONCE = 32 * 1024

Sender = tuple[str, int]  # as the socket names it


def listen(reactor: Any, face: UDPFace, port: int, interface: str) -> IListeningPort:
    """
    Open a port for UDP. A wildcard ``::`` hears IPv4, too.

    :raise CannotListenError: it is taken, or the address is not this machine's.
    """
    listening: Any = reactor.listenUDP(port, face, interface, MAX_REQUEST + 1)
    listening.maxThroughput = _READ_AT_ONCE
    opened: IListeningPort = listening
    return opened


@define(eq=False)
class UDPFace(DatagramProtocol):
    """
    Reads requests, asks the tracker, writes replies. Decides nothing, and remembers no client.

    Not a byte goes to an address that has not proved to be the sender's, except that a connect request gets a reply of
    its own length: nothing is amplified for those who write other people's addresses on their datagrams.
    """

    _tracker: Tracker
    _names: Names
    _settings: TrackerSettings
    _sources: Sources
    _connections: ConnectionIds
    dropped: int = field(init=False, default=0)  # datagrams that were no requests, or not from where they said
    unsent: int = field(init=False, default=0)  # replies that the system would not take
    transport: Any = field(init=False, default=None)  # IUDPTransport, which does not mention its socket
    noisy = False
    log = Logger()

    def datagramReceived(self, datagram: bytes, addr: Sender) -> None:
        try:
            connection_id, action, transaction_id = decode_request(datagram)
        except RemoteWireError:
            self.dropped += 1
            return
        if action == CONNECT:
            self._send(encode_connected(transaction_id, self._connections.issue(addr[0])), addr)
        elif self._connections.is_valid(connection_id, addr[0]):
            source = self._sources.of(addr[0])
            try:
                if action == ANNOUNCE:
                    self._announce(datagram, transaction_id, source, addr)
                else:
                    self._scrape(datagram, transaction_id, source, addr)
            except (RemoteWireError, RequestRefused) as refusal:
                self._send(encode_refusal(transaction_id, str(refusal)), addr)
        else:
            self.dropped += 1

    def _announce(self, datagram: bytes, transaction_id: bytes, source: Source, addr: Sender) -> None:
        """Answer an announce; later, if a name has to be looked up first."""
        if self._tracker.is_keyed:
            self._tracker.admit(_passkey_of(datagram), source)
        ipv6 = ":" in source.host
        hits = self._tracker.announce(decode_announce(datagram), source, _IPV6 if ipv6 else _IPV4)
        if not hits.named:
            self._send(self._reply(transaction_id, hits, ipv6), addr)
            return
        found = self._names.resolve(entry.host for entry in hits.named)
        if isinstance(found, dict):
            self._send(self._reply(transaction_id, hits, ipv6, found), addr)
            return
        found.addCallback(lambda found: self._send(self._reply(transaction_id, hits, ipv6, found), addr))
        found.addErrback(lambda failure: self.log.failure("answering an announce", failure))

    def _scrape(self, datagram: bytes, transaction_id: bytes, source: Source, addr: Sender) -> None:
        """Answer a scrape, which may name a torrent twice, and then gets its figures twice."""
        if self._tracker.is_keyed:
            # Only announces can bring a path along, and so a passkey.
            raise RequestRefused("this tracker is private: scrape over HTTP, with your passkey in the path")
        hashes = decode_scrape(datagram)[: self._settings.limits.scrape]
        counts = self._tracker.scrape(hashes, source)
        self._send(encode_scraped(transaction_id, [counts[info_hash] for info_hash in hashes]), addr)

    def _reply(self, transaction_id: bytes, hits: Hits, ipv6: bool, found: Found | None = None) -> bytes:
        packed = hits.packed6 if ipv6 else hits.packed4
        if found is not None:
            for entry in hits.named:
                if (address := found.get(entry.host)) is not None and is_ipv6(address) == ipv6:
                    packed += pack_compact(address, entry.port)
        return encode_announced(transaction_id, self._settings.interval, hits.complete, hits.incomplete, packed)

    def _send(self, reply: bytes, addr: Sender) -> None:
        if self.transport is None:  # closed while a name was looked up
            return
        try:
            # Not its write(), which looks for a third of an announce's time whether this is an address.
            self.transport.socket.sendto(reply, addr)
        except OSError:  # no buffer left, a firewall, port 0: none of it ours to mend, and all of it like a loss
            self.unsent += 1


def _passkey_of(datagram: bytes) -> bytes:
    """Find the passkey in the path of the URL that an announce was made for (BEP 41); nothing where there is none."""
    passkey, slash, word = url_data(datagram).partition(b"?")[0].removeprefix(b"/").partition(b"/")
    return passkey if slash and word == b"announce" else b""
