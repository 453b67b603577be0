"""The pages that describe a service: ``/openapi.json`` for programs, ``/docs`` for people; all of it is served here."""

from __future__ import annotations

from typing import Any

import msgspec

from p2pshare.web.paths import Access, View
from p2pshare.web.replies import JSON
from p2pshare.web.static import StaticFile, read_static, static_views


def docs_views(document: dict[str, Any], access: Access = Access.SAME) -> dict[bytes, View]:
    """Serve a description, and a page that shows it and lets one try each route."""
    parts = read_static("p2pshare.web", "parts/docs")
    page = parts.pop("docs.html")
    return {
        b"/docs": page.view(access),
        b"/openapi.json": StaticFile.of(msgspec.json.encode(document), JSON).view(access),
        **static_views(parts, "/docs/", access),
    }
