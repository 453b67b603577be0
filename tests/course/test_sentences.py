"""The sentences, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course import sentences
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

# As the assignment prints them.
GOLDEN: list[tuple[Sentence, str]] = [
    (MadeConnection(1001, 1002), "Peer 1001 makes a connection to Peer 1002."),
    (WasConnected(1001, 1002), "Peer 1001 is connected from Peer 1002."),
    (ChangedPreferred(1001, (1002, 1003)), "Peer 1001 has the preferred neighbors 1002,1003."),
    (ChangedOptimistic(1001, 1004), "Peer 1001 has the optimistically unchoked neighbor 1004."),
    (WasUnchoked(1001, 1002), "Peer 1001 is unchoked by 1002."),
    (WasChoked(1001, 1002), "Peer 1001 is choked by 1002."),
    (ReceivedHave(1001, 1002, 17), "Peer 1001 received the ‘have’ message from 1002 for the piece 17."),
    (ReceivedInterested(1001, 1002), "Peer 1001 received the ‘interested’ message from 1002."),
    (ReceivedNotInterested(1001, 1002), "Peer 1001 received the ‘not interested’ message from 1002."),
    (
        DownloadedPiece(1001, 1002, 17, 42),
        "Peer 1001 has downloaded the piece 17 from 1002. Now the number of pieces it has is 42.",
    ),
    (DownloadedFile(1001), "Peer 1001 has downloaded the complete file."),
]

ids = st.integers(0, 2**32 - 1)
pieces = st.integers(0, 2**21 - 1)
any_sentence = st.one_of(
    *(st.builds(kind, ids, ids) for kind in (MadeConnection, WasConnected, ChangedOptimistic, WasUnchoked, WasChoked)),
    *(st.builds(kind, ids, ids) for kind in (ReceivedInterested, ReceivedNotInterested)),
    st.builds(ChangedPreferred, ids, st.lists(ids, min_size=1, max_size=5).map(tuple)),
    st.builds(ReceivedHave, ids, ids, pieces),
    st.builds(DownloadedPiece, ids, ids, pieces, pieces),
    st.builds(DownloadedFile, ids),
)


class SentenceTests(SynchronousTestCase):
    def test_s4_13_wording(self) -> None:
        """All eleven are written as the assignment prints them, but for its quotes, which are ASCII."""
        self.assertEqual({type(sentence) for sentence, _ in GOLDEN}, set(sentences.TEMPLATES))
        for sentence, text in GOLDEN:
            self.assertEqual(sentences.write(sentence), text.replace("‘", "'").replace("’", "'"))

    def test_read(self) -> None:
        """They are read with either kind of quotes, with or without a blank after a comma, behind any form of time."""
        for sentence, text in GOLDEN:
            for variant in (text, text.replace("‘", "'").replace("’", "'"), text.replace(",", ", ")):
                for time in ("[2026-01-02 03:04:05]", "[Fri Jan 02 03:04:05 EST 2026]", "03:04:05"):
                    self.assertEqual(sentences.read(f"{time}: {variant}"), (time, sentence))

    @given(any_sentence)
    def test_round_trip(self, sentence: Sentence) -> None:
        """What is written is read as the same sentence."""
        self.assertEqual(sentences.read(f"[now]: {sentences.write(sentence)}"), ("[now]", sentence))

    def test_nearly(self) -> None:
        """A word more, a word less or another mark is another sentence; which one was meant can be told."""
        for line, kind in (
            ("[now]: Peer 1001 is choked by Peer 1002.", WasChoked),
            ("[now]: Peer 1001 is unchoked by 1002", WasUnchoked),
            ("[now]: Peer 1001 makes a connection to 1002.", MadeConnection),
            ("[now]: Peer 1001 received the have message from 1002 for the piece 17.", ReceivedHave),
            ("[now]: Peer 1001 received the 'have’ message from 1002 for the piece 17.", ReceivedHave),
            ("[now]: Peer 1001 received the 'not interested' message from Peer 1002.", ReceivedNotInterested),
            ("[now]: Peer 1001 has the preferred neighbors .", ChangedPreferred),
            ("[now]: Peer 1001 has downloaded the piece 17 from 1002.", DownloadedPiece),
            ("[now]: Peer 1001 has downloaded the complete file!", DownloadedFile),
            ("[now]: Peer 1001 has downloaded the complete file. ", DownloadedFile),
            ("Peer 1001 is choked by 1002.", WasChoked),
        ):
            self.assertIs(sentences.read(line), None)
            self.assertIs(sentences.meant(line), kind)
        self.assertIs(sentences.meant("[now]: hello"), None)

    @given(st.text(max_size=80) | st.text("Peer 1: .", max_size=40))
    def test_garbage(self, line: str) -> None:
        """Any text is one of the eleven or None."""
        sentences.read(line)
        sentences.meant(line)

    def test_long_lines(self) -> None:
        """A line that goes on and on is none, however it begins."""
        line = "[now]: Peer 1001 has the preferred neighbors " + "1," * 10000 + "1."
        self.assertIs(sentences.read(line), None)
