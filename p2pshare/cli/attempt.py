"""A download over BitTorrent that may be given up for another way, within a process that goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred

from p2pshare.cli.notices import Say
from p2pshare.cli.progress import Progress
from p2pshare.cli.transfer import Terms, Transfer
from p2pshare.client.session import Session
from p2pshare.swarm.events import State
from p2pshare.swarm.swarm import Swarm

_LOOK_EVERY = 0.05  # s: a content of a few bytes should not wait for more


class NobodyThere(Exception):
    """Within the time one was willing to wait there was no peer to connect to."""


@define(eq=False)
class _Stage:
    """The reactor as a transfer sees it: stopping it ends the transfer, not the process."""

    _reactor: Any
    running: bool = field(init=False, default=True)
    over: Deferred[None] = field(init=False, factory=Deferred)

    def seconds(self) -> float:
        return float(self._reactor.seconds())

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any:
        return self._reactor.callLater(delay, function, *args)

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self._reactor.callFromThread(function, *args)

    def stop(self) -> None:
        self.running = False
        self.over.callback(None)


async def attempt(
    reactor: Any,
    session: Session,
    swarm: Swarm,
    terms: Terms,
    progress: Progress,
    say: Say,
    patience: float | None = None,
) -> None:
    """
    Do what ``p2pshare download`` does, in a reactor that runs.

    :param patience: seconds that may pass without anybody there; None: as many as ``terms`` allow.
    :raise NobodyThere: they have passed; the session has stopped.
    """
    stage = _Stage(reactor)
    transfer = Transfer(stage, session, swarm, terms, progress, say=say, leave_within=lambda seconds, outcome: None)
    lonely: list[bool] = []

    def look(waited: float) -> None:
        if not stage.running or swarm.members or swarm.store.is_complete:
            return
        is_downloading = swarm.state is State.DOWNLOADING
        if patience is not None and is_downloading and (waited >= patience or _is_deserted(swarm)):
            lonely.append(True)
            transfer.signalled(signal.SIGTERM)  # as if somebody had said so
        else:
            reactor.callLater(_LOOK_EVERY, look, waited + _LOOK_EVERY * is_downloading)

    transfer.begin()
    look(0.0)
    try:
        await stage.over
    except CancelledError:
        stage.over = Deferred()
        transfer.signalled(signal.SIGINT)
        if stage.running:
            await stage.over
        if transfer.outcome is not None:
            raise
    if lonely:
        raise NobodyThere
    if transfer.outcome is not None:
        raise transfer.outcome


def _is_deserted(swarm: Swarm) -> bool:
    """Whether every tracker has answered, and there is no address to try."""
    trackers = () if swarm.discovery is None else swarm.discovery.status()
    return not swarm.meeting.known and all(each.state in ("working", "failing", "not supported") for each in trackers)
