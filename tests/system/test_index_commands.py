"""Commands and a real tracker with its index: found, fetched, listed, entered."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from p2pshare.cli.exits import ExitCode
from tests.system.commands import P2PSHARE, WAIT, CommandTestCase, some_bytes, wait_until

OWNER = "stranger"


def ask(base: str, path: str, body: bytes | None = None, kind: str = "application/json") -> dict[str, object]:
    """Ask the service for JSON."""
    request = Request(base + path, body, {"Content-Type": kind})
    with urlopen(request, timeout=30) as reply:
        answer: dict[str, object] = json.load(reply)
        return answer


@contextmanager
def owner(files: dict[str, bytes]) -> Iterator[str]:
    """Serve files as a node does that knows neither ranges nor anything else."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (name,) = parse_qs(urlsplit(self.path).query)["filename"]
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[name])))
            self.end_headers()
            self.wfile.write(files[name])

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class ShareTests(CommandTestCase):
    """``p2pshare share`` as a process, with a tracker of its own."""

    def test_share_and_get(self) -> None:
        """One command shares a folder; what it says to type fetches the file; told to stop it ends with 0."""
        data = some_bytes(100)
        self.write("shared/a song.mp3", data)
        sharing = self.start(
            *("share", "shared", "--with-tracker", "--bind", "127.0.0.1", "--tracker-port", "0", "--port", "0"),
            *("--control-port", "0", "--state-dir", self.folder / "state-of-share"),
        )
        wait_until(lambda: "Others type" in sharing.said() and sharing.said().count("\n") == 2, "what others type")
        program, *words = shlex.split(sharing.said().splitlines()[-1])
        self.assertEqual((program, words[:2]), ("p2pshare", ["get", "a song.mp3"]))
        wait_until(lambda: ask(words[-1], "/api/v1/files/search?q=song")["total"], "the song in the index")
        self.run_command(*words, "-o", "out", "--port", "0", "--bind", "127.0.0.1")
        self.assertEqual((self.folder / "out" / "a song.mp3").read_bytes(), data)
        self.assertEqual(sharing.told(signal.SIGINT)[0], 0, sharing.report())
        self.assertEqual(sharing.complained(), "")


