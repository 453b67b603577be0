"""Text swarms as processes, with our tracker or a recording one, and with peers that others could have written."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from p2pshare.cli.exits import ExitCode
from tests.system.commands import CommandTestCase, _limit_life, some_bytes, wait_until
from tests.textswarm.independent import SIZE, LeanSeeder, lean_download

TEXT = (sys.executable, "-c", "from p2pshare.cli.text import command; command()")
KEY = "e1bc3ba85b832a12e5537300fa1def22727f330e"  # of the name example.txt


class RecordingTracker:
    """Answers as the protocol's tracker does, and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.peers: dict[str, dict[str, Any]] = {}
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                body = json.dumps(tracker.answer(parts.path, dict(parse_qsl(parts.query)), self.client_address[0]))
                self.send_response(200)
                self.send_header("Content-type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, query: dict[str, str], ip: str) -> dict[str, Any]:
        self.asked.append((path, query))
        if path == "/register":
            self.peers[query["peer_id"]] = {"ip": ip, "port": int(query["port"])}
            return {"status": "registered"}
        if path == "/status":
            if query["status"] == "stopped":
                self.peers.pop(query["peer_id"], None)
            return {"status": query["status"]}
        return {"peers": list(self.peers.values())}  # the one who asks is among them

    def statuses(self) -> list[str]:
        return [query["status"] for path, query in list(self.asked) if path == "/status"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Running:
    """One ``p2pshare text`` process."""

    def __init__(self, folder: Path, environment: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.out = folder / f"said_{time.monotonic_ns()}.txt"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*TEXT, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_limit_life,
            )

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return self.out.read_text()

    def awaited(self, pattern: str) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            if (found := re.search(pattern, self.said())) is None and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.said()}")
            return found

        return wait_until(look, pattern)  # type: ignore[return-value]

    def ended(self, within: float = 60.0) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs: {self.said()}") from None


class TextSwarmTestCase(CommandTestCase):
    """A file of three pieces, and a tracker."""

    def setUp(self) -> None:
        super().setUp()
        self.content = some_bytes(2 * SIZE + 123)
        self.file = self.write("example.txt", self.content)
        self.pieces = dict(enumerate(self.content[begin : begin + SIZE] for begin in range(0, len(self.content), SIZE)))
        self.tracker_ = RecordingTracker()
        self.addCleanup(self.tracker_.close)

    def text(self, *arguments: str, tracker: str | None = None) -> Running:
        """Start ``p2pshare text`` in the test's folder."""
        where = ("--tracker", tracker or self.tracker_.url, "--bind", "127.0.0.1")
        running = Running(self.folder, self.environment, (*arguments, *where))
        self.addCleanup(running.clean_up)
        return running

    def seeding(self, *arguments: str, tracker: str | None = None) -> tuple[Running, str, int]:
        """Start a seed; give it, the hash and the port."""
        seed = self.text("seed", "example.txt", "--port", "0", *arguments, tracker=tracker)
        port = int(seed.awaited(r"on port (\d+)")[1])
        return seed, seed.awaited(r"(?m)^([0-9a-f]{40}) example.txt 3$")[1], port

    def lean(self, *held: int) -> LeanSeeder:
        """Start an independent seeder that has some pieces, and register it."""
        seeder = LeanSeeder(KEY, {index: self.pieces[index] for index in held}, 3)
        self.addCleanup(seeder.close)
        self.tracker_.peers[seeder.peer_id] = {"ip": "127.0.0.1", "port": seeder.port}
        return seeder

    def assert_fetched(self, running: Running, *, name: str = "out.txt") -> Path:
        """Wait for the end of a download, and compare what came; give its folder."""
        self.assertEqual(running.ended(), 0, running.said())
        (whole,) = self.folder.glob(f"downloads*/{name}")
        self.assertEqual(sha1(whole.read_bytes()).digest(), sha1(self.content).digest())
        return whole.parent


class SeedTests(TextSwarmTestCase):
    def test_s0_12_seed(self) -> None:
        """A file is laid out in its pieces, and its peer is registered."""
        _, key, port = self.seeding("--hash", "name")
        self.assertEqual(key, KEY)
        names = sorted(path.name for path in (self.folder / "seed" / KEY).iterdir())
        self.assertEqual(names, ["piece_0", "piece_1", "piece_2"])
        laid = b"".join((self.folder / "seed" / KEY / name).read_bytes() for name in names)
        self.assertEqual(laid, self.content)
        wait_until(lambda: [peer["port"] for peer in self.tracker_.peers.values()] == [port], "a registered peer")

    def test_s0_18_lean_leech(self) -> None:
        """A peer that sends no newlines and frames nothing fetches all of it from our seed; one with newlines, too."""
        _, key, port = self.seeding()
        for end in ("", "\n"):
            self.assertEqual(lean_download(("127.0.0.1", port), key, 3, end), self.pieces)

    def test_s0_16_exit(self) -> None:
        """Told to stop, a seed says so to the tracker once, closes its port, and ends well within 5 s."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.tracker_.asked.clear()
            seed, _, port = self.seeding()
            wait_until(lambda: self.tracker_.peers, "a registered peer")
            began = time.monotonic()
            seed.process.send_signal(number)
            self.assertEqual(seed.ended(), 0, seed.said())
            self.assertLess(time.monotonic() - began, 5.0)
            self.assertEqual(self.tracker_.statuses(), ["stopped"])
            with socket.socket() as probe:
                self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0)

    def test_s0_11_strangers(self) -> None:
        """Garbage, an unknown hash and an absent piece close without a byte, and others go on."""
        _, key, port = self.seeding()
        for words in (
            b"GET / HTTP/1.0\r\n\r\n",
            f"HANDSHAKE {'0' * 40}\n".encode(),
            b"BITFIELD 0,0,0\n",
            os.urandom(99),
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(words)
                try:
                    self.assertEqual(connection.recv(100), b"")
                except ConnectionResetError:
                    pass
        self.assertEqual(lean_download(("127.0.0.1", port), key, 3), self.pieces)


class DownloadTests(TextSwarmTestCase):
    def test_s0_13_download(self) -> None:
        """Through our own tracker's face a file is fetched, piece by piece and put together."""
        tracker = self.tracker().removesuffix("/announce")
        _, key, _ = self.seeding(tracker=tracker)
        folder = self.assert_fetched(self.text("download", key, "out.txt", "3", "--port", "0", tracker=tracker))
        self.assertRegex(folder.name, r"^downloads\d+$")
        names = sorted(path.name for path in (folder / key).iterdir())
        self.assertEqual(names, ["piece_0", "piece_1", "piece_2"])

    def test_s0_13_told_once(self) -> None:
        """The tracker hears once that it is complete, and once that it stopped."""
        self.lean(0, 1, 2)
        self.assert_fetched(self.text("download", KEY, "out.txt", "3", "--port", "0"))
        self.assertEqual(self.tracker_.statuses(), ["completed", "stopped"])

    def test_s0_18_lean_seed(self) -> None:
        """From a seeder that sends no newlines and frames nothing all of it comes, the short last piece, too."""
        self.lean(0, 1, 2)
        self.assert_fetched(self.text("download", KEY, "out.txt", "3", "--port", "0"))

    def test_s0_14_partial(self) -> None:
        """A leech that holds only piece 1 offers and serves it; what others get later it gets, too."""
        lean = self.lean(1)
        leech = self.text("download", KEY, "out.txt", "3", "--port", "0", "--lookup", "1")
        piece = wait_until(lambda: list(self.folder.glob(f"downloads*/{KEY}/piece_1")), "piece 1")[0]
        port = int(re.findall(r"\d+", piece.parent.parent.name)[0])
        self.assertEqual(
            wait_until(lambda: lean_download(("127.0.0.1", port), KEY, 3), "piece 1 from the leech"),
            {1: self.pieces[1]},
        )
        lean.pieces.update(self.pieces)
        self.assert_fetched(leech)

    def test_s0_15_seeder_later(self) -> None:
        """Without a source it waits; with the next look-up it finds the one that has come."""
        leech = self.text("download", KEY, "out.txt", "3", "--port", "0", "--lookup", "1")
        wait_until(lambda: sum(path == "/get_peers" for path, _ in list(self.tracker_.asked)) >= 2, "two look-ups")
        self.lean(0, 1, 2)
        self.assert_fetched(leech)

    def test_two_leeches_and_a_seed(self) -> None:
        """Several of ours and theirs in one swarm all end with the same file, whose size no one was told."""
        content = some_bytes(40 * SIZE + 1)
        self.write("example.txt", content)
        seed = self.text("seed", "example.txt", "--port", "0", "--hash", "name")
        seed.awaited("on port")
        leeches = [
            self.text("download", KEY, f"out{place}.txt", "41", "--port", "0", "--lookup", "1") for place in range(2)
        ]
        for leech in leeches:
            self.assertEqual(leech.ended(), 0, leech.said())
        for place in range(2):
            (whole,) = self.folder.glob(f"downloads*/out{place}.txt")
            self.assertTrue(whole.read_bytes() == content)

    def test_stopped_unfinished(self) -> None:
        """A download that is told to stop says goodbye to the tracker; its exit code says that it is not finished."""
        leech = self.text("download", KEY, "out.txt", "3", "--port", "0")
        wait_until(lambda: self.tracker_.peers, "a registered peer")
        leech.process.send_signal(signal.SIGTERM)
        self.assertEqual(leech.ended(), ExitCode.UNFINISHED, leech.said())
        self.assertEqual(self.tracker_.statuses(), ["stopped"])

    def test_wrong_arguments(self) -> None:
        """A hash, name or count that cannot be is one line, and exit code 2."""
        for arguments in (("zz", "out.txt", "3"), (KEY, "../out.txt", "3"), (KEY, "out.txt", "0")):
            leech = self.text("download", *arguments, "--port", "0")
            self.assertEqual(leech.ended(), ExitCode.USAGE, leech.said())
            self.assertEqual(leech.said().count("\n"), 1, leech.said())
