"""Nodes, an index and a tracker as processes: what is put into a folder is found and fetched by others."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests import real_parts
from tests.storage.fakes import some_bytes
from tests.system.commands import Command
from tests.system.daemons import wait_until
from tests.system.nodes import Index, NodeProcess, fetch

CONTENT = some_bytes(3_000_000)


class NodeTestCase(SynchronousTestCase):
    """Has an index, which does not run yet, and a folder for nodes."""

    def setUp(self) -> None:
        real_parts.distribution("p2pshare")
        self.top = Path(self.mktemp()).absolute()
        self.index = Index(self, self.top / "index")

    def node(self, name: str) -> NodeProcess:
        """Start a node."""
        node = NodeProcess(self, self.top / name, self.index.url)
        node.start()
        return node

    def command(self, name: str, *arguments: str | Path) -> Command:
        """Run a command to its end."""
        command = Command(self.top / name, name, arguments)
        self.addCleanup(command.clean_up)
        wait_until(lambda: command.process.poll() is not None, command.words)
        self.assertEqual(command.process.returncode, 0, command.complained())
        return command

    def assert_clean(self, *logs: str) -> None:
        """Nothing went wrong inside of any process."""
        for log in logs:
            self.assertNotIn("Traceback", log)


class SharingTests(NodeTestCase):
    """The way of a file."""

    def test_s2_12_index_comes_later(self) -> None:
        """A node that finds no index goes on trying; once it is there, the node and all its files are registered."""
        node = NodeProcess(self, self.top / "a", self.index.url)
        for name in ("one.txt", "two.mp3", "deep/three.zip"):
            node.put(name, name.encode())
        node.start()
        node.daemon.logged(r"trying again every 1 s")
        self.assertFalse(node.ask("/api/v1/info")["is_registered"])
        self.assertEqual(fetch(f"{node.url}/api/v1/search?q=one")[0], 502)
        self.index.start()
        for name in ("one.txt", "two.mp3", "deep/three.zip"):
            self.index.has(name)
        wait_until(lambda: node.ask("/api/v1/info")["is_registered"], "the node knows that it is registered")
        (peer,) = self.index.ask("/api/v1/peers")
        self.assertEqual((peer["id"], peer["is_online"]), (node.ask("/api/v1/info")["id"], True))
        self.assertLess(node.daemon.told(signal.SIGTERM), 5)
        self.assertEqual(node.daemon.process.returncode, 0)
        wait_until(lambda: not self.index.ask("/api/v1/peers")[0]["is_online"], "the index has heard the goodbye")
        self.assert_clean(node.daemon.log, self.index.daemon.log)

    def test_s2_13_dropped_and_deleted(self) -> None:
        """A file is in the index with all that is known of it while it is in the folder, and events tell of changes."""
        self.index.start()
        node = self.node("a")
        node.put("same.txt", b"stays")
        self.index.has("same.txt")
        path = node.put("music/holiday song.mp3", CONTENT)
        listed = self.index.has("music/holiday song.mp3")
        self.assertEqual(
            {key: listed[key] for key in ("hash", "size", "category", "tags")},
            {
                "hash": hashlib.sha256(CONTENT).hexdigest(),
                "size": len(CONTENT),
                "category": "audio",
                "tags": ["music"],
            },
        )
        before = node.files()["same.txt"]["shared_at"]
        path.unlink()
        self.index.has_not("music/holiday song.mp3")
        self.assertEqual(list(node.files()), ["same.txt"])
        self.assertEqual(node.files()["same.txt"]["shared_at"], before)

    def test_fetched(self) -> None:
        """A dropped file is fetched through the index over HTTP, in parts if need be, and over BitTorrent."""
        self.index.start()
        node = self.node("a")
        path = node.put("holiday photo ü.jpg", CONTENT)
        file_id = self.index.has("holiday photo ü.jpg")["id"]
        url = f"{self.index.url}/download/{file_id}"
        self.assertEqual(fetch(url), (200, CONTENT))
        self.assertEqual(fetch(url, Range="bytes=1000-1999"), (206, CONTENT[1000:2000]))
        self.assertEqual(fetch(url, Range=f"bytes={len(CONTENT) - 5}-"), (206, CONTENT[-5:]))
        wait_until(lambda: node.files()[path.name]["downloads"], "the downloads are counted")
        self.assertEqual(fetch(f"{node.url}/download?filename=../state/node_id")[0], 404)

        torrent = self.top / "x.torrent"
        status, data = fetch(f"{node.url}/api/v1/files/{file_id}/torrent")
        self.assertEqual(status, 200)
        torrent.write_bytes(data)
        output = self.top / "got"
        self.command("download", "download", torrent, "-o", output, "--bind", "127.0.0.1", "--timeout", "20")
        self.assertEqual((output / path.name).read_bytes(), CONTENT)
        self.assert_clean(node.daemon.log, self.index.daemon.log)

    def test_index_restarted(self) -> None:
        """What changes while the index is away is told when it is back; what it was told, it knows."""
        self.index.start()
        node = self.node("a")
        node.put("before.txt", b"1")
        gone = node.put("gone.txt", b"2")
        self.index.has("before.txt")
        self.index.has("gone.txt")
        self.index.daemon.told(signal.SIGKILL)
        gone.unlink()
        node.put("meanwhile.txt", b"3")
        wait_until(lambda: "meanwhile.txt" in node.files(), "the node shares it")
        self.index.start()
        self.index.has("meanwhile.txt")
        self.index.has("before.txt")
        self.index.has_not("gone.txt")

    def test_node_restarted(self) -> None:
        """A node keeps its id, its files need not be read again, and what was unshared stays so."""
        self.index.start()
        node = self.node("a")
        node.put("kept.bin", CONTENT)
        node.put("private.txt", b"x")
        self.index.has("kept.bin")
        self.index.has("private.txt")
        before = node.ask("/api/v1/info")["id"]
        private = node.files()["private.txt"]["id"]
        self.assertEqual(fetch(f"{node.url}/api/v1/files/unshare/{private}", "DELETE")[0], 200)
        shared_at = node.files()["kept.bin"]["shared_at"]
        node.daemon.told(signal.SIGTERM)
        node.start()
        wait_until(lambda: node.files(), "it shares again")
        self.index.has_not("private.txt")
        self.assertEqual({name: file["shared_at"] for name, file in node.files().items()}, {"kept.bin": shared_at})
        self.assertEqual(node.ask("/api/v1/info")["id"], before)


class ControlTests(NodeTestCase):
    """What a node is told over its control port."""

    def form(self, name: str, data: bytes) -> tuple[bytes, dict[str, str]]:
        """Write a form with one file."""
        head = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        return head + data + b"\r\n--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}

    def post(self, url: str, name: str, data: bytes) -> tuple[int, Any]:
        """Send a file."""
        body, headers = self.form(name, data)
        status, reply = fetch(url, "POST", body, **headers)
        return status, json.loads(reply)

    def test_s2_14_posted(self) -> None:
        """A file that is sent over HTTP is shared at once, and its name never leads out of the folder."""
        self.index.start()
        node = self.node("a")
        status, reply = self.post(f"{node.url}/api/v1/files/share", "../../notes.txt", b"hello")
        self.assertEqual((status, reply["status"]), (200, "success"))
        self.assertEqual(node.files()["notes.txt"]["id"], reply["file_id"])
        self.assertEqual((node.shared / "notes.txt").read_bytes(), b"hello")
        self.index.has("notes.txt")

    def reputation(self, node: NodeProcess) -> int:
        """What the index thinks of a node."""
        own = node.ask("/api/v1/info")["id"]
        (reputation,) = (peer["reputation"] for peer in self.index.ask("/api/v1/peers") if peer["id"] == own)
        assert isinstance(reputation, int)
        return reputation

    def test_torrents(self) -> None:
        """A torrent added over HTTP is fetched, can be paused, checked and resumed, and is there after a restart."""
        self.index.start()
        giver, taker = self.node("a"), self.node("b")
        path = giver.put("disk.img", CONTENT)
        self.index.has("disk.img")
        torrent = self.top / "x.torrent"
        self.command("create", "create", path, "-t", f"{self.index.url}/announce", "-o", torrent)
        status, reply = self.post(f"{taker.url}/api/v1/torrents", "x.torrent", torrent.read_bytes())
        self.assertEqual(status, 200, reply)
        one = f"/api/v1/torrents/{reply['info_hash']}"

        def state() -> str:
            return str(taker.ask(one)["torrent"]["state"])

        wait_until(lambda: state() == "seeding", "it is fetched")
        self.assertEqual((self.top / "b" / "data" / "disk.img").read_bytes(), CONTENT)
        wait_until(lambda: self.reputation(giver) > 0, "the index has heard who served well")
        self.assertEqual(self.reputation(taker), 0)
        self.assertEqual(fetch(f"{taker.url}{one}/pause", "POST", b"")[0], 200)
        self.assertEqual(state(), "paused")
        self.assertEqual(fetch(f"{taker.url}{one}/resume", "POST", b"")[0], 200)
        wait_until(lambda: state() == "seeding", "it goes on")
        self.assertEqual(fetch(f"{taker.url}{one}/recheck", "POST", b"")[0], 200)
        wait_until(lambda: state() == "seeding", "it is checked")
        self.assertLess(taker.daemon.told(signal.SIGTERM), 5)
        taker.start()
        wait_until(lambda: taker.ask("/api/v1/torrents")["total"], "it is there again")
        self.assertEqual(fetch(f"{taker.url}{one}", "DELETE")[0], 200)
        self.assertEqual(list((self.top / "b" / "state" / "torrents").iterdir()), [])
        self.assert_clean(giver.daemon.log, taker.daemon.log)

    def test_token(self) -> None:
        """Where a token is set, what writes needs it, and what reads does not."""
        node = NodeProcess(self, self.top / "a", self.index.url, control='token = "0123456789abcdef"')
        node.start()
        url = f"{node.url}/api/v1/files/share"
        body, headers = self.form("a.txt", b"a")
        self.assertEqual(fetch(url, "POST", body, **headers)[0], 401)
        allowed = {**headers, "Authorization": "Bearer 0123456789abcdef"}
        self.assertEqual(fetch(url, "POST", body, **allowed)[0], 200)
        self.assertEqual(list(node.files()), ["a.txt"])