class IndexCommandTests(CommandTestCase):
    """Processes of the command line against a tracker in a process of its own."""

    def setUp(self) -> None:
        super().setUp()
        announce = self.tracker("--port", "0", "--state-dir", str(self.folder / "tracker"))
        self.base = announce.removesuffix("/announce")
        self.environment |= {"P2PSHARE_INDEX": self.base}
        self.environment.pop("P2PSHARE_TOKEN", None)

    def upload(self, name: str, data: bytes) -> str:
        """Have the service seed a file, and give its info hash."""
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + b"\r\n--x--\r\n"
        return str(ask(self.base, "/api/tracker/upload", body, "multipart/form-data; boundary=x")["info_hash"])

    def register(self, name: str, data: bytes, address: str, sha256: str | None = None) -> str:
        """Enter a file of a node, and give its id."""
        body = {
            "filename": name,
            "size": len(data),
            "hash": sha256 or hashlib.sha256(data).hexdigest(),
            "owner": OWNER,
            "peer_address": address,
        }
        return str(ask(self.base, "/api/v1/files/register", json.dumps(body).encode())["file_id"])

    def test_hundred_bytes(self) -> None:
        """A file of 100 bytes is found, listed, and fetched through the index by every name it has."""
        data = some_bytes(100)
        self.upload("hundred.bin", data)
        (found,) = [json.loads(line) for line in self.run_command("search", "hundred", "--json").said().splitlines()]
        self.assertEqual((found["size"], found["seeds"]), (100, 1))
        self.assertIn("hundred.bin\t100 B\t1\t0\t", self.run_command("list").said())
        wanted = ("hundred.bin", found["id"], found["info_hash"], found["hash"])
        for number, word in enumerate(wanted):
            self.run_command("get", word, "-o", f"out{number}", "--port", "0")
            self.assertEqual((self.folder / f"out{number}" / "hundred.bin").read_bytes(), data)

    def test_from_an_owner(self) -> None:
        """What has no torrent comes over HTTP from a node, whatever its name; an interrupted one goes on."""
        data, name = some_bytes(3_000_000), "a b & ü.bin"
        with owner({name: data}) as address:
            file_id = self.register(name, data, address)
            self.run_command("get", name, "-o", "out")
            self.assertEqual((self.folder / "out" / name).read_bytes(), data)
            self.write(f"again/{name}.part", data[:1_000_000])
            self.run_command("get", file_id, "-o", "again", "--json")
            self.assertEqual((self.folder / "again" / name).read_bytes(), data)
            self.assertEqual(os.listdir(self.folder / "again"), [name])

    def test_owner_with_other_bytes(self) -> None:
        """Other bytes than the index says are exit code 6, and nothing has the name."""
        data = some_bytes(1000)
        with owner({"x.bin": data}) as address:
            self.register("x.bin", data, address, sha256="ab" * 32)
            failed = self.run_command("get", "x.bin", "-o", "out", expect=ExitCode.VERIFICATION_FAILED)
        self.assertEqual(len(failed.complained().splitlines()), 1)
        self.assertEqual(os.listdir(self.folder / "out"), [])

    def test_deserted_swarm(self) -> None:
        """Where nobody is in the swarm, the file comes over HTTP, without waiting for somebody to come."""
        data = some_bytes(50_000)
        info_hash = self.upload("c.bin", data)
        ask(self.base, f"/api/tracker/seeders/stop/{info_hash}", b"")
        got = self.run_command("get", "c.bin", "-o", "out", "--port", "0", "--bind", "127.0.0.1")
        self.assertEqual((self.folder / "out" / "c.bin").read_bytes(), data)
        self.assertIn("asking an owner over HTTP", got.said())

    def test_s3_12_create_seed_download(self) -> None:
        """create enters the torrent at the tracker; the creator, while it seeds, is announced; download gets it."""
        data = some_bytes(600_000)
        self.write("seed/myfile.txt", data)
        tracker = f"{self.base}/api/tracker"
        creator = self.start("--tracker", tracker, "create", "seed/myfile.txt", "--seed", "--json")
        made = creator.await_event("complete")
        creator.await_event("complete", lambda event: event.get("state") == "seeding")
        torrent = self.folder / "myfile.txt.torrent"
        self.assertIn("myfile.txt", self.run_command("--tracker", tracker, "list").said())
        downloaded = self.download(torrent, "out")
        self.assert_ended(downloaded)
        self.assertEqual((self.folder / "out" / "myfile.txt").read_bytes(), data)
        self.assertIn("100.0%", downloaded.said())
        self.assertIn("myfile.txt\t585.9 KiB\t1\t", self.run_command("--tracker", tracker, "list").said())
        self.assertIn("\tseed\t", self.run_command("peers", made["info_hash"]).said())
        self.assertEqual(creator.told(signal.SIGINT)[0], 0, creator.report())
        self.assertEqual(creator.complained(), "")

    def test_s3_16_nobody(self) -> None:
        """No peers: one clear line, exit code 4, and nothing under the final name."""
        self.write("seed/lonely.bin", some_bytes(1000))
        self.run_command("--tracker", f"{self.base}/api/tracker", "create", "seed/lonely.bin")
        failed = self.run_command(
            "download", "lonely.bin.torrent", "-o", "out", "--timeout", "1", "--port", "0", expect=ExitCode.NOBODY_FOUND
        )
        self.assertIn("no peer found", failed.complained())
        self.assertFalse((self.folder / "out" / "lonely.bin").exists())

    def test_f110_reader_gone(self) -> None:
        """If whoever reads the output has gone, nothing is said, and the exit code is 1."""
        self.upload("a.bin", b"content")
        for words in (["search"], ["list"], ["search", "--json"]):
            reading, writing = os.pipe()
            os.close(reading)
            with os.fdopen(writing, "wb") as gone:
                done = subprocess.run([*P2PSHARE, *words], stdout=gone, stderr=PIPE, env=self.environment, timeout=WAIT)
            self.assertEqual((done.returncode, done.stderr), (ExitCode.ERROR, b""))

    def test_ctrl_c(self) -> None:
        """Ctrl-C during a download from an owner is 130 in one line, and what came is kept for the next time."""
        data = some_bytes(1_000_000)
        with owner({"slow.bin": data}) as address:
            self.register("slow.bin", data, address)
            slow = self.start("get", "slow.bin", "-o", "out", "--limit-down", "10K")
            part = self.folder / "out" / "slow.bin.part"
            wait_until(lambda: part.exists() and part.stat().st_size, "the first bytes")
            code, _ = slow.told(signal.SIGINT)
        self.assertEqual(code, ExitCode.INTERRUPTED, slow.report())
        self.assertNotIn("Traceback", slow.complained())
        self.assertEqual(slow.complained(), "p2pshare: interrupted\n")
        self.assertTrue(data.startswith(part.read_bytes()))
