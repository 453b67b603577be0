"""The life of every torrent, as lines in the log."""

from __future__ import annotations

from twisted.logger import Logger

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

_log = Logger()


def write_chronicle(swarm: Swarm) -> None:
    """Log every change of a swarm's state from now on."""

    def write(event: Event) -> None:
        if isinstance(event, StateChanged):
            content = swarm.content
            _log.info(
                _LINES[event.state],
                torrent=content.name,
                missing=content.num_pieces - swarm.store.have.count,
                pieces=content.num_pieces,
                error=event.error,
            )

    swarm.subscribe(write)
