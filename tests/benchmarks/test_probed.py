"""The probe in the reactor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.probed import PERIOD, Probe, Witness, tell, where


class ProbeTests(SynchronousTestCase):
    """Probe"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.probe = Probe(self.clock.callLater, self.clock.seconds)
        self.probe.start()

    def lateness(self) -> list[float]:
        """What it has seen, in periods."""
        return [round(late / PERIOD, 3) for _, late in self.probe.samples]

    def test_a_punctual_reactor_is_not_late(self) -> None:
        """A timer that comes when it is due is not late."""
        for _ in range(3):
            self.clock.advance(PERIOD)
        self.assertEqual([late for late in self.lateness() if late > 0.001], [])
        self.assertEqual(len(self.lateness()), 3)

    def test_every_moment_of_a_stall_counts(self) -> None:
        """Whoever came in the middle of a stall waited for the rest of it: one long stall is many late moments."""
        self.clock.advance(4.5 * PERIOD)
        self.assertEqual(self.lateness(), [3.5, 2.5, 1.5, 0.5])

    def test_it_goes_on_after_a_stall(self) -> None:
        """After a stall the timer is due when it would have been without."""
        self.clock.advance(4.5 * PERIOD)
        self.clock.advance(0.6 * PERIOD)
        self.assertEqual(self.lateness()[4:], [0.1])


class TellTests(SynchronousTestCase):
    """tell()"""

    def test_what_was_seen_is_there_at_once(self) -> None:
        """The file has every late moment and every place, and nothing of it lies beside it."""
        clock = Clock()
        probe = Probe(clock.callLater, clock.seconds)
        probe.start()
        clock.advance(1.5 * PERIOD)
        witness = QuietWitness(probe)
        witness.places["somewhere"] = 3
        file = Path(self.mktemp())
        tell(file, probe, witness)
        told = json.loads(file.read_text())
        self.assertEqual(told["samples"], [list(sample) for sample in probe.samples])
        self.assertEqual((len(told["samples"]), told["places"]), (1, [["somewhere", 3]]))
        self.assertEqual(list(file.parent.glob(f"{file.name}*")), [file])


class QuietWitness(Witness):
    """One without a thread."""

    def stop(self) -> None:
        """Nothing to end."""


class WhereTests(SynchronousTestCase):
    """where()"""

    def test_code_of_others_is_elsewhere(self) -> None:
        """Only functions of ours and of the reactor are named."""
        self.assertEqual(where(sys._getframe()), "elsewhere")
