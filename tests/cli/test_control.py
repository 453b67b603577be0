"""``p2pshare add``, ``pause``, ``resume``, ``recheck``, ``remove`` and ``status``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import control
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.sending import Parcel
from p2pshare.errors import IndexRefused, IndexUnreachable
from tests.cli.sample import content, objects, run, torrent_of
from tests.cli.services import FakeService, run_now, serve

TORRENTS = "/api/v1/torrents"


def held(name: str, info_hash: str, **more: Any) -> dict[str, Any]:
    """Describe a torrent as the daemon does."""
    return {
        "info_hash": info_hash,
        "name": name,
        "state": "downloading",
        "percent": 42.0,
        "checked": 1.0,
        "size": 1 << 20,
        "down_rate": 1 << 20,
        "up_rate": 0,
        "ratio": 0.0,
        "peers": 2,
        "eta": 60,
        "error": None,
        **more,
    }


A, B = held("disk.img", "aa" * 20), held("song.mp3", "bb" * 20, state="seeding", percent=100.0, down_rate=0, eta=None)


def done(torrent: dict[str, Any], message: str) -> dict[str, str]:
    """Give the daemon's word about a torrent."""
    return {"info_hash": torrent["info_hash"], "name": torrent["name"], "message": message, "status": "success"}


class NodeTestCase(SynchronousTestCase):
    """A daemon with two torrents, answering from memory."""

    def setUp(self) -> None:
        self.node = FakeService()
        serve(self, self.node)
        self.holds(A, B)

    def holds(self, *torrents: dict[str, Any]) -> None:
        """Let it have these; it gives as many at once as it is asked for."""

        def page(query: dict[str, Any]) -> dict[str, Any]:
            shown = torrents[query["offset"] :][: query["limit"]]
            return {"torrents": shown, "total": len(torrents), "down_rate": 1 << 20, "up_rate": 0}

        self.node.answers[TORRENTS] = page


class OrderTests(NodeTestCase):
    """Commands that name torrents of the daemon."""

    def test_pause_by_name_and_hash(self) -> None:
        """A torrent is named by its name, its info hash, or the first digits of that."""
        path = f"{TORRENTS}/{'aa' * 20}/pause"
        self.node.answers[path] = done(A, "Torrent paused")
        for name in ("disk.img", "AA" * 20, "aaaaaaaa"):
            result = run("pause", name)
            self.assertEqual((result.exit_code, result.output), (0, "disk.img: Torrent paused\n"))
            self.assertEqual(self.node.asked[-1][:2], ("POST", path))

    def test_remove_all(self) -> None:
        """All means each torrent once."""
        for torrent in (A, B):
            self.node.answers[f"{TORRENTS}/{torrent['info_hash']}"] = done(torrent, "Torrent removed; its files stay")
        result = run("remove", "all", "disk.img", "--json")
        self.assertEqual([each["name"] for each in objects(result)], ["disk.img", "song.mp3"])
        self.assertEqual([each[0] for each in self.node.asked], ["GET", "DELETE", "DELETE"])

    def test_unknown(self) -> None:
        """A torrent that the daemon does not have is one line, and nothing is done with the others."""
        result = run("resume", "disk.img", "nothing")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, "p2pshare: nothing: no torrent of this daemon has this name or info hash\n")
        self.assertEqual(len(self.node.asked), 1)

    def test_ambiguous(self) -> None:
        """A name that several torrents have is wrong usage, and their hashes are said."""
        self.holds(A, held("disk.img", "cc" * 20))
        result = run("recheck", "disk.img")
        self.assertEqual(result.exit_code, ExitCode.USAGE)
        self.assertIn(f"{'aa' * 20}, {'cc' * 20}", result.stderr)

    def test_too_few_digits(self) -> None:
        """Less than eight digits are no info hash: somebody may have meant a name."""
        self.assertEqual(run("pause", "aaaaaaa").exit_code, ExitCode.ERROR)

    def test_refusals(self) -> None:
        """What is refused is told with its reason, after what was done; the exit code is 1."""
        self.node.answers[f"{TORRENTS}/{'aa' * 20}/resume"] = IndexRefused("the torrent is not paused", 409)
        self.node.answers[f"{TORRENTS}/{'bb' * 20}/resume"] = done(B, "Torrent resumed")
        result = run("resume", "all")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stdout, "song.mp3: Torrent resumed\n")
        self.assertEqual(result.stderr, "p2pshare: disk.img: the torrent is not paused\n")

    def test_shared_files_are_not_meant(self) -> None:
        """A torrent that is there because somebody fetches a shared file is none of "all"; by its name it is meant."""
        self.holds(A, {**B, "of_shared_file": True})
        self.node.answers[f"{TORRENTS}/{'aa' * 20}/pause"] = done(A, "Torrent paused")
        self.node.answers[f"{TORRENTS}/{'bb' * 20}/pause"] = IndexRefused("this is a file of the shared folder", 409)
        self.assertEqual(run("pause", "all").output, "disk.img: Torrent paused\n")
        self.assertEqual(run("pause", "song.mp3").exit_code, ExitCode.ERROR)

    def test_many_pages(self) -> None:
        """A daemon with more torrents than one answer holds is asked again."""
        many = [held(f"t{n}", f"{n:040x}") for n in range(1001)]
        self.holds(*many)
        self.node.answers[f"{TORRENTS}/{1000:040x}/pause"] = done(many[-1], "Torrent paused")
        self.assertEqual(run("pause", "t1000").output, "t1000: Torrent paused\n")

    def test_no_daemon(self) -> None:
        """If no daemon answers, the exit code is 4."""
        self.node.answers[TORRENTS] = IndexUnreachable("http://127.0.0.1:8081: connection refused")
        for name in ("pause", "resume", "recheck", "remove"):
            result = run(name, "all")
            self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
            self.assertEqual(result.stderr, "p2pshare: http://127.0.0.1:8081: connection refused\n")

    def test_another_daemon(self) -> None:
        """The daemon is that of --control, else of the environment."""
        run("status", "--control", "10.0.0.2:8081")
        self.assertEqual(self.node.base, "http://10.0.0.2:8081")
        run("status", env={"P2PSHARE_CONTROL": "http://10.0.0.3:1"})
        self.assertEqual(self.node.base, "http://10.0.0.3:1")


