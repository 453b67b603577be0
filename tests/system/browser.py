"""A real browser for tests of pages: Chromium, driven by playwright, that can reach nothing but this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests import real_parts

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = "P2PSHARE_SCREENSHOTS"  # environment: a folder to put pictures of the pages in
PATIENCE = 30_000  # ms, for machines that are busy with other things
LOOPBACK = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")


class BrowserTestCase(SynchronousTestCase):
    """
    Has a browser.

    What a page asks of other hosts is refused and written down in ``strayed``, what it complains of in ``complaints``.
    """

    def setUp(self) -> None:
        """Start it, or skip."""
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if found is None:
            raise real_parts.missing("chromium is not installed")
        real_parts.module("playwright")
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        self.addCleanup(playwright.stop)
        # Containers give neither the rights that its sandbox needs nor much shared memory; the pages are our own.
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        self.browser: Any = playwright.chromium.launch(executable_path=found, args=flags)
        self.addCleanup(self.browser.close)
        self.strayed: list[str] = []
        self.complaints: list[str] = []

    def open_page(self, url: str, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        """Open a page in a browser without memory."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.addCleanup(context.close)
        context.set_default_timeout(PATIENCE)
        context.route(lambda asked: not asked.startswith(LOOPBACK), self._refuse)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.goto(url)
        return page

    def _refuse(self, route: Any) -> None:
        self.strayed.append(route.request.url)
        route.abort()

    def expect_text(self, place: Any, *words: str) -> None:
        """Wait until a part of a page shows all these."""
        for each in words:
            place.get_by_text(each).first.wait_for(timeout=PATIENCE)

    def picture(self, page: Any, name: str) -> None:
        """Take a picture for the documentation, when somebody wants some."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
