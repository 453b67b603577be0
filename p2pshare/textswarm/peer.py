"""A text peer: one port, the contents it has or fetches, and a swarm for each."""

from __future__ import annotations

from math import inf
from pathlib import Path
from random import Random
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, plain_host
from p2pshare.errors import ConfigError, PortError
from p2pshare.geometry import Geometry
from p2pshare.metainfo import PIECES_LIMIT
from p2pshare.storage.workers import Run
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.swarm.swarm import Swarm
from p2pshare.textswarm.connection import TextConnection
from p2pshare.textswarm.identity import OpenHouse, TextIdentity, content_of
from p2pshare.textswarm.layout import Key, check_key, check_output, downloads_folder, key_of, seed_folder, split
from p2pshare.textswarm.mesh import TextMesh
from p2pshare.textswarm.store import TextStore
from p2pshare.textswarm.torrent import TextTorrent
from p2pshare.textswarm.tracker import LOOK_UP_EVERY, Ask, TextDiscovery
from p2pshare.wire.textline import PIECE_SIZE

CONNECT_TIMEOUT = 10.0  # s
MOST_CONNECTIONS = 200
_NO_LIMIT = 1_000_000
SETTINGS = SwarmSettings(
    picker="first",  # as the source has it: the order is ours to choose
    pipeline=1,
    request_timeout=inf,  # a connection that does not answer is closed
    memory_limit=4 * 1024 * 1024,
    limits=PeerLimits(queued_requests=64, unasked_blocks=_NO_LIMIT, greed=1e9),
    endgame=False,
    part_from_seeds=False,
)


