"""What one log by itself can get wrong."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import check_logs
from p2pshare.course.sentences import (
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    Sentence,
    WasChoked,
    WasConnected,
    WasUnchoked,
)
from tests.course.check.runs import RUN, Said, after, found_in, instead, logs_of, without


class AloneTests(SynchronousTestCase):
    def assertFound(self, run: list[Said], *texts: str) -> None:
        """Exactly these are found in a run, in any order; each text is a part of one."""
        found = found_in(logs_of(run))
        self.assertEqual(len(found), len(texts), found)
        for text in texts:
            self.assertTrue(any(text in one for one in found), (text, found))

    def test_good_run(self) -> None:
        """In a run that went well nothing at all is found, with or without configuration, whatever the times are."""
        self.assertEqual(check_logs(logs_of()), ())
        self.assertEqual(check_logs(logs_of(common=None, info=None, time=lambda seconds: f"{seconds} o'clock")), ())

    def test_s4_13_other_words(self) -> None:
        """A line that is none of the sentences is shown, with the sentence it was meant to be."""
        extra = "[now]: Peer 1002 is choked by Peer 1003.\nhello\n"
        (found,) = found_in(logs_of(extra=extra))
        self.assertIn("log_peer_1002.log, line 13: '[now]: Peer 1002 is choked by Peer 1003.' is none", found)
        self.assertIn("“Peer [id] is choked by [other id].”? (and 1 more like this)", found)

    def test_sentences_of_others(self) -> None:
        """A log speaks of its own peer only."""
        extra = "[2026-03-04 12:00:12]: Peer 1003 is choked by 1001.\n"
        self.assertEqual(len(found := found_in(logs_of(extra=extra))), 1, found)
        self.assertIn("speaks of peer 1003, in the log of 1002", found[0])

    def test_order(self) -> None:
        """Nobody is named before there is a connection to it, and nothing comes from who does not unchoke."""
        self.assertFound(
            [RUN[10], *RUN[:10], *RUN[11:]],
            "line 1: names 1001 before there is a connection",
            "is older than the line before it",
        )
        unchoke = WasUnchoked(1002, 1001)
        self.assertFound(
            without(unchoke),
            "gets piece 0 from 1001, which does not unchoke it",
            "is choked by 1001, and was not unchoked",
        )

    def test_piece_after_a_choke(self) -> None:
        """A piece that was asked for before a choke may be written down after it, but not much later."""
        unchoke, choke = WasUnchoked(1002, 1001), WasChoked(1002, 1001)
        run = [said for said in after(unchoke, choke) if said != (12, choke)]
        self.assertFound(run)
        self.assertEqual(found_in(logs_of(run, time=lambda seconds: "some time")), [])
        late = [(2, said) if said in (unchoke, choke) else (when, said) for when, said in run]
        late.sort(key=lambda said: said[0])
        self.assertFound(late, "gets piece 0 from 1001, which does not unchoke it")

    def test_s4_14_counting(self) -> None:
        """Pieces are counted from 1 on, each once."""
        self.assertFound(
            instead(DownloadedPiece(1002, 1003, 1, 2), DownloadedPiece(1002, 1003, 1, 3)),
            "counts 3 pieces, and has downloaded 2",
        )
        repeat = DownloadedPiece(1002, 1001, 0, 1)
        self.assertFound(after(repeat, repeat), "line 5: downloads piece 0 again")
        self.assertFound(
            after(DownloadedFile(1002), DownloadedPiece(1002, 1003, 2, 3)),
            "downloads piece 2 after the complete file",
            "downloads piece 2 of 2",
            "gets piece 2 from 1003, which by its own log it never got",
            "never hears that 1002 has piece 2",
            "never hears that 1002 has piece 2",
        )

    def test_s4_14_completion(self) -> None:
        """The complete file comes once, with the last piece, and not to who had it from the start."""
        done = DownloadedFile(1002)
        self.assertFound(without(done), "log_peer_1002.log: never has the complete file, with 2 of 2 pieces")
        self.assertFound(after(done, done), "completes the file a second time")
        self.assertFound([*RUN, (12, DownloadedFile(1001))], "completes the file, and had it from the start")
        early = [said for said in RUN if said[1] != done]
        self.assertFound(
            [*early[:20], (7, done), *early[20:]],
            "completes the file with 1 of 2 pieces",
            "downloads piece 1 after the complete file",
        )

    def test_s4_14_preferred(self) -> None:
        """Preferred neighbors are told when they change, are not more than there are slots, and each is named once."""
        same = ChangedPreferred(1001, (1002,))
        self.assertFound(after(same, same), "has the same preferred neighbors as before")
        self.assertFound(after(same, ChangedPreferred(1001, (1002, 1003))), "has 2 preferred neighbors, not at most 1")
        self.assertFound(
            instead(same, ChangedPreferred(1001, (1002, 1002))),
            "names a preferred neighbor twice",
            "has 2 preferred neighbors, not at most 1",
        )

    def test_changes_only(self) -> None:
        """A second unchoke, choke or have of the same kind means that somebody sends what did not change."""
        for said, text in (
            (WasUnchoked(1002, 1001), "warning: log_peer_1002.log, line 4: is unchoked by 1001, and was not choked"),
            (WasChoked(1002, 1001), "is choked by 1001, and was not unchoked"),
            (ReceivedHave(1001, 1002, 0), "hears of piece 0 from 1002 again"),
        ):
            self.assertFound(after(said, said), text)

    def test_s4_4_who_dials(self) -> None:
        """Who comes later in PeerInfo.cfg dials; nobody is connected to itself, or twice."""
        turned: dict[Sentence, Sentence] = {
            MadeConnection(1003, 1002): WasConnected(1003, 1002),
            WasConnected(1002, 1003): MadeConnection(1002, 1003),
        }
        self.assertFound(
            [(when, turned.get(said, said)) for when, said in RUN],
            "log_peer_1002.log, line 2: 1003 has to dial, as it comes later in PeerInfo.cfg",
            "log_peer_1003.log, line 2: 1003 has to dial, as it comes later in PeerInfo.cfg",
        )
        self.assertFound(after(RUN[0][1], MadeConnection(1002, 1002)), "is connected to itself")
        self.assertFound(after(RUN[0][1], RUN[0][1]), "is connected to 1001 a second time")
