"""Who was interested and who was unchoked, in two logs."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import check_logs
from p2pshare.course.config import PeerInfo
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    ReceivedNotInterested,
    Sentence,
    WasChoked,
    WasConnected,
    WasUnchoked,
)
from tests.course.check.runs import COMMON, INFO, RUN, Said, after, found_in, logs_of

CHOICE = ChangedPreferred(1001, (1002,))


def pair(*, chosen_after: int = 0) -> list[Sentence]:
    """
    Let 1002 get six pieces from 1001.

    :param chosen_after: so many pieces 1001 has heard of when it writes down that it prefers 1002.
    """
    run: list[Sentence] = [MadeConnection(1002, 1001), WasConnected(1001, 1002), ReceivedInterested(1001, 1002)]
    run.append(WasUnchoked(1002, 1001))
    for piece in range(6):
        if piece == chosen_after:
            run.append(CHOICE)
        run += [DownloadedPiece(1002, 1001, piece, piece + 1), ReceivedHave(1001, 1002, piece)]
    return [*run, DownloadedFile(1002), ReceivedNotInterested(1001, 1002)]


class UnchokeTests(SynchronousTestCase):
    def found(self, run: list[Sentence]) -> list[str]:
        common, info = evolve(COMMON, file_size=60), PeerInfo(INFO.peers[:2])
        return found_in(logs_of([(0, said) for said in run], common=common, info=info))

    def test_choice_that_was_not_written(self) -> None:
        """Every unchoke is of who was newly chosen, so one more than there are lines means that a line is missing."""
        run = after(WasUnchoked(1002, 1001), WasChoked(1002, 1001), WasUnchoked(1002, 1001))
        self.assertEqual(
            found_in(logs_of(run)),
            [
                "error: log_peer_1002.log, line 5: is unchoked by 1001 more often than that names it as newly "
                "preferred or optimistic neighbor: 2 times and 1 times"
            ],
        )

    def test_choice_after_its_unchoke(self) -> None:
        """A line that names a neighbor long after its unchoke is about another choice."""
        run = [(12 if said == CHOICE else when, said) for when, said in RUN if not isinstance(said, WasChoked)]
        run = [said for said in run if said[1] != ReceivedNotInterested(1001, 1002)]
        self.assertIn(
            "error: log_peer_1002.log, line 3: is unchoked by 1001, which by its own log names it as preferred or "
            "optimistic neighbor 7 s later",
            found_in(logs_of(run)),
        )

    def test_choice_after_its_pieces(self) -> None:
        """Without times, haves for the pieces that an unchoke brought come after the choice, but for a few."""
        self.assertEqual(self.found(pair()), [])
        self.assertEqual(self.found(pair(chosen_after=2)), [])
        self.assertEqual(
            self.found(pair(chosen_after=3)),
            [
                "error: log_peer_1001.log, line 3: hears that 1002 has pieces it sent, before it names it as preferred "
                "or optimistic neighbor"
            ],
        )

    def test_interested_again(self) -> None:
        """The same set may be chosen again after it was empty, which is not written down."""
        run = after(
            WasUnchoked(1002, 1001),
            ReceivedNotInterested(1001, 1002),
            WasChoked(1002, 1001),
            ReceivedInterested(1001, 1002),
            WasUnchoked(1002, 1001),
        )
        self.assertEqual(found_in(logs_of(run)), [])


class InterestTests(SynchronousTestCase):
    def assertOverdue(self, run: list[Said], line: int, *, at_once: bool = False) -> None:
        """That 1003 is not interested any more is missing in the log of 1001, as a line shows, and nothing else."""
        found = found_in(logs_of(run, time=(lambda seconds: "[2026-03-04 12:00:00]") if at_once else None))
        text = "has not heard before that 1003 is not interested, though it was, and is not now"
        self.assertEqual(found, [f"error: log_peer_1001.log, line {line}: {text}"])

    def test_end_of_a_log(self) -> None:
        """In the moment of the last have a log may end, and so without what was to come."""
        self.assertEqual(check_logs(logs_of()), ())

    def test_not_interested_is_missing(self) -> None:
        """Who has the complete file says that it is not interested, if there is time for it."""
        goodbye = ReceivedNotInterested(1001, 1002)
        self.assertOverdue([(14 if said == goodbye else when, said) for when, said in RUN], 11)
        last = ReceivedHave(1001, 1003, 0)
        self.assertOverdue(after(last, ChangedPreferred(1001, (1003,)), CHOICE), 12, at_once=True)

    def test_who_is_dropped_was_not_interested(self) -> None:
        """Who is not preferred any more although there is a slot has said that it is not interested."""
        run = after(ReceivedHave(1001, 1003, 0), CHOICE)
        run = [
            (when, ChangedPreferred(1001, (1002, 1003)) if (when, said) == (5, CHOICE) else said) for when, said in run
        ]
        run = [
            (when, ChangedOptimistic(1001, 1002) if said == ChangedOptimistic(1001, 1003) else said)
            for when, said in run
        ]
        found = found_in(logs_of(run, common=evolve(COMMON, preferred_neighbors=2)))
        text = "has not heard before that 1003 is not interested, though it was, and is not now"
        self.assertEqual(found, [f"error: log_peer_1001.log, line 11: {text}"])

    def test_choice_of_who_is_not_interested(self) -> None:
        """Nobody is chosen who has said that it is not interested."""
        gone = ReceivedNotInterested(1001, 1002)
        self.assertEqual(
            found_in(logs_of(after(gone, ChangedOptimistic(1001, 1002)))),
            [
                "error: log_peer_1001.log, line 12: has 1002 as the optimistically unchoked neighbor, "
                "which is not interested"
            ],
        )
        run = after(gone, ChangedPreferred(1001, (1003,)), CHOICE)
        self.assertIn(
            "error: log_peer_1001.log, line 13: has 1002 as a preferred neighbor, which is not interested",
            found_in(logs_of(run)),
        )

    def test_choice_of_who_was_never_interested(self) -> None:
        """Nobody is chosen who never said that it is interested."""
        self.assertIn(
            "error: log_peer_1002.log, line 13: has 1001 as preferred or optimistic neighbor, which never says that it "
            "is interested",
            found_in(logs_of(after(WasChoked(1002, 1001), ChangedOptimistic(1002, 1001)))),
        )

    def test_interest_of_who_has_the_file(self) -> None:
        """Who has the complete file is not interested: neither a seed, nor a leech that has told of its last piece."""
        self.assertIn(
            "error: log_peer_1002.log, line 4: hears that 1001 is interested, which had the file from the start",
            found_in(logs_of(after(WasUnchoked(1002, 1001), ReceivedInterested(1002, 1001)))),
        )
        for time in ("[2026-03-04 12:00:00]", "some time"):
            run = after(ReceivedNotInterested(1001, 1002), ReceivedInterested(1001, 1002))
            self.assertEqual(
                found_in(logs_of(run, time=lambda seconds, time=time: time)),
                ["error: log_peer_1001.log, line 12: hears that 1002 is interested, which has the complete file"],
            )
