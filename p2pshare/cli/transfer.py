"""Run one torrent in the foreground: show it, stop it on a signal, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.cli.exits import Ended, ExitCode, interrupted
from p2pshare.cli.giving_up import no_progress, nobody_found
from p2pshare.cli.hook import Hook
from p2pshare.cli.leaving import STOP_WITHIN, leave_within, told_to_stop
from p2pshare.cli.notices import Say, say_nothing
from p2pshare.cli.progress import Progress
from p2pshare.client.goal import FOREVER, SeedGoal
from p2pshare.client.session import Session
from p2pshare.swarm.events import Event, PieceVerified, State, StateChanged
from p2pshare.swarm.snapshot import SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm

SHOW_EVERY = 0.25  # s; each way of showing keeps its own, slower pace
_FIRST_LOOK_AT_HOOK = 0.02  # s; most commands are that quick
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
    outcome: Exception | None = field(init=False, default=None)  # what went wrong, when it is over
    _ending: bool = field(init=False, default=False)
    _is_leaving: bool = field(init=False, default=False)  # the process ends soon, whatever hangs
    _is_told_complete: bool = field(init=False, default=False)
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
        if self.outcome is not None:
            raise self.outcome

    def begin(self) -> None:
        """Start everything; the reactor runs."""
        self._progress_at = self._looked_at = self._reactor.seconds()
        self._swarm.subscribe(self._event)
        # Shown later: a check that is over by then is not worth a line.
        looking = self._showing.start(SHOW_EVERY, now=False)
        looking.addErrback(lambda failure: self.log.failure("looking", failure=failure))
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

    # Showing it

    def _show(self) -> None:
        self._attempt(lambda: self._progress.show(self._snapshot()))
        self._look()

    def _snapshot(self) -> SwarmSnapshot:
        return take_snapshot(self._swarm, self._reactor.seconds())

    def _completed(self) -> None:
        if self._ending or self._is_told_complete:
            return
        self._is_told_complete = True
        self._attempt(self._show_completion)
        if self._hook is not None:
            self._hook.start()
            self._await_hook(self._hook, _FIRST_LOOK_AT_HOOK)
        self._look()

    def _show_completion(self) -> None:
        path = self._terms.path
        self._progress.complete(self._snapshot())
        if self._terms.is_seed:
            self._say(f"Seeding {path} on port {self._session.port}; stop with Ctrl-C")
        else:
            self._say(f"Complete: {path}")
        if self._hook is not None and self._has_given_enough():
            self._stop_showing()  # what the command writes is not to stand in the middle of the bar

    def _await_hook(self, hook: Hook, wait: float) -> None:
        self._hook_runs = hook.still_runs()
        if self._hook_runs:
            self._reactor.callLater(wait, self._await_hook, hook, min(wait * 2, SHOW_EVERY))
        else:
            self._look()

    def _attempt(self, show: Callable[[], None]) -> None:
        try:
            show()
        except OSError as error:  # whoever reads our output has gone, or the disk it goes to is full
            self._end(error)
        except Exception:
            self.log.failure("showing progress")
            self._end(Ended("progress cannot be shown", ExitCode.ERROR))

    def _stop_showing(self) -> None:
        if self._showing.running:
            self._showing.stop()
            self._progress.close()

    # Deciding when it is over

    def _look(self) -> None:
        now, timeout, swarm = self._reactor.seconds(), self._terms.timeout, self._swarm
        if now - self._looked_at > _ASLEEP:
            self._progress_at += now - self._looked_at
        self._looked_at = now
        self._seen_anybody = self._seen_anybody or bool(swarm.members)
        if self._is_complete:
            # A look may come between the last piece and what is said and run for it.
            if self._is_told_complete and self._has_given_enough() and not self._hook_runs:
                self._end(None)
        elif swarm.state is State.DOWNLOADING and timeout is not None and now - self._progress_at > timeout:
            self._end(no_progress(swarm, timeout, now) if self._seen_anybody else nobody_found(swarm, timeout))

    @property
    def _is_complete(self) -> bool:
        swarm = self._swarm
        return swarm.completed_at is not None and swarm.store.is_complete  # a piece may be lost again

    def _has_given_enough(self) -> bool:
        swarm = self._swarm
        since = self._reactor.seconds() if swarm.completed_at is None else swarm.completed_at
        ratio = swarm.up.total / (swarm.content.total_length or 1)
        return self._terms.goal.is_reached(ratio, self._reactor.seconds() - since)

    # Ending it

    def signalled(self, number: int) -> None:
        """Stop in order, and in time even if the reactor is held up; called between any two steps of ours."""
        if self._ending:
            return
        outcome = None if self._is_complete or self._terms.is_seed else interrupted(number)
        self._leave_in_time(outcome)
        self._reactor.callFromThread(self._end, outcome)

    def _leave_in_time(self, outcome: Exception | None) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._leave_within(STOP_WITHIN, outcome)

    def _end(self, outcome: Exception | None) -> None:
        if self._ending:
            return
        self._ending = True
        self.outcome = outcome
        try:
            self._stop_showing()
        except OSError as error:
            self.outcome = outcome or error
        self._leave_in_time(self.outcome)
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
