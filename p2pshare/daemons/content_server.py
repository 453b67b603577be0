"""Seeds what was uploaded to the index, with a session of the peer's own code, beside our own tracker."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.addresses import Address, is_numeric, pack_compact, unpack_ipv4, unpack_ipv6
from p2pshare.client.session import Session
from p2pshare.errors import ConfigError, P2PShareError, StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage.content import found_at
from p2pshare.swarm.events import Event as SwarmEvent
from p2pshare.swarm.events import State, StateChanged
from p2pshare.swarm.seams import TrackerStatus
from p2pshare.swarm.swarm import Swarm
from p2pshare.tracker.logic import SwarmStore
from p2pshare.wire.announce import AnnounceRequest, Event

_EVERYWHERE = ("", "0.0.0.0", "::")
_FAR_AWAY = ("192.0.2.1", 9)  # RFC 5737: nobody's address, and nothing is sent there
_WANTED = 50  # peers to dial: those behind a NAT cannot be dialled, but we can be by them


@define(eq=False)
class SessionContentServer:
    """
    A content server over one session, which has no other torrents. The session runs as long as it shall seed.

    Our seeds are members of our own swarms like all others, put there without a detour over HTTP: through that, the
    tracker would see the loopback address, which is of no use to anybody else.
    """

    _session: Session
    _swarms: SwarmStore  # of all faces
    _interval: float  # seconds between two announces, well below the time after which silent peers go
    _host: Callable[[], str]  # where others reach this machine: an address, or a name; see reachable_host
    _now: Callable[[], float]  # the clock of the store's times
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._session.discover = self._announcing

    async def serve(self, metainfo: Metainfo, path: Path) -> None:
        """
        Begin to seed a content, and wait until it has been looked at.

        :raise StorageError: it is not there, or not what the torrent describes.
        """
        if self._session.holds(metainfo.info_hash):
            return
        try:
            swarm = self._session.add(found_at(metainfo, path), path.parent, seed_only=True)
        except ConfigError as error:  # it is just being withdrawn
            raise StorageError(str(error)) from error
        trouble = await _settled(swarm)
        if trouble is not None:
            await self.withdraw(metainfo.info_hash)
            raise trouble if isinstance(trouble, StorageError) else StorageError(str(trouble))

    async def withdraw(self, info_hash: bytes) -> None:
        """Stop to seed a content; afterwards nothing reads its files."""
        if self._session.holds(info_hash):
            await self._session.remove(info_hash)

    def serves(self, info_hash: bytes) -> bool:
        """Tell whether a content is being seeded, or looked at for that."""
        return self._session.holds(info_hash)

    def _announcing(self, swarm: Swarm) -> OwnAnnounces:
        return OwnAnnounces(swarm, self._session, self._swarms, self._interval, self._host, self._now)


@define(eq=False)
class OwnAnnounces:
    """Has one of our seeds be a member of our own swarm, and dial whom that knows."""

    _swarm: Swarm
    _session: Session
    _swarms: SwarmStore
    _interval: float
    _host: Callable[[], str]
    _now: Callable[[], float]
    _contact: bytes | Address | None = field(init=False, default=None)  # what we announced last
    _round: LoopingCall = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._round = LoopingCall(self.announce_now)
        self._round.clock = self._session.reactor

    def start(self) -> None:
        """Join, and stay."""
        self._announce(Event.STARTED)
        self._round.start(self._interval, now=False).addErrback(
            lambda failure: self.log.failure("{torrent} is no longer announced", failure, torrent=self._swarm.content)
        )

    def completed(self) -> None:
        """Nothing was fetched, so this is no completion; but what was unreadable for a while may be whole again."""
        self.announce_now()

    def announce_now(self) -> None:
        """Stay."""
        self._announce(None)

    def status(self) -> Iterable[TrackerStatus]:
        """There is no tracker that could fail."""
        return ()

    def stop(self) -> Deferred[None]:
        """Leave."""
        if self._round.running:
            self._round.stop()
            self._announce(Event.STOPPED)
        return succeed(None)

    def _announce(self, event: Event | None) -> None:
        swarm, session = self._swarm, self._session
        if event is not Event.STOPPED or self._contact is None:
            host = self._host()
            self._contact = pack_compact(host, session.port) if is_numeric(host) else Address(host, session.port)
        request = AnnounceRequest(
            info_hash=swarm.info_hash,
            peer_id=session.peer_id,
            port=session.port,
            uploaded=swarm.up.total,
            left=swarm.content.total_length - swarm.store.verified_bytes,
            event=event,
            compact=True,
        )
        hits = self._swarms.announce(request, self._contact, _WANTED, None, self._now())
        found = unpack_ipv4(hits.packed4) + unpack_ipv6(hits.packed6)
        found += [Address(entry.host, entry.port) for entry in hits.named]
        swarm.meeting.heard(found, "tracker")


def reachable_host(bound: str | None) -> str:
    """
    Guess where others reach what listens here: the address it is bound to, or the one that this machine uses outwards.

    Behind a NAT that is of use inside only: there the address is to be configured.
    """
    if bound is not None and bound not in _EVERYWHERE:
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outwards:
        try:
            outwards.connect(_FAR_AWAY)
        except OSError:  # no route: nobody else reaches us, either
            return "127.0.0.1"
        host: str = outwards.getsockname()[0]
        return host


def _settled(swarm: Swarm) -> Deferred[P2PShareError | None]:
    """Fire when a swarm has looked at its content: with what is wrong, or None."""
    settled: Deferred[P2PShareError | None] = Deferred()

    def heard(event: SwarmEvent) -> None:
        if not isinstance(event, StateChanged) or settled.called:
            return
        if event.state in (State.SEEDING, State.FAILED):
            settled.callback(event.error)
        elif event.state is State.STOPPED:
            settled.callback(StorageError(f"{swarm.content.name}: stopped before it was looked at"))

    if swarm.state in (State.SEEDING, State.FAILED):
        return succeed(swarm.error)
    swarm.subscribe(heard)
    return settled
