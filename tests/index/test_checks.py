"""Tests of p2pshare.index.checks."""

from __future__ import annotations

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RequestRefused
from p2pshare.index import checks


@frozen
class Claim:
    """Something that a stranger says."""

    name: str = field(validator=checks.filename, default="x")
    label: str = field(validator=checks.label, default="")
    count: int = field(validator=checks.number(1, 5), default=1)
    tags: tuple[str, ...] = field(validator=checks.tags, default=())


class ChecksTests(SynchronousTestCase):
    """Limits, and what is said at them."""

    def test_at_the_limits(self) -> None:
        """What is just within the limits is taken."""
        for count in (1, 5):
            Claim("n" * checks.NAME, "l" * checks.LABEL, count, ("t" * checks.LABEL,) * checks.TAGS)
        Claim("a\nb\t\x7f")  # POSIX allows control characters in names of files

    def test_beyond_the_limits(self) -> None:
        """One more is refused: the field, what was seen, what was expected."""
        for said, reason in (
            ({"name": ""}, "name: 0 characters, expected 1 to 1024"),
            ({"name": "n" * 1025}, "name: 1025 characters, expected 1 to 1024"),
            ({"label": "l" * 257}, "label: 257 characters, expected 0 to 256"),
            ({"count": 0}, "count: 0, expected 1 to 5"),
            ({"count": 6}, "count: 6, expected 1 to 5"),
            ({"tags": ("",) * 33}, "tags: 33 of them, expected 32 at most"),
            ({"tags": ("t" * 257,)}, "tags: 257 characters, expected 0 to 256"),
        ):
            with self.assertRaises(RequestRefused) as caught:
                Claim(**said)  # type: ignore[arg-type]
            self.assertEqual(str(caught.exception), reason)

    def test_characters(self) -> None:
        """NUL and halves of characters are in no text; control characters in no label."""
        for said, code in (
            ({"name": "a\0"}, "0000"),
            ({"name": "\udc80"}, "DC80"),
            ({"label": "a\x1b[2J"}, "001B"),
            ({"tags": ("a\nb",)}, "000A"),
        ):
            with self.assertRaisesRegex(RequestRefused, rf"holds the character U\+{code}, which is not allowed"):
                Claim(**said)  # type: ignore[arg-type]
