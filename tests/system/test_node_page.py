"""The page of a node in a real browser: a real library and real swarms, and a real index to search."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from random import Random
from typing import Any

from p2pshare.metainfo import dump
from p2pshare.storage.create import CreateSettings, create
from tests.faces.nodes import OWNER
from tests.system.browser import PATIENCE, BrowserTestCase
from tests.system.daemons import Daemon, wait_until
from tests.system.node_service import LARGEST

SCRIPT = "<script>window.hacked=1<!-- .txt"
IMAGE = "<img src=x onerror=window.hacked=1>.jpg"


class NodePageTestCase(BrowserTestCase):
    """Has a node, and a folder that it shares."""

    index = "http://127.0.0.1:9"  # where nobody answers

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        for name in ("shared", "data", "seed"):
            (self.folder / name).mkdir(parents=True)

    def begin(self, port: str = "0") -> None:
        """Start the node."""
        command = [sys.executable, "-m", "tests.system.node_service", str(self.folder), self.index, port]
        node = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True)
        self.node = node
        self.addCleanup(self.end, node)
        assert node.stdout is not None
        self.port = node.stdout.readline().strip()
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self, node: subprocess.Popen[str]) -> None:
        """Kill a node."""
        node.kill()
        node.wait()
        assert node.stdout is not None
        node.stdout.close()

    def put(self, name: str, data: bytes = b"content") -> Path:
        """Put a file into the shared folder."""
        path = self.folder / "shared" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def open(self, tab: str = "", **options: Any) -> Any:
        """Open the page, and wait until it hears from the node."""
        page = self.open_page(f"{self.url}/{tab}", **options)
        self.expect_text(page.locator("#live"), "live")
        return page

    def files(self, page: Any) -> Any:
        """The list of shared files."""
        return page.get_by_role("list", name="Shared files")

    def expect_gone(self, place: Any, text: str) -> None:
        """Wait until a part of a page does not show something any more."""
        place.get_by_text(text).first.wait_for(state="detached", timeout=PATIENCE)


class FilesTests(NodePageTestCase):
    """What is shared."""

    def test_live(self) -> None:
        """Files come and go on the page as they do in the folder, without a reload; names that are markup stay text."""
        self.put(SCRIPT)
        self.begin()
        page = self.open()
        page.evaluate("window.sameDocument = true")
        self.expect_text(self.files(page), SCRIPT)
        image = self.put(IMAGE)
        self.expect_text(self.files(page), IMAGE)
        wait_until(lambda: "Shared files\n2" in page.locator("#figures").inner_text(), "the figure of files is 2")
        image.unlink()
        self.expect_gone(self.files(page), IMAGE)
        self.assertTrue(page.evaluate("window.sameDocument"))
        self.assertIsNone(page.evaluate("window.hacked ?? null"))
        self.assertEqual((self.strayed, self.complaints), ([], []))

    def test_f76_turned_names(self) -> None:
        """A name that turns the direction of what follows looks like no other; links lead to it all the same."""
        self.put("rtl\u202etxt.exe")
        self.begin()
        page = self.open()
        self.expect_text(self.files(page), "rtl\ufffdtxt.exe")
        page.get_by_role("button", name="Info").click()
        link = page.get_by_role("dialog").get_by_label("Link", exact=True).input_value()
        self.assertEqual(link, f"{self.url}/download?filename=rtl%E2%80%AEtxt.exe")
        self.assertEqual(self.complaints, [])

    def test_info_and_links(self) -> None:
        """The info of a file has a link that leads to its bytes; Escape closes it, and the focus is where it was."""
        content = bytes(range(256)) * 50
        self.put("a folder/holiday & photo.jpg", content)
        self.begin()
        page = self.open()
        page.get_by_role("button", name="Info").click()
        dialog = page.get_by_role("dialog")
        self.expect_text(dialog, hashlib.sha256(content).hexdigest(), "12.5 KiB (12,800 bytes)", "image", "photo")
        link = dialog.get_by_label("Link", exact=True).input_value()
        self.assertEqual(link, f"{self.url}/download?filename=a%20folder%2Fholiday%20%26%20photo.jpg")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(link, timeout=30) as reply:
            self.assertEqual(reply.read(), content)
        self.picture(page, "node-info")
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached", timeout=PATIENCE)
        self.assertEqual(page.evaluate("document.activeElement.innerText"), "Info")
        with page.expect_download() as downloading:
            self.files(page).get_by_role("link", name="Download").click()
        self.assertEqual(downloading.value.suggested_filename, "holiday & photo.jpg")
        self.assertEqual(Path(downloading.value.path()).read_bytes(), content)

    def test_unshare(self) -> None:
        """A file is taken back after a question only; it stays on disk unless one wants otherwise."""
        kept, deleted = self.put("kept.txt"), self.put("deleted.txt", b"other")
        self.begin()
        page = self.open()
        for name in ("kept.txt", "deleted.txt"):
            row = self.files(page).get_by_role("listitem").filter(has_text=name)
            row.get_by_role("button", name="Unshare").click()
            page.get_by_role("button", name="Keep sharing").click()
            page.get_by_role("dialog").wait_for(state="detached", timeout=PATIENCE)
            row.get_by_role("button", name="Unshare").click()
            if name == "deleted.txt":
                page.get_by_label("Delete it from the disk, too").check()
            page.get_by_role("dialog").get_by_role("button", name="Unshare").click()
            self.expect_gone(self.files(page), name)
        self.assertEqual((kept.exists(), deleted.exists()), (True, False))
        self.assertEqual(self.complaints, [])

    def test_reconnects(self) -> None:
        """When the node goes, the page says so; five seconds after it is back, the page is live again."""
        self.put("before.txt")
        self.begin()
        page = self.open()
        self.expect_text(self.files(page), "before.txt")
        self.end(self.node)
        self.expect_text(page.locator("#live"), "reconnecting")
        self.put("after.txt", b"after")
        self.begin(self.port)
        self.expect_text(page.locator("#live"), "live")
        self.expect_text(self.files(page), "before.txt", "after.txt")


class ShareTests(NodePageTestCase):
    """How files get there."""

    def test_choose_and_drop(self) -> None:
        """Files that are chosen or dropped are stored one after the other; one that is too large is not even sent."""
        self.begin()
        page = self.open("#share")
        self.expect_text(page, "At most 977 KiB each")
        chosen = [
            {"name": "one.txt", "mimeType": "text/plain", "buffer": b"first"},
            {"name": "large.bin", "mimeType": "text/plain", "buffer": bytes(LARGEST + 1)},
        ]
        page.locator("#file").set_input_files(chosen)
        page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.items.add(new File(["dropped"], "<b>two.txt"));
                const event = new DragEvent("drop", {dataTransfer: data, bubbles: true});
                document.querySelector(".drop").dispatchEvent(event);
            }"""
        )
        uploads = page.get_by_role("list", name="Uploads")
        self.expect_text(uploads, "too large: at most 977 KiB", "File shared successfully, as btwo.txt")
        page.get_by_role("tab", name="Files").click()
        self.expect_text(self.files(page), "one.txt", "btwo.txt")
        self.assertEqual((self.folder / "shared" / "btwo.txt").read_bytes(), b"dropped")
        self.assertFalse((self.folder / "shared" / "large.bin").exists())
        self.assertEqual(self.complaints, [])


