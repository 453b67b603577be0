"""Which bytes of a file a request wants (RFC 9110, "Range Requests" and "Conditional Requests")."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime

from attrs import frozen

Header = Callable[[str], "str | None"]  # a request's header by its name

_ONE = re.compile(r"\s*([0-9]{0,20})\s*-\s*([0-9]{0,20})\s*")


@frozen
class Version:
    """What a file is like now: it is the same as long as these are."""

    size: int
    etag: str  # strong, with its quotes
    modified: float  # seconds since 1970

    @property
    def modified_text(self) -> str:
        """For Last-Modified."""
        return formatdate(self.modified, usegmt=True)


@frozen
class Part:
    """Some bytes of a file in a row, at least one."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """For Content-Range."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class Unsatisfiable(Exception):
    """A range of which the file has nothing."""


def is_unchanged(header: Header, version: Version) -> bool:
    """Whether the client has this version: If-None-Match, or without it If-Modified-Since."""
    tags = header("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or version.etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    since = _seconds(header("if-modified-since"))
    return since is not None and int(version.modified) <= since


def wanted_part(header: Header, version: Version) -> Part | None:
    """
    Find the one range that is asked for.

    :return: None: the whole file. So it is when several are asked for (nobody needs that of us, and a thousand that
        overlap would make an answer of a thousand files), when it is not understood, and when If-Range does not fit.
    :raise Unsatisfiable: the range ends before it begins, or the file does.
    """
    unit, _, ranges = (header("range") or "").partition("=")
    found = _ONE.fullmatch(ranges)
    if unit.strip().lower() != "bytes" or found is None or found.groups() == ("", ""):
        return None
    if not _is_same(header("if-range"), version):
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        length = min(int(last), version.size)
        start = version.size - length
    else:
        start = int(first)
        length = min(int(last or version.size), version.size - 1) - start + 1
    if length <= 0:
        raise Unsatisfiable(ranges)
    return Part(start, length)


def _is_same(condition: str | None, version: Version) -> bool:
    """Compare as If-Range wants it: strictly."""
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return condition.strip() == version.etag
    return _seconds(condition) == int(version.modified)


def _seconds(date: str | None) -> int | None:
    if date is None:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None
