"""Run one torrent in the foreground: show it, stop it on a signal, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.cli.exits import Ended, ExitCode, interrupted
from p2pshare.cli.hook import Hook
from p2pshare.cli.leaving import leave_within, told_to_stop
from p2pshare.cli.notices import Say, say_nothing
from p2pshare.cli.progress import Progress
from p2pshare.client.goal import FOREVER, SeedGoal
from p2pshare.client.session import Session
from p2pshare.swarm.events import Event, PieceVerified, State, StateChanged
from p2pshare.swarm.snapshot import SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm

SHOW_EVERY = 0.25  # s; each way of showing keeps its own, slower pace
_FIRST_LOOK_AT_HOOK = 0.02  # s; most commands are that quick
STOP_WITHIN = 5.0  # s from the first signal, or from the end of the work, to the end of the process
_STOP_IN_ORDER_WITHIN = 4.5  # s; the rest is for threads
_SAY_SO_AFTER = 0.7  # s of stopping
_ASLEEP = 10.0  # s between two looks: somebody stopped the process (Ctrl-Z), or the machine


@frozen
class Terms:
    """What the user wants of a transfer."""

    path: str  # where the content lies or will lie
    goal: SeedGoal = FOREVER  # how long to seed once it is complete
    timeout: float | None = None  # s without a verified piece until we give up; None: never
    is_seed: bool = False  # it only gives: to be stopped is how it ends well, complete or not


@define(eq=False)
class Transfer:
    """
    One torrent of one process from start to exit code.

    Decides when it is over: complete and the seed goal reached, nobody found, no progress, failed, or told to stop.
    """

    _reactor: Any
    _session: Session
    _swarm: Swarm
    _terms: Terms
    _progress: Progress
    _say: Say = field(kw_only=True, default=say_nothing)  # notes for people
    _hook: Hook | None = field(kw_only=True, default=None)
    _leave_within: Callable[[float, Exception | None], None] = field(kw_only=True, default=leave_within)
    _outcome: Exception | None = field(init=False, default=None)
    _ending: bool = field(init=False, default=False)
    _hook_runs: bool = field(init=False, default=False)
    _seen_anybody: bool = field(init=False, default=False)
    _progress_at: float = field(init=False, default=0.0)  # when something last went forward
    _looked_at: float = field(init=False, default=0.0)
    _showing: LoopingCall = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._showing = LoopingCall(self._show)
        self._showing.clock = self._reactor

    def run(self) -> None:
        """
        Run the reactor until it is over. The port is open already.

        :raise Exception: how it ended, when that is not well.
        """
        self._reactor.callWhenRunning(self.begin)
        with told_to_stop(self.signalled):
            self._reactor.run(installSignalHandlers=False)  # ours are there already: no signal finds none
        if self._outcome is not None:
            raise self._outcome

    def begin(self) -> None:
        """Start everything; the reactor runs."""
        self._progress_at = self._looked_at = self._reactor.seconds()
        self._swarm.subscribe(self._event)
        # Shown later: a check that is over by then is not worth a line.
        self._showing.start(SHOW_EVERY, now=False).addErrback(self._cannot_show)
        self._session.startService()

    def _event(self, event: Event) -> None:
        match event:
            case StateChanged(state=State.DOWNLOADING) | PieceVerified():
                self._progress_at = self._reactor.seconds()
            case StateChanged(state=State.SEEDING):  # at the end of a download, or complete from the start
                self._reactor.callLater(0, self._completed)
            case StateChanged(state=State.FAILED, error=error):
                self._end(error)
            case _:
                pass

    @property
    def _is_complete(self) -> bool:
        return self._swarm.completed_at is not None

    def _completed(self) -> None:
        if self._ending:
            return
        if self._hook is not None:
            self._hook.start()
            self._await_hook(self._hook, _FIRST_LOOK_AT_HOOK)
        maybeDeferred(self._show_completion).addErrback(self._cannot_show)

    def _await_hook(self, hook: Hook, wait: float) -> None:
        self._hook_runs = hook.still_runs()
        if self._hook_runs:
            self._reactor.callLater(wait, self._await_hook, hook, min(wait * 2, SHOW_EVERY))
        else:
            self._look()

    def _show_completion(self) -> None:
        self._progress.complete(self._snapshot())
        path = self._terms.path
        if self._terms.is_seed:
            self._say(f"Seeding {path} on port {self._session.port}; stop with Ctrl-C")
        else:
            self._say(f"Complete: {path}")
        self._look()

    def _snapshot(self) -> SwarmSnapshot:
        return take_snapshot(self._swarm, self._reactor.seconds())

    def _show(self) -> None:
        self._progress.show(self._snapshot())
        self._look()

    def _cannot_show(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, OSError):  # else whoever reads our output has gone, or the disk it goes to is full
            self.log.failure("showing progress", failure=failure)
            error = Ended("progress could not be shown", ExitCode.ERROR)
        self._end(error)

    def _look(self) -> None:
        """See whether it is over."""
        if self._ending:
            return
        now, terms, swarm = self._reactor.seconds(), self._terms, self._swarm
        if now - self._looked_at > _ASLEEP:
            self._progress_at += now - self._looked_at
        self._looked_at = now
        self._seen_anybody = self._seen_anybody or bool(swarm.members)
        if swarm.completed_at is not None:
            ratio = swarm.up.total / (swarm.content.total_length or 1)
            if terms.goal.is_reached(ratio, now - swarm.completed_at) and not self._hook_runs:
                self._end(None)
        elif swarm.state is State.DOWNLOADING and terms.timeout is not None and now - self._progress_at > terms.timeout:
            self._end(self._too_late(terms.timeout))

    def _too_late(self, timeout: float) -> Ended:
        name = self._swarm.content.name
        if self._seen_anybody:
            peers = len(self._swarm.members)
            connected = f"{peers} peer{'' if peers == 1 else 's'} connected" if peers else "nobody connected any more"
            return Ended(f"{name}: no piece arrived for {timeout:g} s, with {connected}", ExitCode.TIMED_OUT)
        return Ended(f"{name}: no peer found within {timeout:g} s ({self._why_nobody()})", ExitCode.NOBODY_FOUND)

    def _why_nobody(self) -> str:
        known = self._swarm.meeting.known
        reasons = [f"{known} address{'' if known == 1 else 'es'} tried in vain"] if known else []
        for tracker in () if self._swarm.discovery is None else self._swarm.discovery.status():
            trouble = tracker.last_error or ("knows nobody else" if tracker.state == "working" else "no answer yet")
            if tracker.last_error or not known:
                reasons.append(trouble if trouble.startswith(tracker.url) else f"{tracker.url}: {trouble}")
        return "; ".join(reasons) or "the torrent names no tracker; name one with -t, or a peer with --peer"

    def signalled(self, number: int) -> None:
        """Stop in order, and in time even if the reactor is held up; called between any two steps of ours."""
        is_well = self._is_complete or self._terms.is_seed
        outcome = None if is_well else interrupted(number)
        if not self._ending:
            self._leave_within(STOP_WITHIN, outcome)
        self._reactor.callFromThread(self._end, outcome)

    def _end(self, outcome: Exception | None) -> None:
        if self._ending:
            return
        self._ending = True
        self._outcome = outcome
        if self._showing.running:
            self._showing.stop()
        try:
            self._progress.close()
        except OSError as error:
            self._outcome = self._outcome or error
        self._leave_within(STOP_WITHIN, self._outcome)
        self._reactor.callLater(_SAY_SO_AFTER, self._say_what_takes_so_long)
        self._reactor.callLater(_STOP_IN_ORDER_WITHIN, self._stop_reactor)
        ending = maybeDeferred(self._session.stopService)
        ending.addErrback(lambda failure: self.log.failure("stopping", failure=failure))
        ending.addBoth(lambda _: self._stop_reactor())

    def _say_what_takes_so_long(self) -> None:
        with suppress(OSError):
            self._say("Stopping: waiting for trackers and the disk, for a few seconds at most; Ctrl-C ends it at once")

    def _stop_reactor(self) -> None:
        if self._reactor.running:
            self._reactor.stop()
