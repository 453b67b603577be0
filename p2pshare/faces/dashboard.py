"""The dashboard: a page, and the scripts and styles that it is made of."""

from __future__ import annotations

from attrs import frozen

from p2pshare.web.paths import Access, View
from p2pshare.web.static import read_static, static_views


@frozen
class Pages:
    """The page itself, and what it loads, by path."""

    index: View
    parts: dict[bytes, View]


def dashboard_pages(access: Access = Access.SAME) -> Pages:
    """Read them from the package."""
    own = read_static("p2pshare.faces", "pages")
    shared = read_static("p2pshare.web", "pages")
    index = own.pop("index.html").view(access)
    return Pages(index, static_views({**shared, **own}, "/static/", access))
