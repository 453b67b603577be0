"""What the log says of a torrent's life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.client.chronicle import write_chronicle
from p2pshare.errors import DiskFull, P2PShareError, StorageError
from p2pshare.metainfo import Metainfo, parse
from p2pshare.swarm.events import PieceVerified, State, StateChanged
from p2pshare.swarm.settings import SwarmSettings
from tests.client.fakes import torrent_file


@define
class Store:
    """One of three pieces is there."""

    have: Bitfield = field(factory=lambda: Bitfield.from_bytes(b"\x80", 3))


@define
class FakeSwarm:
    """Enters the states it is told to."""

    content: Metainfo = field(factory=lambda: parse(torrent_file("blob", bytes(40_000))))
    store: Store = field(factory=Store)
    settings: SwarmSettings = field(factory=SwarmSettings)
    subscribers: list[Callable[[Any], None]] = field(factory=list)

    def subscribe(self, subscriber: Callable[[Any], None]) -> None:
        self.subscribers.append(subscriber)

    def enter(self, state: State, error: P2PShareError | None = None) -> None:
        for subscriber in self.subscribers:
            subscriber(StateChanged(state, error))


class ChronicleTests(SynchronousTestCase):
    """One line for each change of state."""

    def lines(self, *states: tuple[State, P2PShareError | None]) -> list[str]:
        """Tell what is written when a swarm goes through these states."""
        swarm: Any = FakeSwarm()
        with capturedLogs() as events:
            write_chronicle(swarm)
            for state, error in states:
                swarm.enter(state, error)
            for subscriber in swarm.subscribers:
                subscriber(PieceVerified(0))
        return [str(formatEvent(event)) for event in events]

    def test_good_life(self) -> None:
        """Checked, downloaded, seeded, stopped; nothing is said of single pieces."""
        self.assertEqual(
            self.lines((State.CHECKING, None), (State.DOWNLOADING, None), (State.SEEDING, None), (State.STOPPED, None)),
            [
                "blob: checking what is on disk",
                "blob: downloading, 2 of 3 pieces to go",
                "blob: complete, seeding",
                "blob: stopped",
            ],
        )

    def test_failed(self) -> None:
        """What is wrong on disk stays so; a download without room goes on by itself, and it says when."""
        full = DiskFull("blob.part: no space is left on its disk")
        self.assertEqual(
            self.lines((State.DOWNLOADING, None), (State.FAILED, full))[-1],
            "blob: paused, to be tried again in 10m00s: blob.part: no space is left on its disk",
        )
        self.assertEqual(
            self.lines((State.DOWNLOADING, None), (State.FAILED, StorageError("blob: is a folder")))[-1],
            "blob: failed and stays so until it is added anew: blob: is a folder",
        )

    def test_no_room_from_the_start(self) -> None:
        """Nobody tries again what did not get through the check at the start."""
        full = DiskFull("no space is left")
        self.assertIn("until it is added anew", self.lines((State.CHECKING, None), (State.FAILED, full))[-1])
