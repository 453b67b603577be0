"""Run one torrent in the foreground: show it, stop it on a signal, and say how it ended."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from p2pshare.cli.exits import Ended, ExitCode, interrupted
from p2pshare.cli.hook import run_hook
from p2pshare.cli.progress import Progress
from p2pshare.client.goal import SeedGoal
from p2pshare.client.session import Session
from p2pshare.errors import P2PShareError
from p2pshare.swarm.events import Event, PieceVerified, State, StateChanged
from p2pshare.swarm.snapshot import SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm

SHOW_EVERY = 0.25  # s; each way of showing keeps its own, slower pace
STOP_WITHIN = 5.0  # s from the first signal to the end, whatever hangs

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@define(eq=False)
class Transfer:
    """
    One torrent of one process from start to exit code. The reactor is handed in, and run here.

    Decides when it is over: complete and the seed goal reached, nobody found, no progress, failed, or told to stop.
    """

    _reactor: Any
    _session: Session
    _swarm: Swarm
    _progress: Progress
    _goal: SeedGoal
    _timeout: float | None = None  # s without a verified piece until we give up; None: never
    _on_complete: str | None = None  # a shell command
    _path: str = ""  # where the content lies, for that command
    _outcome: P2PShareError | None = field(init=False, default=None)
    _ending: bool = field(init=False, default=False)
    _hook: Deferred[None] | None = field(init=False, default=None)
    _seen_anybody: bool = field(init=False, default=False)
    _progress_at: float = field(init=False, default=0.0)
    _showing: LoopingCall = field(init=False)
    log = Logger()

    def run(self) -> None:
        """
        Work until it is over.

        :raise P2PShareError: how it ended, when that is not well.
        """
        self._session.listen()
        self._swarm.subscribe(self._event)
        self._showing = LoopingCall(self._show)
        self._showing.clock = self._reactor
        self._progress_at = self._reactor.seconds()
        previous = {number: signal.signal(number, self._signalled) for number in _STOPPING}
        self._reactor.callWhenRunning(self._begin)
        try:
            self._reactor.run()  # with its signal handlers: without SIGCHLD it never hears that the hook has ended
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._progress.close()
        if self._outcome is not None:
            raise self._outcome

    def _begin(self) -> None:
        for number in _STOPPING:
            signal.signal(number, self._signalled)  # the reactor has put its own there
        self._session.startService()
        self._showing.start(SHOW_EVERY).addErrback(self._bug)

    def _bug(self, failure: Failure) -> None:
        self.log.failure("showing progress", failure=failure)
        self._end(Ended(f"a bug: {failure.getErrorMessage()}", ExitCode.ERROR))

    @property
    def _is_complete(self) -> bool:
        return self._swarm.completed_at is not None

    def _event(self, event: Event) -> None:
        match event:
            case StateChanged(state=State.DOWNLOADING):
                self._progress_at = self._reactor.seconds()
            case StateChanged(state=State.SEEDING):  # at the end of a download, or complete from the start
                self._reactor.callLater(0, self._completed)
            case StateChanged(state=State.FAILED, error=error):
                self._end(error)
            case PieceVerified():
                self._progress_at = self._reactor.seconds()
            case _:
                pass

    def _completed(self) -> None:
        if self._ending:
            return
        self._progress.complete(self._snapshot())
        if self._on_complete is not None:
            self._hook = run_hook(self._reactor, self._on_complete, self._swarm.content, self._path)
        self._look()

    def _snapshot(self) -> SwarmSnapshot:
        return take_snapshot(self._swarm, self._reactor.seconds())

    def _show(self) -> None:
        self._progress.show(self._snapshot())
        self._look()

    def _look(self) -> None:
        """See whether it is over."""
        now = self._reactor.seconds()
        swarm = self._swarm
        if swarm.members:
            self._seen_anybody = True
        if swarm.completed_at is not None:
            ratio = swarm.up.total / (swarm.content.total_length or 1)
            if self._goal.is_reached(ratio, now - swarm.completed_at):
                self._end(None)
        elif self._timeout is not None and swarm.state is State.DOWNLOADING and now - self._progress_at > self._timeout:
            if self._seen_anybody:
                self._end(Ended(f"no piece arrived for {self._timeout:g} s", ExitCode.TIMED_OUT))
            else:
                self._end(Ended(self._nobody(), ExitCode.NOBODY_FOUND))

    def _nobody(self) -> str:
        troubles = []
        if self._swarm.discovery is not None:
            troubles = [f"{status.url}: {status.last_error or status.state}" for status in self._swarm.discovery.status()]
        told = f" ({'; '.join(troubles)})" if troubles else " (the torrent names no tracker)"
        return f"No peers found for this torrent{told}"

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at the second."""
        if self._ending:
            os._exit(ExitCode.OK if self._is_complete else 128 + number)
        self._reactor.callFromThread(self._end, None if self._is_complete else interrupted(number))

    def _end(self, outcome: P2PShareError | None) -> None:
        if self._ending:
            return
        self._ending = True
        self._outcome = outcome
        if self._showing.running:
            self._showing.stop()
        self._reactor.callLater(STOP_WITHIN, self._stop_reactor)
        ending = Deferred.fromCoroutine(self._stop_session())
        ending.addErrback(lambda failure: self.log.failure("stopping", failure=failure))
        ending.addBoth(lambda _: self._stop_reactor())

    async def _stop_session(self) -> None:
        if self._hook is not None:
            await self._hook
        if self._session.running:
            await self._session.stopService()

    def _stop_reactor(self) -> None:
        if self._reactor.running:
            self._reactor.stop()


def log_warnings() -> None:
    """Let warnings and bugs reach standard error as lines, and nothing else."""
    filtered = FilteringLogObserver(
        textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)]
    )
    globalLogPublisher.addObserver(filtered)
