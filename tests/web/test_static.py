"""Tests of p2pshare.web.static."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from p2pshare.web import static
from p2pshare.web.static import read_static, static_views
from tests.web.serving import ServedCase


class StaticTests(ServedCase):
    """Files of a package, served."""

    def setUp(self) -> None:
        super().setUp()
        root = Path(self.mktemp())
        self.folder = root / "shown_parts" / "pages"
        (self.folder / "js").mkdir(parents=True)
        (self.folder.parent / "__init__.py").touch()
        (self.folder.parent / "secret.txt").write_text("secret")
        (self.folder / "index.html").write_text("<p>hello")
        (self.folder / "js" / "app.js").write_text("1")
        (self.folder / "__init__.py").touch()
        self.patch(sys, "path", [str(root), *sys.path])
        self.addCleanup(sys.modules.pop, "shown_parts", None)
        self.files = read_static("shown_parts", "pages")
        self.serve(views=static_views(self.files, "/static/"))

    def test_files(self) -> None:
        """Each file has its type, its tag, and headers that let a browser load nothing from elsewhere."""
        reply = self.get("/static/index.html")
        self.assertEqual((reply.status, reply.body), (200, b"<p>hello"))
        self.assertEqual(reply.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'self'", reply.headers["content-security-policy"])
        self.assertIn("frame-ancestors 'none'", reply.headers["content-security-policy"])
        self.assertEqual(reply.headers["x-content-type-options"], "nosniff")
        self.assertEqual(self.get("/static/js/app.js").headers["content-type"], "text/javascript; charset=utf-8")

    def test_unchanged(self) -> None:
        """A browser asks whether a file has changed, and gets it only then."""
        reply = self.get("/static/index.html")
        self.assertEqual(reply.headers["cache-control"], "no-cache")
        again = self.get("/static/index.html", f"If-None-Match: {reply.headers['etag']}")
        self.assertEqual((again.status, again.body, "content-length" in again.headers), (304, b"", False))
        self.assertEqual(self.get("/static/index.html", 'If-None-Match: "x"').status, 200)

    def test_head(self) -> None:
        """HEAD gives the length only."""
        reply = self.ask("HEAD", "/static/index.html")
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "8", b""))

    def test_f71_nothing_else(self) -> None:
        """No list of files, no code, nothing outside the folder: what was not read is not there."""
        for path in (
            "/static/",
            "/static",
            "/static/js/",
            "/static/__init__.py",
            "/static/../secret.txt",
            "/static/%2e%2e/secret.txt",
            "/static/..%2fsecret.txt",
            "/static/%252e%252e/secret.txt",
            "/static/js/..\\..\\secret.txt",
            "/static//etc/passwd",
            "/static/index.html%00.js",
        ):
            self.refused(self.get(path), 404)

    def test_f73_foreign_name(self) -> None:
        """A page is not shown under a foreign name."""
        self.refused(self.get("/static/index.html", host="evil.example"), 421)

    def test_unknown_type(self) -> None:
        """A file of a type that nobody thought of is an error at the start, not a surprise in a browser."""
        (self.folder / "data.bin").touch()
        with self.assertRaisesRegex(ValueError, r"^data.bin: files of this type are not served"):
            read_static("shown_parts", "pages")

    def test_too_large(self) -> None:
        """So is one that is too large to be kept in memory."""
        with mock.patch.object(static, "LARGEST", 7), self.assertRaisesRegex(ValueError, "8 bytes, at most 7"):
            read_static("shown_parts", "pages")
