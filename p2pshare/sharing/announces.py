"""Announces of many torrents that are seeded but sleep: one after the other, to one tracker (BEP 3, "trackers")."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from attrs import define, evolve, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.discovery.announce_timing import AnnouncerSettings, pause, regular_wait
from p2pshare.discovery.known_tracker import TrackerClient
from p2pshare.errors import TrackerError, TrackerFailure
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event

PER_SECOND = 10.0  # announces; half of what our own tracker takes from one address
AT_ONCE = 4  # under way; the connections are kept for the next ones
FAREWELLS = 32  # under way, once we leave
REFUSED = 300.0  # s until a torrent that the tracker refused is announced again
_SLACK = 1.2  # more often than the interval would want it, so that nobody falls behind


@define(eq=False)
class SeedAnnounces(Service):
    """
    Keeps one tracker informed of many complete torrents, at a steady pace, however many there are.

    New ones and those that go are told before those that stay. ``completed`` is never announced: nothing was fetched.
    Knows no swarm: ``describe`` fills the torrent's part of each request, and ``found`` takes the addresses of who
    wants one of them.
    """

    _tracker: TrackerClient
    _clock: IReactorTime
    _random: Random
    _describe: Callable[[bytes], AnnounceRequest]
    _found: Callable[[bytes, list[Address]], object]
    _settings: AnnouncerSettings = field(factory=AnnouncerSettings, kw_only=True)
    trouble: str | None = field(init=False, default=None)  # why the tracker cannot be told; None: it can
    _key: bytes = field(init=False)
    # Every torrent of ours is in exactly one of: _fresh, under way, or _due_at with its time.
    _ours: set[bytes] = field(init=False, factory=set)
    _known: set[bytes] = field(init=False, factory=set)  # the tracker may list us there
    _fresh: dict[bytes, None] = field(init=False, factory=dict)  # to be told at once, in order
    _leaving: dict[bytes, None] = field(init=False, factory=dict)  # not ours any more, and the tracker lists us
    _due_at: dict[bytes, float] = field(init=False, factory=dict)
    _queue: list[tuple[float, bytes]] = field(init=False, factory=list)  # heap; what _due_at does not say is void
    _asking: dict[bytes, Deferred[None]] = field(init=False, factory=dict)
    _timer: IDelayedCall | None = field(init=False, default=None)
    _rest_until: float = field(init=False, default=0.0)
    _last_at: float = field(init=False, default=float("-inf"))  # when an announce began
    _failures: int = field(init=False, default=0)  # in a row
    _interval: float = field(init=False, default=1800.0)  # s, as the tracker said last
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._key = b"%08X" % self._random.getrandbits(32)  # BEP 7: by it a tracker knows us under another address

    def add(self, info_hash: bytes) -> None:
        """Announce a torrent from now on; one that is announced stays so."""
        self._leaving.pop(info_hash, None)
        if info_hash not in self._ours:
            self._ours.add(info_hash)
            if info_hash not in self._asking:
                self._fresh[info_hash] = None
            self._schedule()

    def __len__(self) -> int:
        return len(self._ours)

    def remove(self, info_hash: bytes) -> None:
        """Announce a torrent no more; the tracker is told, if it may list us."""
        if info_hash in self._ours:
            self._ours.discard(info_hash)
            self._fresh.pop(info_hash, None)
            self._due_at.pop(info_hash, None)
            if info_hash in self._known and info_hash not in self._asking:
                self._leaving[info_hash] = None
            self._schedule()

    def renew(self) -> None:
        """The tracker was away, or has begun anew: tell it everything as if it had never heard of us."""
        self._failures, self._rest_until = 0, 0.0
        for info_hash in self._ours - self._asking.keys():
            self._known.discard(info_hash)
            self._due_at.pop(info_hash, None)
            self._fresh[info_hash] = None
        self._schedule()

    def startService(self) -> None:
        super().startService()
        self._schedule()

    def stopService(self) -> Deferred[None]:
        """Say goodbye for as many torrents as the time allows; the tracker forgets the others by itself."""
        super().stopService()
        self._cancel_timer()
        leaving = Deferred.fromCoroutine(self._leave())
        leaving.addTimeout(self._settings.stop_timeout, self._clock, lambda *_: None)
        return leaving.addErrback(self._log_bug)

    # When

    @property
    def _gap(self) -> float:
        """Seconds between two announces."""
        return min(1 / PER_SECOND, self._interval / (_SLACK * max(1, len(self._ours))))

    def _schedule(self) -> None:
        self._cancel_timer()
        if not self.running or len(self._asking) >= AT_ONCE:
            return
        due = self._next_due()
        if due is not None:
            now = self._clock.seconds()
            self._timer = self._clock.callLater(
                max(0.0, max(due, self._rest_until, self._last_at + self._gap) - now), self._go_on
            )

    def _next_due(self) -> float | None:
        if self._fresh or self._leaving:
            return 0.0
        while self._queue and self._due_at.get(self._queue[0][1]) != self._queue[0][0]:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        self._last_at = self._clock.seconds()
        if self._leaving:
            info_hash = next(iter(self._leaving))
            del self._leaving[info_hash]
            self._tell(info_hash, Event.STOPPED)
        else:
            if self._fresh:
                info_hash = next(iter(self._fresh))
                del self._fresh[info_hash]
            else:
                _, info_hash = heappop(self._queue)
                del self._due_at[info_hash]
            self._tell(info_hash, None if info_hash in self._known else Event.STARTED)
        self._schedule()

    def _wait(self, info_hash: bytes, seconds: float) -> None:
        self._due_at[info_hash] = due = self._clock.seconds() + seconds
        heappush(self._queue, (due, info_hash))
        if len(self._queue) > 2 * len(self._due_at) + 100:  # void ones, of torrents that went
            self._queue = sorted((due, info_hash) for info_hash, due in self._due_at.items())

    # What

    def _tell(self, info_hash: bytes, event: Event | None) -> None:
        telling = Deferred.fromCoroutine(self._announce(info_hash, event))
        if not telling.called:
            self._asking[info_hash] = telling
        telling.addErrback(self._log_bug).addBoth(self._over, info_hash, event)

    def _over(self, _: object, info_hash: bytes, event: Event | None) -> None:
        self._asking.pop(info_hash, None)
        if info_hash not in self._ours:
            if info_hash in self._known:
                self._leaving[info_hash] = None  # it went while it was announced
        elif event is Event.STOPPED:
            self._fresh[info_hash] = None  # it came back while it was taken off the list
        elif info_hash not in self._due_at:
            self._wait(info_hash, REFUSED)  # a bug of ours, which is in the log
        self._schedule()

    async def _announce(self, info_hash: bytes, event: Event | None) -> None:
        if event is Event.STOPPED:
            self._known.discard(info_hash)  # said once; who does not hear it forgets us by itself
        else:
            self._known.add(info_hash)  # from now on it may list us, even if no answer ever comes back
        try:
            answer = await self._tracker.announce(self._request(info_hash, event))
        except TrackerFailure as error:
            self._complain(str(error))
            if info_hash in self._ours and event is not Event.STOPPED:
                self._known.discard(info_hash)
                self._wait(info_hash, max(error.retry_in or 0.0, REFUSED))
        except TrackerError as error:
            self._failed(info_hash, event, str(error))
        else:
            self._answered(info_hash, event, answer)

    def _request(self, info_hash: bytes, event: Event | None) -> AnnounceRequest:
        numwant = 0 if event is Event.STOPPED else None
        request = self._describe(info_hash)
        return evolve(request, left=0, event=event, numwant=numwant, key=self._key, compact=not self._settings.names)

    def _answered(self, info_hash: bytes, event: Event | None, answer: AnnounceResponse) -> None:
        self._failures = 0
        self._complain(None)
        if event is Event.STOPPED or info_hash not in self._ours:
            return
        self._interval = regular_wait(answer, self._settings, self._random)
        self._wait(info_hash, self._interval)
        if answer.peers and self.running:
            try:
                self._found(info_hash, [Address(peer.host, peer.port) for peer in answer.peers])
            except Exception:
                self.log.failure("taking peers from a tracker")  # the announces must go on

    def _failed(self, info_hash: bytes, event: Event | None, reason: str) -> None:
        """Nobody there: that is so for all torrents, and for those under way at the same time it is no more news."""
        now = self._clock.seconds()
        if now >= self._rest_until:
            self._failures += 1
            self._rest_until = now + pause(self._failures, None, self._settings, self._random)
        wait = self._rest_until - now
        self._complain(reason)
        if info_hash in self._ours and event is not Event.STOPPED:
            if event is Event.STARTED:
                self._known.discard(info_hash)
            self._wait(info_hash, wait)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            self.log.warn("shared files cannot be announced: {trouble}", trouble=trouble)
        self.trouble = trouble

    # The end

    async def _leave(self) -> None:
        for telling in list(self._asking.values()):
            telling.cancel()
        known = deque(sorted(self._known))
        await DeferredList(
            [Deferred.fromCoroutine(self._say_goodbye(known)) for _ in range(min(FAREWELLS, len(known)))],
            consumeErrors=True,
        )

    async def _say_goodbye(self, known: deque[bytes]) -> None:
        while known:
            info_hash = known.popleft()
            self._known.discard(info_hash)
            try:
                await self._tracker.announce(self._request(info_hash, Event.STOPPED))
            except TrackerFailure:
                continue
            except TrackerError:  # nobody there, for the others neither
                return

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # stopping cancels
            self.log.failure("announcing shared files", failure)
