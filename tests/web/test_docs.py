"""Tests of p2pshare.web.docs: the pages that describe a service."""

from __future__ import annotations

import re
from importlib.resources import files

from p2pshare.web.docs import docs_views
from p2pshare.web.openapi import describe
from p2pshare.web.paths import Access
from p2pshare.web.routes import RouteTable
from tests.web.serving import BEARER, TOKEN, ServedCase
from tests.web.test_openapi import ROWS


class DocsTests(ServedCase):
    """What a browser loads."""

    def setUp(self) -> None:
        super().setUp()
        self.document = describe(RouteTable(ROWS), "p2pshare", "1.0")
        self.serve(ROWS, docs_views(self.document), token=TOKEN)

    def test_document(self) -> None:
        """The document is JSON, and has all routes."""
        self.assertEqual(self.read(self.get("/openapi.json")), self.document)

    def test_page(self) -> None:
        """Everything that the page loads is served here, with a type that a browser takes."""
        page = self.get("/docs")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        links = re.findall(r'(?:src|href|data-document)="([^"]*)"', page.body.decode())
        self.assertEqual(sorted(set(links)), ["docs/docs.css", "docs/docs.js", "openapi.json"])
        for link in links:
            self.assertEqual(self.get(f"/{link}").status, 200)

    def test_f76_policy(self) -> None:
        """The page keeps to its own policy: no script and no style inside it, nothing from elsewhere."""
        page = self.get("/docs")
        self.assertIn("default-src 'self'", page.headers["content-security-policy"])
        self.assertNotRegex(page.body, rb"(?i)<style|style=|<script>|\son[a-z]+=|javascript:")
        for part in files("p2pshare.web").joinpath("parts/docs").iterdir():
            self.assertNotRegex(part.read_text(encoding="utf-8"), r"https?://|//[a-z]+\.", part.name)

    def test_f76_text_stays_text(self) -> None:
        """The script makes no markup out of anything: it knows no call that could."""
        script = self.get("/docs/docs.js").body.decode()
        self.assertNotRegex(script, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function")

    def test_token(self) -> None:
        """Pages for the owner only can be made, too."""
        self.serve(views=docs_views(self.document, Access.TOKEN), token=TOKEN)
        self.refused(self.get("/docs"), 401)
        self.assertEqual(self.get("/docs", BEARER).status, 200)
