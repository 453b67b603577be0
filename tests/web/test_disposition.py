"""Tests of p2pshare.web.disposition."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web.disposition import attachment

_SHAPE = re.compile(
    r"attachment; filename=\"([ -!#-\[\]-~]+)\"(?:; filename\*=UTF-8''([!#$&+.^_`|~%0-9A-Za-z-]+))?", re.ASCII
)


class AttachmentTests(SynchronousTestCase):
    """The name a download is saved under."""

    def test_plain(self) -> None:
        """A plain name is written once."""
        self.assertEqual(attachment("a b & c;d.txt"), 'attachment; filename="a b & c;d.txt"')

    def test_foreign(self) -> None:
        """Another one is written twice: for old clients, and exactly."""
        self.assertEqual(
            attachment("képek €.zip"),
            "attachment; filename=\"kepek .zip\"; filename*=UTF-8''k%C3%A9pek%20%E2%82%AC.zip",
        )
        self.assertEqual(attachment("日本"), "attachment; filename=\"download\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC")

    def test_percent(self) -> None:
        """A percent sign is one: some clients would decode it."""
        self.assertEqual(attachment("50%41.txt"), "attachment; filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt")

    def test_f77_controls(self) -> None:
        """Line ends, escapes, quotes, separators and what turns the writing round become underscores."""
        self.assertEqual(
            attachment('a\r\nb="c"\x1b[2J\u202egpj.exe/\\'), 'attachment; filename="a__b=_c__[2J_gpj.exe__"'
        )

    def test_empty(self) -> None:
        """There is always a name."""
        self.assertEqual(attachment(""), 'attachment; filename="_"')

    @given(st.text(max_size=30))
    def test_f77_any_name(self, name: str) -> None:
        """Whatever the name, the header is one line of ASCII, and tells a name without separators."""
        header = attachment(name)
        found = _SHAPE.fullmatch(header)
        assert found is not None, header
        exact = unquote(found[2]) if found[2] else found[1]
        self.assertNotRegex(exact, r"[/\\\"\x00-\x1f\x7f]")
