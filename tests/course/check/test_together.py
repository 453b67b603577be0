"""What logs can contradict each other in."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import check_logs
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    WasChoked,
    WasConnected,
    WasUnchoked,
)
from tests.course.check.runs import COMMON, RUN, Said, after, found_in, instead, logs_of, without


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
        """Every piece is told to every neighbor; without times, the order of the lines says that it was not told."""
        run = without(ReceivedHave(1001, 1002, 0), ReceivedHave(1001, 1002, 1))
        text = "log_peer_1001.log: never hears that 1002 has piece 0, which it got in line 4 of its log"
        self.assertEqual(found_in(logs_of(run)), [f"error: {text} (and 1 more like this)"])
        found = found_in(logs_of(run, time=lambda seconds: "some time"))
        self.assertEqual(found, [f"error: {text} (and 1 more like this)"])

    def test_have_in_the_bitfield(self) -> None:
        """What a neighbor had when it was connected needs no have."""
        run = without(ReceivedHave(1001, 1002, 0))
        late = [
            (9 if {1001, 1002} == {said.peer, getattr(said, "other", 0)} and when == 0 else when, said)
            for when, said in run
        ]
        self.assertFalse(any("never hears" in one for one in found_in(logs_of(late))))

    def test_no_haves_at_all(self) -> None:
        """That nobody hears of any piece is seen in the shortest run: an unchoke comes after the bitfield."""
        run = [(when, said) for when, said in RUN if not isinstance(said, ReceivedHave)]
        for time in ("[2026-03-04 12:00:00]", "some time"):
            found = found_in(logs_of(run, time=lambda seconds, time=time: time))
            self.assertEqual(
                [one[:46] for one in found],
                [f"error: log_peer_{id}.log: never hears that 100" for id in (1001, 1001, 1002, 1003)],
                found,
            )

    def test_no_haves_of_a_stranger(self) -> None:
        """From who neither wants nor offers anything, three pieces untold cannot all have been in the bitfield."""
        four, common = range(4), evolve(COMMON, file_size=40)
        run: list[Said] = [*RUN[:9], (5, WasUnchoked(1002, 1001)), (5, WasUnchoked(1003, 1001))]
        run[8] = (5, ChangedPreferred(1001, (1002, 1003)))
        for piece in four:
            run += [(6, DownloadedPiece(id, 1001, piece, piece + 1)) for id in (1002, 1003)]
            run += [(6, ReceivedHave(1001, id, piece)) for id in (1002, 1003)]
        run += [(6, DownloadedFile(1002)), (6, DownloadedFile(1003))]
        common = evolve(common, preferred_neighbors=2)
        found = found_in(logs_of(run, common=common, time=lambda seconds: "some time"))
        self.assertEqual(
            found,
            [
                "error: log_peer_1002.log: never hears that 1003 has piece 0, which it got in line 4 of its log "
                "(and 3 more like this)",
                "error: log_peer_1003.log: never hears that 1002 has piece 0, which it got in line 4 of its log "
                "(and 3 more like this)",
            ],
        )

    def test_times_tell_what_was_in_the_bitfield(self) -> None:
        """Who comes late hears of the first pieces in the bitfield; where no times tell that, nothing is said."""
        late = {MadeConnection(1003, 1002), WasConnected(1002, 1003), ReceivedHave(1003, 1002, 0)}
        run = [(when, said) for when, said in RUN if said not in late]
        first = [said for _, said in run].index(DownloadedPiece(1002, 1001, 0, 1))
        run[first + 1 : first + 1] = [(6, MadeConnection(1003, 1002)), (6, WasConnected(1002, 1003))]
        self.assertEqual(found_in(logs_of(run)), [])
        self.assertEqual(found_in(logs_of(run, time=lambda seconds: "some time")), [])

    def test_clocks_that_differ(self) -> None:
        """Other zones, wrong clocks and times without a date are no contradiction: a connection begins for both."""
        logs = logs_of()
        other = logs_of(time=lambda seconds: f"10:20:{seconds:02}").by_peer[1002]
        self.assertEqual(check_logs(evolve(logs, by_peer={**logs.by_peer, 1002: other})), ())

    def test_have_of_a_seed(self) -> None:
        """Who had the file from the start gets no piece, and so tells of none."""
        have = ReceivedHave(1002, 1001, 0)
        self.assertEqual(
            found_in(logs_of(after(WasUnchoked(1002, 1001), have))),
            [
                "error: log_peer_1002.log, line 4: hears from 1001 that it has piece 0, which had the file from the "
                "start and so gets no piece to tell of"
            ],
        )

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
        self.assertEqual(str(note), "note: all logs: nobody ever says “Peer [id] is choked by [other id].”")
