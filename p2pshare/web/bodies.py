"""Where the body of a request goes while it arrives, and what is said when it may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

TEXT = "text/plain; charset=utf-8"


@frozen
class Page:
    """A whole answer, ready to be sent."""

    body: bytes = b""
    content_type: str = TEXT
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()


class Unwanted(Exception):
    """A body that is not even begun with, or not read to its end: the page says why, and the connection closes."""

    def __init__(self, page: Page, hit: str | None = None) -> None:
        """Keep the answer, and the limit that is hit, if it is one."""
        super().__init__(page.status)
        self.page = page
        self.hit = hit


class Intake(Protocol):
    """Takes the body of one request while it arrives. Not told of its end: that is when the request is served."""

    def write(self, data: bytes) -> None:
        """Take the next bytes. :raise Unwanted: there is no use in going on."""

    def abandon(self) -> None:
        """Drop everything: the rest will not come."""
