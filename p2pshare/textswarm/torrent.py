"""One content of a text peer, until its file is put together."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from p2pshare.errors import P2PShareError
from p2pshare.swarm.events import Event, State, StateChanged
from p2pshare.swarm.swarm import Swarm
from p2pshare.textswarm.mesh import TextMesh
from p2pshare.textswarm.store import TextStore
from p2pshare.textswarm.tracker import TextDiscovery


@define(eq=False)
class TextTorrent:
    """Joins a swarm with the file that is to come of it."""

    torrent_hash: str
    store: TextStore
    swarm: Swarm
    mesh: TextMesh
    _discovery: TextDiscovery
    _output: Path | None  # what is put together; None: it was shared, not fetched
    finished: Deferred[None] = field(init=False, factory=Deferred)  # fires once the file is there, or errs back
    _is_settled: bool = field(init=False, default=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.swarm.subscribe(self._happened)

    @property
    def num_pieces(self) -> int:
        """How many pieces there are."""
        return self.store.geometry.num_pieces

    def _happened(self, event: Event) -> None:
        match event:
            case StateChanged(state=State.SEEDING):
                self._part_from_sources()
                self._finish()
            case StateChanged(state=State.FAILED, error=P2PShareError() as error) if not self._is_settled:
                self._is_settled = True
                self.finished.errback(error)

    def _part_from_sources(self) -> None:
        """Whom we dialled has nothing more for us; whoever dialled us goes on."""
        for member in list(self.swarm.members.values()):
            if not member.link.is_incoming:
                member.link.close("we have everything")

    def _finish(self) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        if self._output is None:
            self.finished.callback(None)
            return
        # No hash was ever told: what can be compared is what came with what lies there now.
        self.log.info("{output}: unverified source, compared with what came", output=str(self._output))
        self.store.assemble(self._output).addCallback(self._assembled).chainDeferred(self.finished)

    def _assembled(self, _: None) -> None:
        self._discovery.has_file()
