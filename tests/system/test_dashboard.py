"""The dashboard of a real tracker in a real browser."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

from tests.system.browser import PATIENCE, BrowserTestCase
from tests.system.daemons import Daemon, wait_until

SCRIPT = "<script>window.hacked=1</script>.txt"


class DashboardTestCase(BrowserTestCase):
    """Has a tracker with a few peers and files."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.daemon = self.start("0")
        self.port = self.daemon.logged(r"tracker listening at http://127\.0\.0\.1:(\d+)/announce")
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, port: str) -> Daemon:
        """Start the tracker."""
        return Daemon(self, self.folder, "p2p-tracker", "--port", port, "--state-dir", self.folder / "state")

    def post(self, path: str, value: object) -> Any:
        """Tell it something, as a node does."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(value).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)

    def add_peer(self, name: str, port: int = 9001) -> None:
        """Register a peer."""
        about = {"id": name, "address": "127.0.0.1", "port": port, "shared_files": 2, "region": "eu-north"}
        self.post("/api/v1/peers/register", about)

    def add_file(self, filename: str, category: str = "document", owner: str = "anna", **more: Any) -> None:
        """Register a file."""
        about = {"filename": filename, "size": 658, "hash": filename.encode().hex()[:64].ljust(64, "0")}
        about |= {"category": category, "tags": ["demo"], "owner": owner, "peer_address": "127.0.0.1:9001", **more}
        self.post("/api/v1/files/register", about)

    def open(self, **options: Any) -> Any:
        """Open the dashboard, and wait until it hears from the tracker."""
        page = self.open_page(f"{self.url}/", **options)
        self.expect_text(page.locator("#live"), "live")
        return page

    def panel(self, page: Any, title: str) -> Any:
        """Find a part of the page by its heading."""
        return page.locator("section", has=page.get_by_role("heading", name=title))


class DashboardTests(DashboardTestCase):
    """What it shows, and what can be done with it."""

    def test_s2_17_figures_and_search(self) -> None:
        """It shows figures, peers and files; words and category really search; nothing comes from elsewhere."""
        self.add_peer("anna")
        self.add_file("holiday photo.jpg", "image")
        self.add_file("thesis.pdf")
        page = self.open()
        figures = page.locator("#figures").inner_text()
        self.assertIn("Online peers\n1\nof 1", figures)
        self.assertIn("Files\n2", figures)
        self.assertIn("100 %", figures)
        files = page.get_by_role("list", name="Files")
        self.expect_text(files, "holiday photo.jpg", "thesis.pdf")
        self.expect_text(self.panel(page, "Peers"), "127.0.0.1:9001", "eu-north", "Rep: 0", "Online")
        page.get_by_role("searchbox").fill("THES")
        self.expect_text(page, "Found: 1")
        self.assertEqual(files.get_by_text("holiday photo.jpg").count(), 0)
        page.get_by_role("searchbox").fill("")
        page.get_by_label("Category").select_option("image")
        self.expect_text(page, "Found: 1")
        self.expect_text(files, "holiday photo.jpg")
        self.assertEqual(files.get_by_text("thesis.pdf").count(), 0)
        self.assertEqual((self.strayed, self.complaints), ([], []))

    def test_s2_17_live(self) -> None:
        """What happens is shown without a reload: figures, lists, activity and a note."""
        page = self.open()
        page.evaluate("window.sameDocument = true")
        self.add_peer("berta", 9002)
        self.add_file("new song.mp3", "audio", "berta")
        self.expect_text(page.get_by_role("list", name="Files"), "new song.mp3")
        self.expect_text(self.panel(page, "Peers"), "127.0.0.1:9002")
        self.expect_text(self.panel(page, "Activity"), "127.0.0.1:9002 joined", "new song.mp3 is shared")
        wait_until(lambda: "Files\n1" in page.locator("#figures").inner_text(), "the figure of files is 1")
        self.assertTrue(page.evaluate("window.sameDocument"))

    def test_s2_17_popular_once(self) -> None:
        """Three owners of one content are one popular file."""
        for owner in ("anna", "berta", "carl"):
            self.add_file("same.iso", "other", owner)
        page = self.open()
        popular = self.panel(page, "Popular files")
        self.expect_text(popular, "same.iso")
        self.assertEqual(popular.get_by_text("same.iso").count(), 1)

    def test_names_stay_text(self) -> None:
        """A name that is markup is shown as it is written, everywhere."""
        self.add_file(SCRIPT)
        page = self.open()
        self.expect_text(page.get_by_role("list", name="Files"), SCRIPT)
        self.add_file("<img src=x onerror=window.hacked=1>")
        self.expect_text(self.panel(page, "Activity"), "<img src=x onerror=window.hacked=1> is shared")
        self.assertIsNone(page.evaluate("window.hacked ?? null"))

    def test_upload(self) -> None:
        """A file chosen on the page is stored, listed, and can be had as a torrent and by a magnet link."""
        page = self.open()
        content = b"a file of the browser\n" * 30
        page.locator("#file").set_input_files({"name": "upload me.txt", "mimeType": "text/plain", "buffer": content})
        files = page.get_by_role("list", name="Files")
        self.expect_text(files, "upload me.txt")
        torrent = files.get_by_role("link", name="Torrent").get_attribute("href")
        magnet = files.get_by_role("link", name="Magnet").first.get_attribute("href")
        info_hash = torrent.split("/")[-2]
        self.assertIn(f"xt=urn:btih:{info_hash}", magnet)
        with page.expect_download() as downloading:
            files.get_by_role("link", name="Torrent").click()
        self.assertIn(b"upload me.txt", Path(downloading.value.path()).read_bytes())
        self.assertEqual(self.complaints, [])

    def test_drop(self) -> None:
        """A file that is dropped on the page is taken, too."""
        page = self.open()
        page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.items.add(new File(["dropped"], "dropped.txt"));
                const event = new DragEvent("drop", {dataTransfer: data, bubbles: true});
                document.querySelector(".drop").dispatchEvent(event);
            }"""
        )
        self.expect_text(page.get_by_role("list", name="Files"), "dropped.txt")

    def test_reconnects(self) -> None:
        """When the tracker goes, the page says so; five seconds after it is back, the page is live again."""
        page = self.open()
        self.add_file("before.txt")
        self.expect_text(page.get_by_role("list", name="Files"), "before.txt")
        self.daemon.told(signal.SIGTERM)
        self.expect_text(page.locator("#live"), "reconnecting")
        self.daemon = self.start(self.port)
        self.daemon.logged("tracker listening at")
        self.expect_text(page.locator("#live"), "live")
        self.add_file("after.txt")
        self.expect_text(page.get_by_role("list", name="Files"), "before.txt", "after.txt")

    def test_phone_and_keyboard(self) -> None:
        """On a phone nothing has to be scrolled sideways; everything can be reached by the Tab key."""
        self.add_peer("anna")
        self.add_file("a rather long name of a file that has to be broken somewhere " * 3 + ".txt")
        page = self.open(width=360, height=740)
        self.expect_text(page.get_by_role("list", name="Files"), "a rather long name")
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
        reached = set()
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        for expected in ("words", "category", "sort", "choose some", "Download"):
            self.assertIn(expected, reached)

    def test_colours(self) -> None:
        """It is dark where the system is, until somebody chooses; the choice stays."""
        self.add_peer("anna")
        self.add_file("holiday photo.jpg", "image")
        page = self.open(color_scheme="dark")
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "dark")
        self.picture(page, "dashboard-dark")
        page.get_by_role("button", name="Use light colours").click()
        page.reload()
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "light")
        self.expect_text(page.get_by_role("list", name="Files"), "holiday photo.jpg")
        self.picture(page, "dashboard")


class DocumentationTests(DashboardTestCase):
    """The page that explains the API."""

    def test_s3_1_docs(self) -> None:
        """It lists every path of the REST tracker, and needs nothing from elsewhere."""
        page = self.open_page(f"{self.url}/docs")
        for path in ("upload", "torrents", "announce", "peers/{info_hash}", "users", "stats"):
            page.get_by_text(f"/api/tracker/{path}").first.wait_for(timeout=PATIENCE)
        self.assertEqual((self.strayed, self.complaints), ([], []))


class BannerTests(DashboardTestCase):
    """What the tracker is to programs."""

    def test_events(self) -> None:
        """A page that cannot use WebSockets hears the same at /events."""
        page = self.open()
        page.evaluate(
            """() => {
                window.heard = [];
                const events = new EventSource("/events");
                for (const name of ["stats_update", "file_registered"])
                    events.addEventListener(name, (event) => window.heard.push(name));
            }"""
        )
        wait_until(lambda: "stats_update" in page.evaluate("window.heard"), "how things stand")
        self.add_file("heard.txt")
        wait_until(lambda: "file_registered" in page.evaluate("window.heard"), "what happens")
