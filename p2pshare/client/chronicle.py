"""The life of every torrent, as lines in the log."""

from __future__ import annotations

from twisted.logger import Logger

from p2pshare.errors import DiskFull
from p2pshare.rates import format_duration
from p2pshare.swarm.events import Event, State, StateChanged
from p2pshare.swarm.swarm import Swarm

# State -> what is said of it. Failures are told here, too, so that these lines alone say how each torrent does.
_LINES = {
    State.CHECKING: "{torrent}: checking what is on disk",
    State.DOWNLOADING: "{torrent}: downloading, {missing} of {pieces} pieces to go",
    State.SEEDING: "{torrent}: complete, seeding",
    State.FAILED: "{torrent}: failed and stays so until it is added anew: {error}",
    State.STOPPED: "{torrent}: stopped",
}
_NO_ROOM = "{torrent}: paused, to be tried again in {wait}: {error}"

_log = Logger()


def write_chronicle(swarm: Swarm) -> None:
    """Log every change of a swarm's state from now on."""
    before: State | None = None

    def write(event: Event) -> None:
        nonlocal before
        if isinstance(event, StateChanged):
            content = swarm.content
            # Found full while downloading, a disk is tried again; what fails in the check at the start is over.
            is_paused = isinstance(event.error, DiskFull) and before is not State.CHECKING
            _log.info(
                _NO_ROOM if is_paused else _LINES[event.state],
                torrent=content.name,
                missing=content.num_pieces - swarm.store.have.count,
                pieces=content.num_pieces,
                error=event.error,
                wait=format_duration(swarm.settings.disk_retry),
            )
            before = event.state

    swarm.subscribe(write)
