"""Files that come with the package: style sheets, scripts, pages. Read once, so that no path leads anywhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from attrs import frozen
from twisted.web.server import NOT_DONE_YET

from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import Access, View
from p2pshare.web.replies import HTML

LARGEST = 4 * 1024 * 1024  # bytes of one file; they stay in memory

_TYPES: Mapping[str, str] = {
    "html": HTML,
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/vnd.microsoft.icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}


@frozen
class StaticFile:
    """One file, as it is sent. A browser asks each time whether it has changed, and gets it only then."""

    body: bytes
    content_type: str
    etag: bytes

    @classmethod
    def of(cls, body: bytes, content_type: str) -> StaticFile:
        """Take content; the same gets the same tag."""
        return cls(body, content_type, b'"%s"' % hashlib.sha256(body).hexdigest()[:20].encode())

    def view(self, access: Access = Access.SAME) -> View:
        """Serve it."""
        return View(self._answer, (b"GET", b"HEAD"), access)

    def _answer(self, request: LimitedRequest) -> bytes | int:
        request.setHeader(b"Content-Type", self.content_type.encode("ascii"))
        request.setHeader(b"Cache-Control", b"no-cache")
        if request.setETag(self.etag):  # it is the one of If-None-Match: a 304, which has no length either
            request.finish()
            return NOT_DONE_YET
        return self.body


def read_static(package: str, folder: str) -> dict[str, StaticFile]:
    """
    Read the files of a folder in a package, by name with the folders inside it: ``js/app.js``.

    :raise ValueError: one is of a type that is not served, or larger than 4 MiB.
    """
    found: dict[str, StaticFile] = {}
    _collect(files(package).joinpath(folder), "", found)
    return found


def static_views(found: Mapping[str, StaticFile], prefix: str, access: Access = Access.SAME) -> dict[bytes, View]:
    """Serve files below a path that ends with a slash; nothing else is there, not even a list of them."""
    return {f"{prefix}{name}".encode("ascii"): file.view(access) for name, file in found.items()}


def _collect(folder: Traversable, prefix: str, found: dict[str, StaticFile]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                _collect(entry, f"{prefix}{entry.name}/", found)
            continue
        extension = entry.name.rpartition(".")[2].lower()
        if extension == "py":
            continue
        name = f"{prefix}{entry.name}"
        if extension not in _TYPES:
            raise ValueError(f"{name}: files of this type are not served; expected {', '.join(_TYPES)}")
        body = entry.read_bytes()
        if len(body) > LARGEST:
            raise ValueError(f"{name}: {len(body)} bytes, at most {LARGEST} are served from memory")
        found[name] = StaticFile.of(body, _TYPES[extension])
