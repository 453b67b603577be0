"""One peer of a course swarm: what it does, and what it writes in its log."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.course.choker import CourseChoker, Rounds
from p2pshare.course.config import Common, PeerInfo
from p2pshare.course.event_log import EventLog
from p2pshare.course.introduction import CourseIdentity, content_of
from p2pshare.course.layout import peer_folder
from p2pshare.course.mesh import Mesh
from p2pshare.course.networking import Endpoints, Network
from p2pshare.course.roll_call import RollCall
from p2pshare.course.store import CourseStore
from p2pshare.errors import P2PShareError, StorageError
from p2pshare.policy.rankings import Ranking, fastest
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.strategies import Strategy, anything
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.workers import Run
from p2pshare.swarm.events import Completed, Event, PieceVerified, State, StateChanged
from p2pshare.swarm.member import Block
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.swarm.swarm import Swarm
from p2pshare.wire import course, messages

_NO_LIMIT = 1_000_000
LAST_LOOKS = 20  # of the swarm's ticker in the shortest interval


class NeighborGone(P2PShareError):
    """A neighbor left before it had the file, and did not come back in time."""


class _NoDialer:
    """A swarm's dialer that is never asked."""

    def has_room(self, listener: Any) -> bool:
        return False

    def dial(self, address: Any, listener: Any) -> None:
        raise AssertionError("the network dials")


def _id(remote: RemotePeer) -> int:
    return int.from_bytes(remote.peer_id, "big")


