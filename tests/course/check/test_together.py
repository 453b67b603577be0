"""What logs can contradict each other in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import check_logs
from p2pshare.course.sentences import (
    ChangedOptimistic,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    WasChoked,
    WasConnected,
)
from tests.course.check.runs import RUN, after, found_in, instead, logs_of, without


class TogetherTests(SynchronousTestCase):
    def test_piece_from_who_never_had_it(self) -> None:
        """A piece that came from a leech which by its own log never got it is a contradiction."""
        found = found_in(logs_of(instead(DownloadedPiece(1002, 1001, 0, 1), DownloadedPiece(1002, 1001, 1, 1))))
        self.assertIn(
            "error: log_peer_1003.log, line 9: gets piece 0 from 1002, which by its own log it never got", found
        )

    def test_piece_from_who_got_it_later(self) -> None:
        """A piece cannot be passed on before it came."""
        run = [(4 if said == DownloadedPiece(1003, 1002, 0, 2) else when, said) for when, said in RUN]
        run = [(12 if said == DownloadedPiece(1002, 1001, 0, 1) else when, said) for when, said in run]
        found = found_in(logs_of(run))
        self.assertTrue(any("gets piece 0 from 1002, which by its own log it got 8 s later" in one for one in found))
        found = found_in(logs_of(run, time=lambda seconds: "some time"))
        self.assertFalse(any("later" in one for one in found), found)

    def test_have_of_who_never_had_it(self) -> None:
        """A have for a piece that its sender by its own log never got is a contradiction."""
        have = ReceivedHave(1003, 1002, 0)
        self.assertEqual(
            found_in(logs_of(after(have, ReceivedHave(1003, 1002, 5)))),
            [
                "error: log_peer_1003.log, line 6: hears from 1002 that it has piece 5, "
                "which by its own log it never got"
            ],
        )

    def test_s4_11_missing_have(self) -> None:
        """Every piece is told to every neighbor; without times that cannot be said for sure."""
        run = without(ReceivedHave(1001, 1002, 0), ReceivedHave(1001, 1002, 1))
        text = "log_peer_1001.log: never hears that 1002 has piece 0, which it got in line 4 of its log"
        self.assertEqual(found_in(logs_of(run)), [f"error: {text} (and 1 more like this)"])
        found = found_in(logs_of(run, time=lambda seconds: "some time"))
        self.assertEqual(found, [f"warning: {text} (and 1 more like this)"])

    def test_have_in_the_bitfield(self) -> None:
        """What a neighbor had when it was connected needs no have."""
        run = without(ReceivedHave(1001, 1002, 0))
        late = [
            (9 if {1001, 1002} == {said.peer, getattr(said, "other", 0)} and when == 0 else when, said)
            for when, said in run
        ]
        self.assertFalse(any("never hears" in one for one in found_in(logs_of(late))))

    def test_one_side_of_a_connection(self) -> None:
        """A connection is in the logs of both."""
        self.assertIn(
            "error: log_peer_1003.log, line 1: dials 1001, whose log does not say “is connected from Peer 1003”",
            found_in(logs_of(without(WasConnected(1001, 1003)))),
        )
        self.assertIn(
            "error: log_peer_1001.log, line 2: is connected from 1003, whose log does not say "
            "“makes a connection to Peer 1001”",
            found_in(logs_of(without(MadeConnection(1003, 1001)))),
        )

    def test_s4_4_everybody_meets(self) -> None:
        """In the swarm of a PeerInfo.cfg all are connected with each other, and each has a log."""
        both = {1002, 1003}
        run = [(when, said) for when, said in RUN if {said.peer, getattr(said, "other", 0)} != both]
        found = found_in(logs_of(run))
        self.assertIn(
            "error: log_peer_1002.log: never is connected to 1003, as all peers of PeerInfo.cfg are with each other",
            found,
        )
        found = found_in(logs_of([(when, said) for when, said in RUN if said.peer != 1003]))
        self.assertEqual(found, ["error: all logs: peer 1003 of PeerInfo.cfg has no log"])

    def test_unchoked_by_nobody(self) -> None:
        """Who unchokes has chosen, as a preferred or optimistic neighbor."""
        self.assertEqual(
            found_in(logs_of(without(ChangedOptimistic(1001, 1003)))),
            [
                "error: log_peer_1003.log, line 3: is unchoked by 1001, which never has it as preferred or optimistic "
                "neighbor"
            ],
        )

    def test_piece_without_interest(self) -> None:
        """Who gets pieces has said before that it is interested."""
        self.assertEqual(
            found_in(logs_of(without(ReceivedInterested(1001, 1002)))),
            ["error: log_peer_1002.log, line 4: gets pieces from 1001, whose log never says that 1002 is interested"],
        )

    def test_words_nobody_said(self) -> None:
        """A sentence that is in no log is noted, as small swarms may do without."""
        (note,) = check_logs(logs_of(without(WasChoked(1002, 1001))))
        self.assertEqual(str(note), "note: all logs: nobody ever says “Peer {peer} is choked by {other}.”")
