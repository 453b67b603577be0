"""What may reach a terminal."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.terminal import never_fail_to_encode, printable


class PrintableTests(SynchronousTestCase):
    """Names of strangers."""

    def test_f77_control_characters(self) -> None:
        """ANSI sequences, newlines, direction overrides and broken bytes become visible escapes."""
        self.assertEqual(
            printable("a\x1b[31m\r\n\x00\x9b\u202e\u200b\udcff"), "a\\x1b[31m\\r\\n\\x00\\x9b\\u202e\\u200b\\udcff"
        )

    def test_all_scripts_stay(self) -> None:
        """Letters, accents, wide spaces and symbols are shown as they are."""
        for text in ("naïve Straße.txt", "日本\u3000語", "ελληνικά", "🎵 music", "50\N{NO-BREAK SPACE}%", "C:\\x"):
            self.assertEqual(printable(text), text)

    @settings(max_examples=200)
    @given(st.text())
    def test_always_one_printable_line(self, text: str) -> None:
        """Whatever the name, what is printed is one line that can be encoded."""
        shown = printable(text)
        self.assertLessEqual(len(shown.splitlines()), 1)
        shown.encode()


class EncodingTests(SynchronousTestCase):
    """Terminals that are not Unicode."""

    def test_poor_encoding(self) -> None:
        """What the terminal's encoding lacks is escaped instead of ending the command."""
        import sys

        buffer = BytesIO()
        self.patch(sys, "stdout", TextIOWrapper(buffer, encoding="ascii"))
        never_fail_to_encode()
        sys.stdout.write("naïve")
        sys.stdout.flush()
        self.assertEqual(buffer.getvalue(), b"na\\xefve")