@define(eq=False)
class CourseProcess:
    """Joins a swarm with a network by ids, tells the log, and sees when all have the file."""

    _common: Common
    _info: PeerInfo
    _own: int
    _folder: Path
    _reactor: Any  # IReactorTime
    _endpoints: Endpoints
    _random: Random
    _run: Run
    _log: EventLog
    _grace: float = field(kw_only=True)  # s; how long a neighbor that left unfinished is waited for
    _wait: float | None = field(kw_only=True, default=None)  # s; how long who never came is waited for. None: for ever
    _picker: Strategy = field(kw_only=True, default=anything)  # the assignment's
    _rank: Ranking = field(kw_only=True, default=fastest)
    finished: Deferred[None] = field(init=False, factory=Deferred)  # fires at the end, or errs back
    swarm: Swarm = field(init=False)
    network: Network = field(init=False)
    _complete: set[int] = field(init=False, factory=set)  # who has the file, as far as we have seen
    _gone: set[int] = field(init=False, factory=set)  # who left without the file, and did not come back
    _sources: dict[int, int] = field(init=False, factory=dict)  # piece -> who sent it last
    _giving_up: IDelayedCall | None = field(init=False, default=None)
    _roll_call: RollCall = field(init=False)
    _is_over: bool = field(init=False, default=False)
    _ending: Ongoing = field(init=False, factory=Ongoing)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        common, info = self._common, self._info
        path = peer_folder(self._folder, self._own) / common.file_name
        store = CourseStore.at(path, common.geometry, info.of(self._own).has_file, self._run)
        self.network = Network(
            self._own, {peer.id for peer in info.peers}, common.geometry, store, self._endpoints, self._reactor, self
        )
        rounds = Rounds(common.preferred_neighbors, common.unchoking_interval, common.optimistic_interval)
        shortest = min(common.unchoking_interval, common.optimistic_interval)
        settings = SwarmSettings(
            max_peers=len(info.peers),
            picker=self._picker,
            pipeline=1,
            request_timeout=inf,  # TCP loses no request: only a choke, or the end of the connection, takes it back
            memory_limit=max(2, len(info.peers)) * common.piece_size,
            limits=PeerLimits(choked_requests=_NO_LIMIT, unasked_blocks=_NO_LIMIT, greed=1e9),
            tick=min(1.0, shortest / LAST_LOOKS),
            endgame=False,
            part_from_seeds=False,
            tell_disinterest=True,
        )
        self.swarm = Swarm(
            store,
            settings,
            CourseIdentity(content_of(common), self._own),
            self._reactor,
            self._random,
            _NoDialer(),
            choker=CourseChoker(rounds, self._random, self._chose, self._rank),
            meeting=Mesh(len(info.peers), lambda remote, reason: self.network.disconnect(_id(remote), reason)),
        )
        self.swarm.subscribe(self._happened)
        others = {peer.id for peer in info.peers} - {self._own}
        self._roll_call = RollCall(others, self._reactor, self._wait, self._miss)

    def start(self) -> None:
        """Look at the file, listen, and dial those that were started before us."""
        self.swarm.startService()

    def leave(self) -> Deferred[None]:
        """Hang up on all in order, though it may not be over; fires when that is done."""
        self._finish(None)
        return self._ending.over()

    # What happens on the network

    def on_peer_connected(self, id: int, incoming: bool) -> None:
        """A neighbor is here."""
        self._tell(self._log.was_connected if incoming else self._log.made_connection, id)
        self._roll_call.came(id)
        self._gone.discard(id)
        self._look_around()
        link = self.network.link(id)
        if self.swarm.welcome(link, course.Handshake(id)) is None:
            link.close("the swarm does not run")
            return
        self.swarm.peer_joined(link)

    def on_message(self, id: int, message: messages.Message) -> None:
        """A neighbor said something: the log first."""
        match message:
            case messages.Unchoke():
                self._tell(self._log.was_unchoked, id)
            case messages.Choke():
                self._tell(self._log.was_choked, id)
            case messages.Have(index=index):
                self._tell(self._log.received_have, id, index)
            case messages.Interested():
                self._tell(self._log.received_interested, id)
            case messages.NotInterested():
                self._tell(self._log.received_not_interested, id)
            case messages.Piece(index=index):
                self._sources[index] = id
        link = self.network.link(id)
        self.swarm.message_received(link, message)
        if isinstance(message, messages.Have | messages.Bitfield):
            self._look(id)

    def on_messages_end(self, id: int) -> None:
        """A neighbor has said all for now."""
        self.swarm.batch_received(self.network.link(id))

    def on_pieces_sent(self, id: int, amount: int) -> None:
        """A piece went out."""
        self.swarm.blocks_sent(self.network.link(id), amount)

    def on_pieces_unreadable(self, id: int, blocks: list[Block], reason: Failure) -> None:
        """The disk could not deliver."""
        self.swarm.blocks_unreadable(self.network.link(id), blocks, reason)

    def on_peer_disconnected(self, id: int, link: Any, reason: str) -> None:
        """A neighbor is gone, for good if it has the file."""
        self.swarm.peer_lost(link, reason)
        if id not in self._complete and not self._is_over:
            self._gone.add(id)
            self.log.warn("peer {id} left without the file: {reason}", id=id, reason=reason)
            if any(peer.id == id for peer in self._info.before(self._own)):
                self._dial(id)
        self._look_around()

    # What happens in the swarm

    def _happened(self, event: Event) -> None:
        match event:
            case StateChanged(state=State.FAILED, error=error):
                self._finish(error)
            case StateChanged(state=State.DOWNLOADING | State.SEEDING) if not self.network.is_listening:
                self._open()
            case PieceVerified(index=index):
                source, count = self._sources.pop(index), self.swarm.store.have.count
                self._tell(self._log.downloaded_piece, source, index, count)
            case Completed():
                self._tell(self._log.downloaded_file)
                self._look_around()

    def _open(self) -> None:
        """Only now may neighbors come: whom we turned away might not try again."""
        if self.swarm.store.is_complete:
            self._complete.add(self._own)
        listening = self.network.start_server(self._info.of(self._own).port)
        listening.addCallbacks(lambda _: self._dial_all(), lambda failure: self._finish(failure.value))

    def _dial_all(self) -> None:
        self._roll_call.start()
        for peer in self._info.before(self._own):
            self._dial(peer.id)
        self._look_around()

    def _dial(self, id: int) -> None:
        peer = self._info.of(id)
        self.network.connect_to_peer(id, peer.host, peer.port)

    def _chose(self, preferred: Collection[RemotePeer], optimistic: RemotePeer | None) -> None:
        self._tell(self._log.chose_preferred, map(_id, preferred))
        self._tell(self._log.chose_optimistic, None if optimistic is None else _id(optimistic))

    def _tell(self, say: Callable[..., None], *what: Any) -> None:
        """Write a line into the log. Without a log there is no taking part."""
        if self._is_over:
            return
        try:
            say(*what)
        except StorageError as error:
            self._finish(error)

    # The end

    def _look(self, id: int) -> None:
        """See whether a neighbor has the file now."""
        if any(_id(remote) == id and remote.is_seed for remote in self.swarm.members):
            self._complete.add(id)
        self._look_around()

    def _look_around(self) -> None:
        """When all have the file it is over; when those here cannot bring that about, others have a grace to come."""
        if self.swarm.store.is_complete:
            self._complete.add(self._own)
        missing = {peer.id for peer in self._info.peers} - self._complete
        if not missing:
            self._finish(None)
        elif not self._is_hopeless(missing):
            self._stop_giving_up()
        elif self._giving_up is None and not self._is_over:
            self._giving_up = self._reactor.callLater(self._grace, self._give_up)

    def _is_hopeless(self, missing: set[int]) -> bool:
        """Whether only those who left lack the file, or a piece of it is with nobody who is here or still to come."""
        if missing <= self._gone:
            return True
        here = {self._own, *self.network.connected}
        if any(peer.id not in here | self._gone | self._complete for peer in self._info.peers):
            return False  # not started yet
        pieces = self.swarm.store.have.as_int()
        for remote in self.swarm.members:
            pieces |= remote.has.as_int()
        return pieces.bit_count() < self._common.geometry.num_pieces

    def _miss(self, absent: set[int]) -> None:
        """Whoever has not come by now is not waited for any more."""
        self._gone |= absent
        self._look_around()

    def _stop_giving_up(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        missing = {peer.id for peer in self._info.peers} - self._complete
        self._finish(NeighborGone(f"without the file are still {', '.join(map(str, sorted(missing)))}"))

    def _finish(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._stop_giving_up()
        self._roll_call.stop()
        ending = self._ending.track(Deferred.fromCoroutine(self._end()))
        ending.addBoth(lambda outcome: self.finished.callback(outcome if error is None else Failure(error)))

    async def _end(self) -> None:
        await self.network.shutdown()
        await self.swarm.stopService()
        self._log.close()
