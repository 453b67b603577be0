"""Tests for when what is said is written."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.speech import MOST_MENTIONS, Speech


class SpeechTests(SynchronousTestCase):
    """In order, and in few writes."""

    def setUp(self) -> None:
        self.writes: list[bytes] = []
        self.speech = Speech(self.writes.append)

    def test_said_at_once(self) -> None:
        """Outside a batch each thing said is a write."""
        self.speech.say(b"a")
        self.speech.say(b"b")
        self.assertEqual(self.writes, [b"a", b"b"])

    def test_batch_is_one_write(self) -> None:
        """In a batch everything waits for its end."""
        self.speech.begin()
        self.speech.say(b"a")
        self.speech.say(b"b")
        self.assertEqual(self.writes, [])
        self.speech.end()
        self.assertEqual(self.writes, [b"ab"])

    def test_mentions_overtake_nothing(self) -> None:
        """A mention keeps its place: it goes out with the first thing said after it, and before that."""
        self.speech.mention(b"a")
        self.speech.say(b"b")
        self.speech.begin()
        self.speech.say(b"c")
        self.speech.mention(b"d")
        self.speech.end()
        self.assertEqual(self.writes, [b"ab", b"cd"])

    def test_batch_of_mentions_alone(self) -> None:
        """A batch in which nothing was said ends without a write."""
        self.speech.mention(b"a")
        self.speech.begin()
        self.speech.mention(b"b")
        self.speech.end()
        self.assertEqual(self.writes, [])
        self.speech.flush()
        self.speech.flush()
        self.assertEqual(self.writes, [b"ab"])

    def test_mentions_are_bounded(self) -> None:
        """A full packet of mentions is a write of its own."""
        for _ in range(MOST_MENTIONS - 1):
            self.speech.mention(b"a")
        self.assertEqual(self.writes, [])
        self.speech.mention(b"a")
        self.speech.mention(b"b")
        self.assertEqual(self.writes, [b"a" * MOST_MENTIONS])

    def test_forgotten(self) -> None:
        """What is forgotten is not written, and does not count."""
        self.speech.mention(b"a")
        self.speech.forget()
        self.speech.begin()
        self.speech.say(b"b")
        self.speech.end()
        self.assertEqual(self.writes, [b"b"])
