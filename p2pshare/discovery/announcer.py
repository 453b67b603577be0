"""When to tell which tracker what about one torrent (BEP 3, 12, 31)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.discovery.announce_timing import FIRST_PAUSE, AnnouncerSettings, pause, regular_wait, shortest_wait
from p2pshare.discovery.fetch import shown
from p2pshare.discovery.known_tracker import KnownTracker, TrackerClient, TrackerStatus
from p2pshare.errors import TrackerError, TrackerFailure
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event

NUMWANT = 80  # as Transmission asks
_A_BREATH = 1.0  # seconds between two rounds at least, whatever happened in the first

MakeTracker = Callable[[str], TrackerClient | None]


@define(eq=False)
class Announcer:
    """
    Keeps the trackers of one torrent informed and collects the peers they name.

    One announce is under way at a time. It goes to the first tracker of the first tier; the next one of the tier is
    asked when that fails, the next tier when the whole one has failed, and who answers moves to the front of its tier
    (BEP 12). A tracker that failed rests, so that it does not delay the announces to those that work.

    Knows no HTTP, no UDP, no peers and no pieces: ``describe`` fills the torrent's part of each request (its
    ``numwant`` None means as many as usual), and ``found`` takes the addresses, names among them.
    """

    _first_tiers: Iterable[Iterable[str]]  # announce URLs
    _make_tracker: MakeTracker
    _clock: IReactorTime
    _random: Random
    _describe: Callable[[], AnnounceRequest]
    _found: Callable[[list[Address]], object]
    _settings: AnnouncerSettings = field(factory=AnnouncerSettings, kw_only=True)
    external_ip: str | None = field(init=False, default=None)  # where a tracker sees us (BEP 24): hearsay
    _tiers: list[list[KnownTracker]] = field(init=False, factory=list)
    _key: bytes = field(init=False)
    # While running, either a round is under way, or the timer for the next one runs, or there is nobody to ask.
    _running: bool = field(init=False, default=False)
    _round: Deferred[float | None] | None = field(init=False, default=None)
    _timer: IDelayedCall | None = field(init=False, default=None)
    _saying: Event | None = field(init=False, default=None)  # the event of the announce under way
    _earliest: float = field(init=False, default=0.0)  # no announce just for more peers before this time
    _no_completion: bool = field(init=False, default=False)  # it was reported, or we began with everything
    _completed_due: bool = field(init=False, default=False)
    _goodbyes: list[Deferred[None]] = field(init=False, factory=list)  # who waits for stop(); empty: not stopping
    _deadline: float = field(init=False, default=math.inf)  # of the goodbyes
    _start_again: bool = field(init=False, default=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        # By the key a tracker knows us again under another address; BEP 7 wants 32 bits at least.
        self._key = b"%08X" % self._random.getrandbits(32)
        self.add_tiers(self._first_tiers)

    def add_tiers(self, tiers: Iterable[Iterable[str]]) -> None:
        """Add trackers behind those already there, each tier in random order; URLs already known are left out."""
        known = {tracker.url for tracker in self._trackers()}
        for urls in tiers:
            fresh = [url for url in dict.fromkeys(urls) if url not in known]
            known.update(fresh)
            if fresh:
                self._random.shuffle(fresh)
                self._tiers.append([self._meet(url) for url in fresh])
        if self._running and self._round is None and self._timer is None:
            self._schedule(0.0)

    def start(self) -> None:
        """Announce ``started``, and go on announcing until :meth:`stop`."""
        if self._goodbyes:
            self._start_again = True  # after the "stopped" under way, which would take us off the list again
        elif not self._running:
            self._running = True
            self._no_completion = self._no_completion or self._describe().left == 0
            for tracker in self._trackers():
                tracker.forget_failures()
            self._schedule(0.0)

    def completed(self) -> None:
        """Announce ``completed`` with nothing left, once, as soon as a tracker listens; not if we began complete."""
        if self._running and not self._no_completion:
            self._no_completion = self._completed_due = True
            now = self._clock.seconds()
            if self._round is None and any(tracker.may_be_asked(now) for tracker in self._trackers()):
                self._schedule(0.0)

    def announce_now(self) -> None:
        """Ask for more peers before the interval is over: as soon as the tracker's minimum interval allows."""
        if self._timer is not None and self._earliest < self._timer.getTime():
            self._schedule(max(0.0, self._earliest - self._clock.seconds()))

    def stop(self) -> Deferred[None]:
        """
        Announce ``stopped`` to the trackers that know us, and nothing more after that.

        A ``completed`` that is due or under way goes first, so that a client may leave as soon as it has everything.

        :return: fires when the trackers were told, at the latest after ``stop_timeout`` seconds; never fails.
        """
        done: Deferred[None] = Deferred()
        self._goodbyes.append(done)
        self._start_again = False
        if len(self._goodbyes) == 1:
            self._running = False
            self._cancel_timer()
            self._deadline = self._clock.seconds() + self._settings.stop_timeout
            leaving = Deferred.fromCoroutine(self._leave())
            leaving.addTimeout(self._settings.stop_timeout, self._clock, lambda *_: None)
            leaving.addErrback(self._log_bug).addBoth(self._left)
        return done

    def status(self) -> tuple[TrackerStatus, ...]:
        """Describe every tracker, in the order of asking."""
        now = self._clock.seconds()
        due = None if self._timer is None else self._timer.getTime()
        return tuple(tracker.status(n, now, due) for n, tier in enumerate(self._tiers) for tracker in tier)

    def _meet(self, url: str) -> KnownTracker:
        return KnownTracker(url, self._make_tracker(url))

    def _trackers(self) -> list[KnownTracker]:
        return [tracker for tier in self._tiers for tracker in tier]

    def _schedule(self, wait: float) -> None:
        self._cancel_timer()
        self._timer = self._clock.callLater(wait, self._begin_round)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_round(self) -> None:
        self._timer = None
        self._round = Deferred.fromCoroutine(self._ask_around())
        self._round.addErrback(self._log_bug).addBoth(self._round_over)

    def _round_over(self, wait: float | None) -> None:
        self._round = None
        if self._running and wait is not None:
            self._schedule(wait)

    async def _ask_around(self) -> float | None:
        """Ask tracker after tracker until one answers; give the seconds until the next round, None for never."""
        for tier in tuple(self._tiers):
            for tracker in tuple(tier):
                if not self._running:
                    return None
                if not tracker.may_be_asked(self._clock.seconds()):
                    continue
                answer = await self._tell(tracker)
                if answer is not None:
                    tier.remove(tracker)
                    tier.insert(0, tracker)
                    self._earliest = self._clock.seconds() + shortest_wait(answer, self._settings)
                    return regular_wait(answer, self._settings, self._random)
        self._earliest = min((t.rest_until for t in self._trackers() if t.client is not None), default=math.inf)
        return None if self._earliest == math.inf else max(_A_BREATH, self._earliest - self._clock.seconds())

    async def _tell(self, tracker: KnownTracker) -> AnnounceResponse | None:
        """Announce to one tracker whatever it has to hear; None when it failed."""
        completed_due = self._completed_due and tracker.knows_us
        event = Event.COMPLETED if completed_due else None if tracker.knows_us else Event.STARTED
        answer = await self._announce(tracker, event)
        if answer is None:
            return None
        if event is Event.COMPLETED:
            self._completed_due = False
        self._take(answer)
        return await self._tell(tracker) if self._completed_due and self._running else answer

    async def _announce(self, tracker: KnownTracker, event: Event | None) -> AnnounceResponse | None:
        assert tracker.client is not None
        request = self._request(tracker, event)
        tracker.knows_us = True  # from now on it may, even if no answer ever comes back
        tracker.asking, self._saying = True, event
        try:
            answer = await tracker.client.announce(request)
        except TrackerError as error:
            if self._running:
                tracker.knows_us = event is not Event.STARTED
                self._failed(tracker, error)
            return None
        finally:
            tracker.asking, self._saying = False, None
        tracker.answered(answer)
        return answer

    def _request(self, tracker: KnownTracker, event: Event | None) -> AnnounceRequest:
        request = self._describe()
        numwant = NUMWANT if request.numwant is None else request.numwant
        return evolve(
            request,
            left=0 if event is Event.COMPLETED else request.left,
            event=event,
            numwant=0 if event is Event.STOPPED else numwant,
            key=self._key,
            compact=not self._settings.names,
            tracker_id=tracker.tracker_id,
        )

    def _failed(self, tracker: KnownTracker, error: TrackerError) -> None:
        retry_in = error.retry_in if isinstance(error, TrackerFailure) else None
        wait = pause(tracker.failures + 1, retry_in, self._settings, self._random)
        if str(error) != tracker.error:
            url = shown(tracker.url)  # most errors begin with it; after a redirect with another one
            self.log.warn("tracker {url}: {error}", url=url, error=str(error).removeprefix(f"{url}: "))
        tracker.failed(str(error), self._clock.seconds() + wait)

    def _take(self, answer: AnnounceResponse) -> None:
        self.external_ip = answer.external_ip or self.external_ip
        if answer.peers and self._running:
            try:
                self._found([Address(peer.host, peer.port) for peer in answer.peers])
            except Exception:
                self.log.failure("taking peers from a tracker")  # the announces must go on

    async def _leave(self) -> None:
        if self._round is not None:
            if self._saying is not Event.COMPLETED:
                self._round.cancel()
            if self._round is not None:  # cancelling may have ended it at once
                await self._round
        goodbyes = []
        for tracker in self._trackers():
            if tracker.knows_us:
                goodbye = Deferred.fromCoroutine(self._part_from(tracker, self._completed_due))
                goodbyes.append(goodbye.addErrback(self._log_bug))
                self._completed_due = False
        await DeferredList(goodbyes)

    async def _part_from(self, tracker: KnownTracker, completed_first: bool) -> None:
        if completed_first and self._in_time():
            await self._announce(tracker, Event.COMPLETED)
        if self._in_time():
            await self._announce(tracker, Event.STOPPED)

    def _in_time(self) -> bool:
        # Being cancelled at the deadline looks like a tracker's failure to a coroutine, which would go on.
        return self._clock.seconds() < self._deadline

    def _left(self, _: object) -> None:
        for tracker in self._trackers():
            tracker.knows_us = False
        goodbyes, self._goodbyes = self._goodbyes, []
        if self._start_again:
            self.start()
        for done in goodbyes:
            done.callback(None)

    def _log_bug(self, failure: Failure) -> float:
        if not failure.check(CancelledError):  # stop() cancels
            self.log.failure("announcing", failure=failure)
        return FIRST_PAUSE
