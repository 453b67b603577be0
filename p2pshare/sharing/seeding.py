"""Every shared file as a torrent that sleeps until somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import define, evolve, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.addresses import Address
from p2pshare.errors import ConfigError, MetainfoError, P2PShareError
from p2pshare.metainfo import Metainfo
from p2pshare.sharing.library import Event, FileAdded, FileChanged, FileRemoved
from p2pshare.sharing.registrar import SharedFolder
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.torrents import info_hash_of, signature_of, torrent_of
from p2pshare.storage.signatures import Signature
from p2pshare.swarm.events import Event as SwarmEvent
from p2pshare.swarm.events import State, StateChanged
from p2pshare.wire.announce import AnnounceRequest

IDLE = 120.0  # s without anybody after which a swarm goes to sleep again
MOST_AWAKE = 256  # swarms at once; more than there are connections, so that nobody can keep all of them busy
_ROUND = 10.0  # s between two looks at who is idle


class SeedSwarm(Protocol):
    """What is needed of a Swarm."""

    @property
    def state(self) -> State: ...

    @property
    def error(self) -> P2PShareError | None: ...

    @property
    def members(self) -> Mapping[Any, object]: ...

    @property
    def up(self) -> Any:
        """Its meter of bytes that went out."""

    @property
    def meeting(self) -> Any:
        """Where candidates go."""

    def subscribe(self, subscriber: Callable[[SwarmEvent], None]) -> None: ...


class SeedSession(Protocol):
    """What is needed of a Session."""

    peer_id: bytes
    port: int

    def add(
        self, content: Metainfo, folder: Path, *, seed_only: bool, vouched: Mapping[int, Signature]
    ) -> SeedSwarm: ...

    def holds(self, info_hash: bytes) -> bool: ...

    def remove(self, info_hash: bytes) -> Deferred[None]: ...


class Announces(Protocol):
    """Who tells a tracker what is here; a SeedAnnounces."""

    def add(self, info_hash: bytes) -> None: ...

    def remove(self, info_hash: bytes) -> None: ...


@define(eq=False)
class _Awake:
    """One torrent that is not asleep."""

    file: SharedFile
    swarm: SeedSwarm
    idle_since: float
    waiting: list[Deferred[SeedSwarm | None]] | None = field(factory=list)  # None: it serves
    invited: list[Address] = field(factory=list)  # to be dialled once it serves


@define(eq=False)
class Seeding(Service):
    """
    Seeds the files of a folder over BitTorrent, without a swarm for each of them.

    A swarm is made when a handshake or the tracker says that somebody wants its file, and ends after some idle
    minutes. As the library has hashed the pieces, a swarm that wakes reads nothing. Files are never written to.

    Knows no tracker and no connection: the session hands it handshakes, and ``announces`` is told what there is.
    """

    _library: SharedFolder
    _folder: Path  # of the library
    _session: SeedSession
    _clock: IReactorTime
    _idle: float = field(kw_only=True, default=IDLE)
    _most: int = field(kw_only=True, default=MOST_AWAKE)
    announces: Announces | None = field(init=False, default=None)  # set by whoever builds it, before start
    on_doubt: Callable[[], object] = field(init=False, default=lambda: None)  # told: a file is not what it was
    _names: dict[bytes, tuple[str, ...]] = field(init=False, factory=dict)  # by info_hash: the files with that content
    _awake: dict[bytes, _Awake] = field(init=False, factory=dict)
    _leaving: dict[bytes, list[Deferred[None]]] = field(init=False, factory=dict)  # swarms that end, and who waits
    _uploaded: dict[bytes, int] = field(init=False, factory=dict)  # bytes, of swarms that are asleep again
    _rounds: LoopingCall = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._library.subscribe(self._heard)
        self._rounds = LoopingCall(self._look)
        self._rounds.clock = self._clock

    def startService(self) -> None:
        super().startService()
        for file in self._library.files.values():
            self._add(file)
        self._rounds.start(_ROUND, now=False).addErrback(
            lambda failure: self.log.failure("idle torrents are not put to sleep any more", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Put everything to sleep; fires when all files are closed."""
        super().stopService()
        if self._rounds.running:
            self._rounds.stop()
        endings = [self._end(info_hash) for info_hash in tuple(self._awake)]
        endings += [self._left(info_hash) for info_hash in self._leaving]
        return DeferredList(endings).addCallback(lambda _: None)

    # What is asked

    def info_hash(self, file: SharedFile) -> str | None:
        """Name the torrent of a shared file in hexadecimal digits; None: it has none."""
        info_hash = info_hash_of(file)
        return None if info_hash is None or info_hash not in self._names else info_hash.hex()

    def file(self, info_hash: bytes) -> SharedFile | None:
        """Find the file of a torrent; None: none of ours."""
        return self._library.files.get(next(iter(self._names.get(info_hash, ())), ""))

    @property
    def awake(self) -> int:
        """How many torrents are not asleep."""
        return len(self._awake)

    def describe(self, info_hash: bytes) -> AnnounceRequest:
        """Fill a torrent's part of an announce."""
        awake = self._awake.get(info_hash)
        uploaded = self._uploaded.get(info_hash, 0) + (0 if awake is None else awake.swarm.up.total)
        session = self._session
        return AnnounceRequest(info_hash, session.peer_id, session.port, uploaded=uploaded, left=0)

    def wake(self, info_hash: bytes) -> Deferred[SeedSwarm | None] | None:
        """
        Have a torrent served; a Session's ``wake``.

        :return: fires when its swarm takes members, with None when that cannot be; None: it is none of ours.
        """
        awake = self._awake.get(info_hash)
        if awake is not None and awake.waiting is None:
            return succeed(awake.swarm)
        if not self.running or info_hash not in self._names:
            return None
        if awake is None and info_hash not in self._leaving and self._session.holds(info_hash):
            return None  # the user has added this very torrent
        waiting: Deferred[SeedSwarm | None] = Deferred()
        if awake is not None and awake.waiting is not None:
            awake.waiting.append(waiting)
        elif info_hash in self._leaving:
            return self._left(info_hash).addCallback(lambda _: self.wake(info_hash))
        else:
            self._begin(info_hash, waiting)
        return waiting

    def invite(self, info_hash: bytes, addresses: Iterable[Address]) -> None:
        """Somebody wants a torrent, and maybe cannot reach us: dial them."""
        found = list(addresses)
        if self.wake(info_hash) is not None and (awake := self._awake.get(info_hash)) is not None:
            if awake.waiting is None:
                awake.swarm.meeting.heard(found, "tracker")
            else:
                awake.invited = found

    # What the folder tells

    def _heard(self, event: Event) -> None:
        if not self.running:
            return
        match event:
            case FileAdded(file):
                self._add(file)
            case FileRemoved(file):
                self._remove(file)
            case FileChanged(old, file):
                self._remove(old)
                self._add(file)

    def _add(self, file: SharedFile) -> None:
        info_hash = info_hash_of(file)
        if info_hash is None:
            return
        names = self._names.get(info_hash, ())
        if file.name not in names:
            self._names[info_hash] = (*names, file.name)
        if not names and self.announces is not None:
            self.announces.add(info_hash)

    def _remove(self, file: SharedFile) -> None:
        info_hash = info_hash_of(file)
        if info_hash is None:
            return
        others = tuple(name for name in self._names.pop(info_hash, ()) if name != file.name)
        if others:
            self._names[info_hash] = others
        awake = self._awake.get(info_hash)
        if awake is not None and awake.file.name == file.name:
            self._end(info_hash)  # at once: what is there now is something else
        if not others:
            self._uploaded.pop(info_hash, None)
            if self.announces is not None:
                self.announces.remove(info_hash)

    # Waking and sleeping

    def _begin(self, info_hash: bytes, waiting: Deferred[SeedSwarm | None]) -> None:
        file = self.file(info_hash)
        if file is None or not self._make_room():
            waiting.callback(None)
            return
        path = self._folder / file.name
        try:
            content = torrent_of(file)
            named = evolve(content, name=path.name, files=(evolve(content.files[0], path=(path.name,)),))
            swarm = self._session.add(named, path.parent, seed_only=True, vouched={0: signature_of(file)})
        except (ConfigError, MetainfoError) as error:
            self.log.warn("{name} cannot be seeded: {error}", name=file.name, error=error)
            waiting.callback(None)
            return
        awake = self._awake[info_hash] = _Awake(file, swarm, self._clock.seconds(), [waiting])
        swarm.subscribe(lambda event: self._swarm_told(info_hash, awake, event))
        self._settle(info_hash, awake)

    def _swarm_told(self, info_hash: bytes, awake: _Awake, event: SwarmEvent) -> None:
        if isinstance(event, StateChanged) and self._awake.get(info_hash) is awake:
            self._settle(info_hash, awake)

    def _settle(self, info_hash: bytes, awake: _Awake) -> None:
        if awake.swarm.state is State.FAILED:
            self.log.warn("{name} is not seeded: {error}", name=awake.file.name, error=awake.swarm.error)
            # Not from within the swarm's own telling of it.
            self._clock.callLater(0, self._give_up, info_hash, awake)
        elif awake.swarm.state is State.SEEDING and awake.waiting is not None:
            waiting, awake.waiting = awake.waiting, None
            # A swarm enters its state last, so it takes members by now.
            for waiter in waiting:
                waiter.callback(awake.swarm)
            awake.swarm.meeting.heard(awake.invited, "tracker")

    def _give_up(self, info_hash: bytes, awake: _Awake) -> None:
        if self._awake.get(info_hash) is awake:
            self._end(info_hash)
            self.on_doubt()

    def _end(self, info_hash: bytes) -> Deferred[None]:
        """End a swarm; fires when its files are closed."""
        awake = self._awake.pop(info_hash)
        self._leaving[info_hash] = []
        over = self._left(info_hash)
        ending = self._session.remove(info_hash)
        ending.addErrback(lambda failure: self.log.failure("putting a torrent to sleep", failure))
        ending.addCallback(lambda _: self._ended(info_hash, awake))
        waiting, awake.waiting = awake.waiting, None
        for waiter in waiting or ():
            waiter.callback(None)
        return over

    def _ended(self, info_hash: bytes, awake: _Awake) -> None:
        uploaded = awake.swarm.up.total
        if uploaded and info_hash in self._names:
            self._uploaded[info_hash] = self._uploaded.get(info_hash, 0) + uploaded
        for waiter in self._leaving.pop(info_hash):
            waiter.callback(None)

    def _left(self, info_hash: bytes) -> Deferred[None]:
        left: Deferred[None] = Deferred()
        self._leaving[info_hash].append(left)
        return left

    def _make_room(self) -> bool:
        """Have a place for one more; the swarm that has been idle for longest may have to go to sleep."""
        if len(self._awake) < self._most:
            return True
        idle = [
            (awake.idle_since, info_hash)
            for info_hash, awake in self._awake.items()
            if awake.waiting is None and not awake.swarm.members
        ]
        if idle:
            self._end(min(idle)[1])
        return bool(idle)

    def _look(self) -> None:
        now = self._clock.seconds()
        for info_hash, awake in tuple(self._awake.items()):
            if awake.swarm.members or awake.waiting is not None:
                awake.idle_since = now
            elif now - awake.idle_since >= self._idle:
                self._end(info_hash)
