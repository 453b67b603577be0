"""Tests of p2pshare.web.ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web.ranges import Header, Part, Unsatisfiable, Version, is_unchanged, wanted_part

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
FILE = Version(1000, '"tag"', 784111777.6)  # that second, and a bit


def headers(**given: str) -> Header:
    """Headers of a request, by name with underscores."""
    return lambda name: given.get(name.replace("-", "_"))


class RangeTests(SynchronousTestCase):
    """Which bytes are wanted."""

    def wanted(self, text: str, **more: str) -> Part | None:
        """What a Range header asks of a file of 1000 bytes."""
        return wanted_part(headers(range=text, **more), FILE)

    def test_parts(self) -> None:
        """From one byte to another, from one on, or the last so many; never beyond the end."""
        for text, part in (
            ("bytes=0-0", Part(0, 1)),
            ("bytes=0-999", Part(0, 1000)),
            ("bytes=500-", Part(500, 500)),
            ("bytes=999-5000", Part(999, 1)),
            ("bytes=-1", Part(999, 1)),
            ("bytes=-5000", Part(0, 1000)),
            ("Bytes = 1 - 2", Part(1, 2)),
        ):
            self.assertEqual(self.wanted(text), part, text)

    def test_content_range(self) -> None:
        """A part says where it lies."""
        self.assertEqual(Part(5, 5).content_range(1000), "bytes 5-9/1000")

    def test_f72_nothing_there(self) -> None:
        """A range that begins behind the end, or ends before it begins, cannot be had."""
        for text in ("bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=9-5", f"bytes={'9' * 20}-"):
            with self.assertRaises(Unsatisfiable):
                self.wanted(text)
        with self.assertRaises(Unsatisfiable):
            wanted_part(headers(range="bytes=0-"), Version(0, '"tag"', 0))

    def test_f72_whole_file_instead(self) -> None:
        """A thousand ranges, or something that is none, get the whole file, once."""
        many = "bytes=" + ",".join(["0-999"] * 1000)
        for text in (
            many,
            "bytes=0-1,5-6",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "lines=0-1",
            "0-1",
            "bytes=1--2",
            f"bytes={'9' * 21}-",
        ):
            self.assertIsNone(self.wanted(text), text[:40])

    def test_if_range(self) -> None:
        """A part of a file that has changed meanwhile is no use: then it is the whole of it."""
        self.assertEqual(self.wanted("bytes=0-1", if_range='"tag"'), Part(0, 2))
        self.assertEqual(self.wanted("bytes=0-1", if_range=DATE), Part(0, 2))
        for condition in ('"other"', 'W/"tag"', LATER, "nonsense"):
            self.assertIsNone(self.wanted("bytes=0-1", if_range=condition), condition)

    @given(st.text(alphabet="bytes=0123456789-, ", max_size=30))
    def test_any_text(self, text: str) -> None:
        """Whatever is asked, what is given lies in the file."""
        try:
            part = self.wanted(text)
        except Unsatisfiable:
            return
        if part is not None:
            self.assertGreater(part.length, 0)
            self.assertLessEqual(part.start + part.length, 1000)


class ConditionTests(SynchronousTestCase):
    """Whether the client has it already."""

    def test_tags(self) -> None:
        """A tag of the list, weak or strong, or a star."""
        for tags in ('"tag"', 'W/"tag"', '"a", "tag"', "*"):
            self.assertTrue(is_unchanged(headers(if_none_match=tags), FILE), tags)
        for tags in ('"a"', "tag", ""):
            self.assertFalse(is_unchanged(headers(if_none_match=tags), FILE), tags)

    def test_dates(self) -> None:
        """The date of the file or a later one; what is no date says nothing."""
        for date in (DATE, LATER):
            self.assertTrue(is_unchanged(headers(if_modified_since=date), FILE))
        for date in ("Sun, 06 Nov 1994 08:49:36 GMT", "yesterday", "", "Sun, 99 Nov 99999 99:99:99 GMT"):
            self.assertFalse(is_unchanged(headers(if_modified_since=date), FILE), date)

    def test_tags_go_before_dates(self) -> None:
        """With a tag the date does not count."""
        self.assertFalse(is_unchanged(headers(if_none_match='"a"', if_modified_since=LATER), FILE))

    def test_no_condition(self) -> None:
        """Without a condition it is sent."""
        self.assertFalse(is_unchanged(headers(), FILE))

    def test_modified_text(self) -> None:
        """The date is written as the client will send it back."""
        self.assertEqual(FILE.modified_text, DATE)