class StatusTests(NodeTestCase):
    """``p2pshare status``."""

    def test_rows(self) -> None:
        """Each torrent is a line, and how all stands is said apart."""
        self.node.answers["/api/v1/info"] = {
            "shared_files": 3,
            "peer_port": 6881,
            "super_peer": "http://10.0.0.1:8000",
            "is_registered": True,
        }
        result = run("status")
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "disk.img\tdownloading\t42.0%\t1.0 MiB\t1.0 MiB/s\t-\t2\t1m00s\taaaaaaaa",
                "song.mp3\tseeding\t100.0%\t1.0 MiB\t-\t-\t2\t-\tbbbbbbbb",
            ],
        )
        self.assertEqual(
            result.stderr,
            "2 torrents, down 1.0 MiB/s, up 0 B/s, 3 shared files, peers connect to port 6881, "
            "registered at http://10.0.0.1:8000\n",
        )

    def test_one(self) -> None:
        """Of those named only, and as JSON if wanted."""
        (torrent,) = objects(run("status", "bbbbbbbb", "--json"))
        self.assertEqual((torrent["name"], torrent["state"], torrent["percent"]), ("song.mp3", "seeding", 100.0))

    def test_errors_are_shown(self) -> None:
        """Why a torrent failed stands beside its state, on the same line."""
        self.holds(held("x", "cc" * 20, state="failed", error="disk\nfull"))
        self.assertIn("x\tfailed: disk\\nfull\t", run("status").stdout)

    def test_empty(self) -> None:
        """A daemon without torrents is no error."""
        self.holds()
        result = run("status")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertIn("0 torrents", result.stderr)


class AddTests(SynchronousTestCase):
    """``p2pshare add``."""

    def setUp(self) -> None:
        self.sent: list[tuple[str, str, str, Parcel]] = []
        self.answer: Any = None
        self.patch(control, "run", run_now(self))
        self.patch(control, "send", self.send)
        self.file, self.torrent = torrent_of(content(Path(self.mktemp())))

    async def send(self, reactor: Any, base: str, method: str, path: str, parcel: Parcel) -> Any:
        """Write down what is sent, and give the answer."""
        self.sent.append((base, method, path, parcel))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def test_add(self) -> None:
        """The torrent file is sent as it is, in a form, and the daemon's word is passed on."""
        self.answer = {"info_hash": self.torrent.info_hash.hex(), "name": "photos", "message": "Torrent added"}
        result = run("add", self.file)
        self.assertEqual((result.exit_code, result.output), (0, "photos: Torrent added\n"))
        ((base, method, path, parcel),) = self.sent
        self.assertEqual((base, method, path), ("http://127.0.0.1:8081", "POST", TORRENTS))
        self.assertIn(self.file.read_bytes(), parcel.data)
        self.assertTrue(parcel.content_type.startswith("multipart/form-data; boundary="))

    def test_no_torrent_file(self) -> None:
        """What is no torrent file is refused before anything is sent."""
        bad = self.file.with_name("bad.torrent")
        bad.write_bytes(b"hello")
        result = run("add", self.file, bad)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertIn("bad.torrent: ", result.stderr)
        self.assertEqual(self.sent, [])

    def test_here_already(self) -> None:
        """A refusal is one line that names the file."""
        self.answer = IndexRefused("photos: torrent was added before", 409)
        result = run("add", self.file)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, f"p2pshare: {self.file}: photos: torrent was added before\n")

    def test_not_a_daemon(self) -> None:
        """Something else that answers at this port is no daemon."""
        self.answer = ["hello"]
        self.assertEqual(run("add", self.file).exit_code, ExitCode.NOBODY_FOUND)

    def test_no_daemon(self) -> None:
        """If no daemon answers, the exit code is 4."""
        self.answer = Ended("http://127.0.0.1:8081: connection refused", ExitCode.NOBODY_FOUND)
        self.assertEqual(run("add", self.file).exit_code, ExitCode.NOBODY_FOUND)
