"""The whole story: an index, two nodes, and a person with a browser."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from p2pshare.metainfo import dump
from p2pshare.storage.create import CreateSettings, create
from tests.storage.fakes import some_bytes
from tests.system.browser import BrowserTestCase
from tests.system.daemons import wait_until
from tests.system.nodes import Index, NodeProcess

NAME = "holiday video.mp4"
CONTENT = some_bytes(2_000_000)


class StoryTests(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.top = Path(self.mktemp()).absolute()
        self.index = Index(self, self.top / "index")
        self.index.start()
        self.anna = NodeProcess(self, self.top / "anna", self.index.url)
        self.berta = NodeProcess(self, self.top / "berta", self.index.url, data="shared")  # gives what she fetches
        for node in (self.anna, self.berta):
            node.start()

    def open(self, url: str) -> Any:
        """Open a page, and wait until it is live."""
        page = self.open_page(url)
        self.expect_text(page.locator("#live"), "live")
        return page

    def download(self, page: Any) -> bytes:
        """Follow the download link on a page, and give what came."""
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Download").first.click()
        return Path(downloading.value.path()).read_bytes()

    def test_story(self) -> None:
        """A file dropped at one node shows up on the dashboard, is fetched at another, and outlives the first."""
        dashboard = self.open(f"{self.index.url}/")
        self.anna.put(NAME, CONTENT)
        files = dashboard.get_by_role("list", name="Files")
        self.expect_text(files, NAME)
        self.assertEqual(self.download(dashboard), CONTENT)

        search = self.open(f"{self.berta.url}/#search")
        search.get_by_role("searchbox").fill("holiday")
        self.expect_text(search, NAME)
        self.assertEqual(self.download(search), CONTENT)

        tiers = ((f"{self.index.url}/announce",),)
        torrent = create(self.anna.shared / NAME, CreateSettings(announce_tiers=tiers))
        page = self.open(f"{self.berta.url}/#transfers")
        page.locator("#torrent").set_input_files({"name": "x.torrent", "mimeType": "a/b", "buffer": dump(torrent)})
        # A browser that is waited for in this process moves only while something is asked of it.
        self.expect_text(page.get_by_role("list", name="Torrents"), NAME, "seeding · 100 %")
        wait_until(lambda: NAME in self.berta.files(), "it is fetched, and shared by both")
        self.assertEqual((self.berta.shared / NAME).read_bytes(), CONTENT)
        wait_until(lambda: len(self.index.files("holiday")) == 2, "the index knows both")

        self.anna.daemon.told(signal.SIGTERM)
        wait_until(lambda: self.index.ask("/api/v1/stats")["online_peers"] == 1, "the index has heard the goodbye")
        for file in self.index.files("holiday"):
            fresh = self.open(f"{self.index.url}/")
            link = fresh.locator(f'a[href="/download/{file["id"]}"]').first
            with fresh.expect_download() as downloading:
                link.click()
            self.assertEqual(Path(downloading.value.path()).read_bytes(), CONTENT)
        self.assertEqual((self.strayed, self.complaints), ([], []))