class Endpoints(Seam):
    """Where to listen, and how to dial."""

    def server(self, port: int) -> IStreamServerEndpoint:
        """Make the endpoint that peers dial."""

    def client(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint of a peer."""


@define(eq=False)
class TCPEndpoints:
    """Endpoints of this machine."""

    _reactor: Any  # IReactorTCP, IReactorTime, IReactorPluggableNameResolver
    _bind: str = ""  # all addresses

    def server(self, port: int) -> IStreamServerEndpoint:
        """Make the endpoint that peers dial."""
        return TCP4ServerEndpoint(self._reactor, port, interface=self._bind)

    def client(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint of a peer, by name or address."""
        return HostnameEndpoint(self._reactor, host, port, CONNECT_TIMEOUT)


class _NoDialer:
    """A swarm's dialer that is never asked."""

    def has_room(self, listener: Any) -> bool:
        return False

    def dial(self, address: Any, listener: Any) -> None:
        raise AssertionError("the mesh dials")


@define(eq=False)
class TextPeer:
    """Listens, dials, and keeps the swarms apart by their keys."""

    _folder: Path
    _ask: Ask  # the tracker
    _reactor: Any  # IReactorTime
    _endpoints: Endpoints
    _random: Random
    _run: Run
    _every: float = LOOK_UP_EVERY  # s between two look-ups
    peer_id: bytes = field(init=False)
    port: int = field(init=False, default=0)
    torrents: dict[str, TextTorrent] = field(init=False, factory=dict)
    _listening: IListeningPort | None = field(init=False, default=None)
    _connections: set[TextConnection] = field(init=False, factory=set)
    _dials: set[Deferred[Any]] = field(init=False, factory=set)
    _is_over: bool = field(init=False, default=False)
    _deserted: list[Deferred[None]] = field(init=False, factory=list)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.peer_id = self._random.randbytes(20)

    def start(self, port: int) -> Deferred[None]:
        """
        Listen for peers; 0: on any port.

        :return: errs back with PortError when the port cannot be had.
        """
        return Deferred.fromCoroutine(self._listen(port))

    async def _listen(self, port: int) -> None:
        try:
            self._listening = await self._endpoints.server(port).listen(_Factory(self))
        except CannotListenError as error:
            raise PortError(f"port {port}: {error.socketError}") from error
        host = self._listening.getHost()
        assert isinstance(host, IPv4Address | IPv6Address)
        self.port = host.port

    def seed(self, file: Path, key: Key = Key.CONTENT) -> Deferred[TextTorrent]:
        """
        Share a file: lay its pieces out, and serve them; fires once whoever dials is served.

        :return: errs back with StorageError, or ConfigError when it is shared already.
        """
        return Deferred.fromCoroutine(self._seed(file, key))

    async def _seed(self, file: Path, key: Key) -> TextTorrent:
        torrent_hash, size = await self._run(key_of, file, key)
        if torrent_hash in self.torrents:
            raise ConfigError(f"hash {torrent_hash}: is shared here already")
        folder = seed_folder(self._folder, torrent_hash)
        await self._run(split, file, folder)
        torrent = self._open(torrent_hash, file.name, size, folder, None)
        await torrent.finished
        return torrent

    def download(self, torrent_hash: str, output: str, num_pieces: int) -> TextTorrent:
        """
        Fetch a content, and serve meanwhile what has come. Its size is not known, only its number of pieces.

        :raise ConfigError: an argument is not allowed, or the content is here already.
        """
        torrent_hash = check_key(torrent_hash)
        if not 1 <= num_pieces <= PIECES_LIMIT:
            raise ConfigError(f"{num_pieces} pieces, expected 1 to {PIECES_LIMIT}")
        if torrent_hash in self.torrents:
            raise ConfigError(f"hash {torrent_hash}: is shared here already")
        downloads = downloads_folder(self._folder, self.port)
        whole = downloads / check_output(output)
        return self._open(torrent_hash, output, num_pieces * PIECE_SIZE, downloads / torrent_hash, whole)

    def exit(self) -> Deferred[None]:
        """Close the port, tell the tracker, hang up on everybody; fires when that is done."""
        self._is_over = True
        endings: list[Deferred[Any]] = []
        if self._listening is not None:
            listening, self._listening = self._listening, None
            endings.append(maybeDeferred(listening.stopListening))
        for dial in tuple(self._dials):
            dial.cancel()
        endings += [torrent.swarm.stopService() for torrent in self.torrents.values()]
        for connection in tuple(self._connections):
            connection.close("we are leaving")
        if self._connections:
            self._deserted.append(Deferred())
            endings.append(self._deserted[-1])
        for ending in endings:
            ending.addErrback(lambda failure: self.log.failure("stopping", failure))
        return DeferredList(endings).addCallback(lambda _: None)

    def _open(self, torrent_hash: str, name: str, size: int, folder: Path, output: Path | None) -> TextTorrent:
        store = TextStore.in_folder(folder, Geometry(PIECE_SIZE, (size,)), self._run)
        mesh = TextMesh(lambda address: self._dial(torrent, address), self._hang_up)
        identity = TextIdentity(content_of(torrent_hash, name, size), self.peer_id)
        swarm = Swarm(
            store, SETTINGS, identity, self._reactor, self._random, _NoDialer(), choker=OpenHouse(), meeting=mesh
        )
        discovery = TextDiscovery(
            self._ask, torrent_hash, self.peer_id.hex(), self.port, self._reactor, mesh.heard, self._every
        )
        swarm.discovery = discovery
        torrent = TextTorrent(torrent_hash, store, swarm, mesh, discovery, output)
        self.torrents[torrent_hash] = torrent
        swarm.startService()
        return torrent

    def _hang_up(self, remote: Any, reason: str) -> None:
        for torrent in self.torrents.values():
            member = torrent.swarm.members.get(remote)
            if member is not None:
                member.link.abort(reason)

    # What a connection asks and tells

    def find(self, torrent_hash: str) -> TextTorrent | None:
        """Find a content by the key that somebody asks for."""
        return self.torrents.get(torrent_hash)

    def met_ourselves(self, address: Address) -> None:
        """Whoever answers there is us."""
        for torrent in self.torrents.values():
            torrent.mesh.met_ourselves(address)

    def lost(self, connection: TextConnection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not connection.is_incoming and connection.torrent is not None:
            connection.torrent.mesh.failed(connection.address, "the connection is gone")
        if not self._connections:
            deserted, self._deserted = self._deserted, []
            for waiting in deserted:
                waiting.callback(None)

    def build(self, address: Address, torrent: TextTorrent | None) -> TextConnection | None:
        """Make a connection; None: there are too many, or we are leaving."""
        if self._is_over or (torrent is None and len(self._connections) >= MOST_CONNECTIONS):
            return None
        connection = TextConnection(self, self._reactor, address, torrent)
        self._connections.add(connection)
        return connection

    # Dialling

    def _dial(self, torrent: TextTorrent, address: Address) -> None:
        dial = self._endpoints.client(address.host, address.port).connect(_Factory(self, torrent, address))
        self._dials.add(dial)
        dial.addBoth(self._dialled, dial, torrent, address)
        dial.addErrback(lambda failure: self.log.failure("dialling {address}", failure, address=address))

    def _dialled(self, outcome: object, dial: Deferred[Any], torrent: TextTorrent, address: Address) -> None:
        self._dials.discard(dial)
        if isinstance(outcome, Failure):
            self.log.debug("{address} is not there: {error}", address=address, error=outcome.getErrorMessage())
            torrent.mesh.failed(address, outcome.getErrorMessage())


@define(eq=False)
class _Factory(Factory):
    """Builds the connections of the port, or the one of a dial."""

    _peer: TextPeer
    _torrent: TextTorrent | None = None
    _address: Address | None = None  # as it was dialled
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> TextConnection | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        return self._peer.build(self._address or Address(plain_host(addr.host), addr.port), self._torrent)