class SearchTests(NodePageTestCase):
    """What is found at the index."""

    def test_s2_9_s2_16_search_and_download(self) -> None:
        """The whole index is searched; Download goes there, from there to the owner, and brings the exact bytes."""
        tracker = Daemon(self, self.folder / "tracker", "p2p-tracker", "--port", "0", "--state-dir", "state")
        port = tracker.logged(r"tracker listening at http://127\.0\.0\.1:(\d+)/announce")
        self.index = f"http://127.0.0.1:{port}"
        content = b"thesis " * 1000
        self.put("my thesis & more.pdf", content)
        self.begin()
        digest = hashlib.sha256(content).hexdigest()
        self.register("my thesis & more.pdf", digest, "document", owner="somebody else")
        self.register(IMAGE, "ab" * 32, "image", owner=OWNER)
        page = self.open()
        self.expect_text(self.files(page), "my thesis & more.pdf")  # it is read, and can be had
        page.get_by_role("tab", name="Search").click()
        found = page.get_by_role("list", name="Files found")
        self.expect_text(found, IMAGE, "my thesis & more.pdf")
        self.assertEqual(found.get_by_text("yours").count(), 1)
        self.picture(page, "node-search")
        page.get_by_label("Search files").fill("THES")
        self.expect_text(page, "Found: 1")
        with page.expect_download() as downloading:
            found.get_by_role("link", name="Download").click()
        self.assertEqual(Path(downloading.value.path()).read_bytes(), content)
        self.assertEqual(downloading.value.suggested_filename, "my thesis & more.pdf")
        page.get_by_label("Search files").fill("")
        page.get_by_label("Category").select_option("image")
        self.expect_gone(found, "my thesis & more.pdf")
        self.assertIsNone(page.evaluate("window.hacked ?? null"))
        page.get_by_role("tab", name="Stats").click()
        given = page.locator("section", has=page.get_by_role("heading", name="Given"))
        wait_until(lambda: "Files\n1\nOver HTTP\n6.8 KiB" in given.inner_text(), "the upload is counted")
        self.assertEqual((self.strayed, self.complaints), ([], []))

    def test_s2_16_index_down(self) -> None:
        """When the index is down the page says so, and goes on."""
        self.begin()
        page = self.open("#search")
        self.expect_text(page.get_by_role("alert"), "Failed to search files")
        page.get_by_role("tab", name="Files").click()
        self.expect_text(page, "Nothing is shared yet")

    def register(self, filename: str, digest: str, category: str, owner: str) -> None:
        """Enter a file of this node into the index."""
        about = {"filename": filename, "size": 7000, "hash": digest, "owner": owner, "category": category}
        about["peer_address"] = f"127.0.0.1:{self.port}"
        body = json.dumps(about).encode()
        request = urllib.request.Request(
            f"{self.index}/api/v1/files/register", body, {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            self.assertEqual(reply.status, 200)


class TransferTests(NodePageTestCase):
    """What moves."""

    def test_transfers(self) -> None:
        """A torrent that comes in shows its rate, its peer with flags and its pieces; what is done to it happens."""
        (self.folder / "seed" / IMAGE).write_bytes(Random(0).randbytes(8 * 1024 * 1024))
        torrent = create(self.folder / "seed" / IMAGE, CreateSettings(piece_length=32768))
        (self.folder / "slow.torrent").write_bytes(dump(torrent))
        self.begin()
        page = self.open("#transfers")
        torrents = page.get_by_role("list", name="Torrents")
        torrents.get_by_role("button", name=torrent.name).click()
        self.expect_text(torrents, "downloading")
        page.get_by_text("-PS").or_(page.get_by_text("p2pshare")).first.wait_for(timeout=PATIENCE)
        row = page.locator("table tbody tr").first
        row.wait_for(timeout=PATIENCE)
        wait_until(lambda: "D" in row.locator("abbr").inner_text(), "we download from it")
        self.assertIn("we download from it", row.locator("abbr").get_attribute("title"))
        done = page.get_by_role("img", name="of 256 pieces are here")
        wait_until(lambda: not done.get_attribute("aria-label").startswith("0 "), "pieces arrive")
        wait_until(lambda: "KiB/s" in page.locator("#figures").inner_text(), "the rate is shown")
        self.assertIn(" left", torrents.inner_text())
        page.get_by_role("button", name="Pause").click()
        self.expect_text(page.get_by_role("status"), "this node cannot pause torrents")
        page.get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        self.expect_text(page, "There is no torrent here.")
        self.assertIsNone(page.evaluate("window.hacked ?? null"))
        self.assertEqual(self.strayed, [])
        self.assertEqual([text for text in self.complaints if "501" not in text and "404" not in text], [])

    def test_add(self) -> None:
        """A torrent file that is chosen is added, and seeded when its content is there; a wrong one is refused."""
        (self.folder / "data" / "whole.iso").write_bytes(b"whole" * 20_000)
        torrent = create(self.folder / "data" / "whole.iso", CreateSettings())
        self.begin()
        page = self.open("#transfers")
        self.expect_text(page, "There is no torrent here.")
        page.locator("#torrent").set_input_files({"name": "x.torrent", "mimeType": "a/b", "buffer": b"nonsense"})
        self.expect_text(page.get_by_role("status"), "not a torrent file that can be used")
        page.locator("#torrent").set_input_files({"name": "y.torrent", "mimeType": "a/b", "buffer": dump(torrent)})
        self.expect_text(page.get_by_role("list", name="Torrents"), "whole.iso", "seeding · 100 %")


class LookTests(NodePageTestCase):
    """How it can be used."""

    def test_at_work(self) -> None:
        """With files of all kinds and a torrent on its way everything is shown together, also on a phone."""
        sizes = {"holiday photo.jpg": 312_000, "song of the sea.mp3": 704_000, "talks/opening video.mp4": 2_630_000}
        sizes |= {"thesis.pdf": 148_000, "sources.tar.gz": 1_210_000}
        for name, size in sizes.items():
            self.put(name, Random(name).randbytes(size))
        (self.folder / "seed" / "disk.img").write_bytes(Random(0).randbytes(3 * 1024 * 1024))
        torrent = create(self.folder / "seed" / "disk.img", CreateSettings(piece_length=32768))
        (self.folder / "slow.torrent").write_bytes(dump(torrent))
        self.index = "http://127.0.0.1:8000"  # shown, and not asked for anything here
        self.begin()
        self.expect_text(self.files(self.open()), *sizes)
        page = self.open()
        wait_until(lambda: "Shared files\n5" in page.locator("#figures").inner_text(), "the figure of files is 5")
        self.expect_text(self.files(page), "image", "audio", "video", "document", "archive")
        wait_until(lambda: "KiB/s" in page.locator("#figures").inner_text(), "the rate is shown")
        self.picture(page, "node")
        phone = self.open(width=360, height=740)
        self.expect_text(self.files(phone), *sizes)
        wait_until(lambda: "KiB/s" in phone.locator("#figures").inner_text(), "the rate is shown")
        self.assertLessEqual(phone.evaluate("document.documentElement.scrollWidth"), 360)
        self.picture(phone, "node-phone")
        page.get_by_role("tab", name="Transfers").click()
        page.get_by_role("list", name="Torrents").get_by_role("button", name="disk.img").click()
        page.get_by_text("p2pshare 0").first.wait_for(timeout=PATIENCE)
        done = page.get_by_role("img", name="of 96 pieces are here")
        wait_until(lambda: int(done.get_attribute("aria-label").split()[0]) >= 10, "a part of the pieces is here")
        self.picture(page, "node-transfers")
        self.assertEqual((self.strayed, self.complaints), ([], []))

    def test_keyboard(self) -> None:
        """The arrow keys go through the tabs, and all else can be reached by the Tab key."""
        self.put("a.txt")
        self.begin()
        page = self.open()
        self.expect_text(self.files(page), "a.txt")
        page.get_by_role("tab", name="Files").focus()
        shown = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "ArrowLeft", "Home"):
            page.keyboard.press(key)
            shown.append(page.evaluate("document.activeElement.innerText"))
        self.assertEqual(shown, ["Share", "Search", "Share", "Stats", "Files", "Stats", "Files"])
        self.assertEqual(page.get_by_role("tab", selected=True).inner_text(), "Files")
        self.expect_text(self.files(page), "a.txt")  # asked for anew
        reached = []
        for _ in range(5):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        self.assertEqual(reached[:4], ["own-words", "Download", "Info", "Unshare"])

    def test_phone(self) -> None:
        """On a phone nothing has to be scrolled sideways, on any tab."""
        self.put("a rather long name of a file that has to be broken somewhere " * 3 + ".txt")
        self.begin()
        page = self.open(width=360, height=740)
        self.expect_text(self.files(page), "a rather long name")
        for tab in ("Files", "Share", "Search", "Transfers", "Stats"):
            page.get_by_role("tab", name=tab).click()
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360, tab)
            self.picture(page, f"node-phone-{tab.lower()}")

    def test_colours(self) -> None:
        """It is dark where the system is, until somebody chooses; a tab can be linked to."""
        self.put("holiday photo.jpg")
        self.begin()
        page = self.open(color_scheme="dark")
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "dark")
        self.expect_text(self.files(page), "holiday photo.jpg")
        self.picture(page, "node-dark")
        page.get_by_role("button", name="Use light colours").click()
        page.get_by_role("tab", name="Stats").click()
        page.reload()
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "light")
        self.expect_text(page, "This node", OWNER)
        self.picture(page, "node-stats")
