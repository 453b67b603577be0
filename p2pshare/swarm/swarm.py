"""One torrent at work: its members, what they say, and the timer that keeps it going."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from random import Random
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.errors import P2PShareError, StorageError, VerificationFailed
from p2pshare.policy.blame import Blame
from p2pshare.policy.candidates import Candidates
from p2pshare.policy.choker import Choker
from p2pshare.policy.ledger import Ledger
from p2pshare.policy.picker import make_picker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.rates import Meter
from p2pshare.storage.ongoing import Ongoing
from p2pshare.swarm.disk_trouble import DiskTrouble
from p2pshare.swarm.download import Download
from p2pshare.swarm.events import Completed, Event, PieceLost, PieceSpoiled, PieceVerified, State, StateChanged
from p2pshare.swarm.interest import Interest
from p2pshare.swarm.introduction import introduced
from p2pshare.swarm.meeting import Dialer, Meeting
from p2pshare.swarm.member import Block, Link, Member
from p2pshare.swarm.seams import Discovery, Gathering, Greets, Persona, Store
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.swarm.upload import Rounds, Upload
from p2pshare.wire import messages
from p2pshare.wire.session import WireSession


@define(eq=False)
class Swarm(Service):
    """
    One torrent. Joins wire, policy and storage; connections and trackers are handed in.

    Messages arrive one by one in :meth:`message_received`, decisions are made by the parts it owns, and
    what came of it goes to whoever subscribed to its events. It runs once: its store is closed when it stops.
    """

    store: Store
    settings: SwarmSettings
    _identity: Persona
    _clock: IReactorTime
    _random: Random
    _dialer: Dialer
    _seed_only: bool = False  # nothing may be written: missing or wrong data is an error
    discovery: Discovery | None = None  # set by whoever builds it, before start
    _choker: Rounds | None = field(kw_only=True, default=None)  # None: BEP 3's
    _meeting: Gathering | None = field(kw_only=True, default=None)  # None: candidates are dialled
    state: State = field(init=False, default=State.STOPPED)
    error: P2PShareError | None = field(init=False, default=None)
    checked: float = field(init=False, default=0.0)
    members: dict[RemotePeer, Member] = field(init=False, factory=dict)
    down: Meter = field(init=False)
    up: Meter = field(init=False)
    completed_at: float | None = field(init=False, default=None)  # the first time
    hits: Counter[str] = field(init=False, factory=Counter)  # how often each limit was reached, by the name of its key
    _lacking: bool = field(init=False, default=False)  # something was missing when the content was last looked at
    _links: dict[Link, Member] = field(init=False, factory=dict)
    _subscribers: list[Callable[[Event], None]] = field(init=False, factory=list)
    _ticking: LoopingCall = field(init=False)
    _is_over: bool = field(init=False, default=False)
    _shutdown: Ongoing = field(init=False, factory=Ongoing)
    _deserted: Deferred[None] | None = field(init=False, default=None)  # fires when the last member is gone
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.content = self._identity.content
        self.info_hash = self.content.info_hash
        settings, geometry = self.settings, self.store.geometry
        picker = make_picker(settings.picker, geometry.num_pieces, self._random)
        max_started = max(2, settings.memory_limit // geometry.piece_length)
        self.ledger = Ledger(
            geometry,
            picker,
            max_started=max_started,
            request_timeout=settings.request_timeout,
            endgame=settings.endgame,
        )
        clock, hits = self._clock, self.hits
        self.download = Download(self.store, self.ledger, Blame(), clock, settings, self.members, hits, self)
        self.meeting = self._meeting or self._meet(hits)
        choker = self._choker or Choker(settings.choker, self._random)
        self.upload = Upload(geometry, self.store, choker, clock, settings, self.members, hits, self.meeting)
        self.interest = Interest(picker, self.store.have, self.members, settings.tell_disinterest)
        self.trouble = DiskTrouble(
            self.store, self.ledger, self.upload, self.download, self.interest, clock, settings.disk_retry, self
        )
        self.down, self.up = self.download.received, self.upload.sent
        self.store.on_relief = self.download.relieve
        self.store.on_trouble = self.storage_failed
        self.store.on_lost = self.trouble.lost
        self.store.is_wanted = self.interest.is_wanted
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = self._clock

    def _meet(self, hits: Counter[str]) -> Gathering:
        settings = self.settings
        candidates = Candidates(self._random, limit=settings.limits.known_peers, hits=hits)
        return Meeting(candidates, self._dialer, self, self._clock, self._identity.peer_id, settings, hits)

    # Life

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call with every event from now on."""
        self._subscribers.append(subscriber)

    def startService(self) -> None:
        super().startService()
        starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(lambda failure: self.log.failure("starting {swarm}", failure, swarm=self.content.name))

    async def _start(self) -> None:
        self._enter(State.CHECKING)
        try:
            await self.store.check(self._check_progress, writable=not self._seed_only)
            missing = self.store.geometry.num_pieces - self.store.have.count
            if self._seed_only and missing:
                raise VerificationFailed(
                    f"{self.content.name}: {missing} of {self.content.num_pieces} pieces are missing or wrong on disk"
                )
        except StorageError as error:
            if self.running:  # stopping breaks the check off
                self._fail(error)
            return
        if not self.running:
            return
        self.checked = 1.0
        for piece in self.store.have:
            self.ledger.add_held(piece)
        self._lacking = bool(missing)
        if self._seed_only:
            self.download.stop()
        self.meeting.is_open = True
        if self.discovery is not None:
            self.discovery.start()
        ticking = self._ticking.start(self.settings.tick, now=False)
        ticking.addErrback(lambda failure: self.log.failure("ticking {swarm}", failure, swarm=self.content.name))
        # Last, because whoever hears of it may stop us there and then.
        self._enter(State.SEEDING if self.store.is_complete else State.DOWNLOADING)
        self.meeting.fill()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._is_over:
            return self._shutdown.over()
        self._is_over = True
        return self._shutdown.track(Deferred.fromCoroutine(self._stop()))

    async def _stop(self) -> None:
        self.meeting.is_open = False
        self.download.stop()
        if self._ticking.running:
            self._ticking.stop()
        for member in list(self.members.values()):
            member.link.close("the torrent is stopped")
        if self.discovery is not None:
            await self.discovery.stop()
        if self.members:
            self._deserted = Deferred()
            await self._deserted
        await self.store.close()
        if self.state is not State.FAILED:
            self._enter(State.STOPPED)

    def _check_progress(self, done: int, total: int) -> None:
        self.checked = done / total if total else 1.0

    def _enter(self, state: State, error: P2PShareError | None = None) -> None:
        if state is State.SEEDING and self.completed_at is None:
            self.completed_at = self._clock.seconds()
        self.state, self.error = state, error
        self.meeting.seeding(self.store.is_complete)
        self._emit(StateChanged(state, error))

    def _emit(self, event: Event) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(event)

    def _fail(self, error: StorageError) -> None:
        self.log.warn("{swarm}: {error}", swarm=self.content.name, error=error)
        self._enter(State.FAILED, error)

    def _tick(self) -> None:
        for member in list(self.members.values()):
            member.link.tick()
        self.download.tick()
        self.upload.tick()
        self.trouble.tick()
        self.meeting.fill()

    # What a connection asks and tells

    def hello(self) -> bytes:
        """Our handshake."""
        return self._identity.hello()

    def source(self) -> Store:
        """Where blocks are read."""
        return self.store

    def allowances(self) -> tuple[Any, Any]:
        """The limits of one connection: upload, download."""
        return self._identity.limits

    def welcome(self, link: Link, handshake: Greets) -> WireSession | None:
        """Admit a peer, or not."""
        if not self.meeting.admits(link, handshake.peer_id, self.hello()):
            return None
        member = self._identity.meet(link, handshake, self._clock.seconds(), self.settings)
        self._links[link] = self.members[member.remote] = member
        self.meeting.joined(member)
        return self._identity.session(member.remote, self.settings.limits)

    def peer_joined(self, link: Link) -> None:
        """Both handshakes are through: introduce ourselves."""
        member = self._links[link]
        member.joined = True
        self._identity.introduce(member, self.store.have, self.settings.limits)
        self.download.joined(member)
        self.upload.joined(member)

    def message_received(self, link: Link, message: messages.Message) -> None:
        """Act on one message. Blocks come first: they are nine of ten."""
        member = self._links[link]
        match message:
            case messages.Piece():
                self.download.block_received(member, message)
            case messages.Request():
                self.upload.requested(member, message)
            case messages.Have(index=index):
                if self.interest.got_have(member, index):
                    self._got_more(member)
            case messages.Bitfield(bits=bits):
                if self.interest.got_pieces(member, Bitfield.from_bytes(bits, self.content.num_pieces)):
                    self._got_more(member)
                else:
                    link.abort("sent another bitfield that takes pieces back, or tells nothing new")
            case messages.HaveAll():
                self.interest.got_pieces(member, Bitfield.full(self.content.num_pieces))
                self._got_more(member)
            case messages.Unchoke():
                self.download.unchoked(member)
            case messages.Choke():
                self.download.choked(member)
            case messages.Interested() | messages.NotInterested():
                self.upload.interest_told(member, isinstance(message, messages.Interested))
            case messages.Cancel():
                self.upload.cancelled(member, message)
            case messages.Reject():
                self.download.rejected(member, message)
            case messages.ExtendedHandshake():
                introduced(member, message)
            case _:
                pass  # keep-alives, ports, suggestions, pieces allowed while choked, extensions we did not offer

    def _got_more(self, member: Member) -> None:
        """A peer has more than before: maybe something to ask for, maybe nothing left for it here."""
        if not self._part_from_seed(member):
            self.download.ask(member)

    def _part_from_seed(self, member: Member) -> bool:
        if self.settings.part_from_seeds and self.state is State.SEEDING and member.remote.is_seed:
            member.link.close("both have everything")
            return True
        return False

    def batch_received(self, link: Link) -> None:
        """Everything one read brought was handed over: answer it."""
        member = self._links.get(link)
        if member is not None:
            self.download.batch_received(member)
            self.upload.batch_received(member)

    def blocks_sent(self, link: Link, amount: int) -> None:
        """So much payload went out."""
        self.upload.blocks_sent(self._links[link], amount)

    def blocks_unreadable(self, link: Link, blocks: list[Block], reason: Failure) -> None:
        """The disk could not deliver."""
        self.trouble.unreadable(self._links[link], blocks, reason)

    def peer_lost(self, link: Link, reason: str) -> None:
        """A member's connection is gone."""
        member = self._links.pop(link)
        del self.members[member.remote]
        self.log.debug("{peer} left: {reason}", peer=member, reason=reason)
        self.interest.left(member)
        self.download.left(member)
        self.meeting.left(member)
        self.upload.fill_slots()
        self.meeting.fill()
        if self._deserted is not None and not self.members:
            deserted, self._deserted = self._deserted, None
            deserted.callback(None)

    def dial_failed(self, address: Address, reason: str) -> None:
        """A candidate did not become a member."""
        self.meeting.failed(address, reason)

    def dial_postponed(self, address: Address) -> None:
        """There were no means to dial a candidate; some other time."""
        self.meeting.postponed(address)

    # What the download tells

    def piece_verified(self, piece: int, sources: Collection[RemotePeer]) -> None:
        """A piece is right and on disk: tell everyone."""
        self.trouble.verified(piece)
        self.interest.verified(piece)
        self._emit(PieceVerified(piece, _ids(sources)))
        if self.store.is_complete and self.state is State.DOWNLOADING:
            self.go_on()

    def piece_spoiled(self, piece: int, guilty: Collection[RemotePeer]) -> None:
        """A piece was wrong: have nothing more to do with whoever sent the bad blocks."""
        for remote in guilty:
            self.meeting.ban(remote, f"it sent bad data for piece {piece}")
        self._emit(PieceSpoiled(piece, tuple(str(remote.address) for remote in guilty), _ids(guilty)))

    def storage_failed(self, error: StorageError) -> None:
        """The disk refused: stop fetching, keep serving what is verified."""
        self.download.stop()
        if self.state in (State.DOWNLOADING, State.SEEDING):  # not for every piece that was under way
            self.trouble.refused(error)
            self._fail(error)

    # What the disk did

    def piece_lost(self, piece: int) -> None:
        """A piece is missing again: get it from somebody, where that is allowed."""
        self._lacking = True
        self._emit(PieceLost(piece))
        if self._seed_only:
            if self.state is State.SEEDING:
                self._fail(VerificationFailed(f"{self.content.name}: piece {piece} cannot be read any more"))
        elif self.state is State.SEEDING:
            self._enter(State.DOWNLOADING)
            if self.discovery is not None:
                self.discovery.announce_now()

    def go_on(self) -> None:
        """Enter the state that the content calls for; when it was not whole before and is now, that is told once."""
        if not self.store.is_complete:
            self._enter(State.DOWNLOADING)
            return
        was_lacking, self._lacking = self._lacking, False
        self._enter(State.SEEDING)
        if not was_lacking:
            return
        if self.discovery is not None:
            self.discovery.completed()
        for member in list(self.members.values()):
            self._part_from_seed(member)
        self._emit(Completed())


def _ids(remotes: Collection[RemotePeer]) -> frozenset[bytes]:
    return frozenset(remote.peer_id for remote in remotes)
