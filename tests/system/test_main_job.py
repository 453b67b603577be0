"""Getting a file from one machine to others, with real processes, sockets and disks."""

from __future__ import annotations

import filecmp
import json
import os
import signal
import time
from pathlib import Path

from tests import real_parts
from tests.system.commands import PIECE, Command, CommandTestCase, some_bytes, wait_until
from tests.system.strangers import RecordingTracker

MIB = 1 << 20
KEYS = {
    "event",
    "name",
    "info_hash",
    "port",
    "state",
    "percent",
    "pieces_done",
    "pieces_total",
    "peers",
    "down_rate",
    "up_rate",
    "eta",
}


class MainJobTests(CommandTestCase):
    """What README.md begins with."""

    def assert_same(self, one: Path, other: Path) -> None:
        """Compare two files or folders, names and bytes."""
        if one.is_file():
            self.assertTrue(filecmp.cmp(one, other, shallow=False), other)
            return
        self.assertEqual(sorted(os.listdir(one)), sorted(os.listdir(other)))
        for name in os.listdir(one):
            self.assert_same(one / name, other / name)

    def test_s3_13_one_file(self) -> None:
        """Tracker, create, seed, download: the copy is equal, and everybody can see it happening."""
        url = self.tracker()
        image = self.write("disk.img", some_bytes(3_000_001))
        created = self.run_command("create", "disk.img", "-t", url)
        self.assertTrue((self.folder / "disk.img.torrent").exists(), created.report())
        seed = self.start("seed", "disk.img.torrent", "--bind", "127.0.0.1", "--port", "0")
        wait_until(lambda: "Seeding" in seed.said(), "the seed is ready")
        self.assertRegex(seed.said(), rf"Seeding {self.folder}/disk.img on port \d+; stop with Ctrl-C\n")

        download = self.download("disk.img.torrent", "srv/images", "--json", "--limit-down", "2M")
        self.assert_ended(download)
        self.assert_same(image, self.folder / "srv/images/disk.img")
        self.assertEqual(download.complained(), "")
        events = download.events()
        for event in events:
            self.assertEqual(event.keys(), KEYS)
        self.assertEqual({event["event"] for event in events[:-1]}, {"progress"})
        self.assertEqual((events[-1]["event"], events[-1]["percent"]), ("complete", 100.0))
        percents = [event["percent"] for event in events]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual((events[-1]["pieces_done"], events[-1]["pieces_total"]), (184, 184))
        self.assertGreaterEqual(max(event["peers"] for event in events), 1)

        scraped = self.run_command("scrape", "disk.img.torrent")
        self.assertEqual(scraped.said(), f"{url}: seeds 1, leeches 0, downloads 1\n")
        self.run_command("verify", "disk.img.torrent", "srv/images")
        self.assertEqual(seed.told(signal.SIGINT)[0], 0, seed.report())
        self.assertEqual(seed.complained(), "")

    def test_folder_over_ipv6(self) -> None:
        """A folder with empty files, odd names and deep paths arrives equal, over IPv6 alone."""
        files = {
            "a b.bin": some_bytes(100_000),
            "deep/down/日本 ünïcode.bin": some_bytes(70_000, 1),
            "empty": b"",
            "deep/empty too": b"",
            "one byte": b"!",
            "-x": b"--help",
        }
        for path, content in files.items():
            self.write(f"some photos/{path}", content)
        real_parts.ipv6()
        url = self.tracker(bind="::1")
        self.assertIn("[::1]", url)
        self.run_command("create", "some photos", "-q", env={"P2PSHARE_TRACKER": url})
        seed = self.start("seed", "some photos.torrent", "--bind", "[::1]", "--port", "0", "--json")
        seed.await_event("complete")
        download = self.download("some photos.torrent", "copy", "--bind", "::1")
        self.assert_ended(download)
        self.assert_same(self.folder / "some photos", self.folder / "copy" / "some photos")
        lines = download.said().splitlines()
        self.assertEqual(lines[-1], "Complete: copy/some photos")
        self.assertRegex(lines[-2], r"^seeding: 100\.0% \(11/11 pieces\)")

    def test_s1_16_killed_half_way(self) -> None:
        """While it is downloaded only NAME.part is there; killed and started again, no verified piece comes twice."""
        size = 4_000_000
        image = self.write("seed/disk.img", some_bytes(size))
        plain = self.torrent(image)
        _, address = self.seed(plain)
        tracker = RecordingTracker(self, [address])
        torrent = self.torrent(image, tracker.url)
        output = self.folder / "out"

        first = self.download(torrent, "out", "--json", "--limit-down", "500K")
        first.await_event("progress", lambda event: event["percent"] > 25)
        self.assertEqual(os.listdir(output), ["disk.img.part"])
        first.process.kill()
        first.ended()
        self.assertEqual(os.listdir(output), ["disk.img.part"])
        had = first.events()[-1]["pieces_done"]

        second = self.download(torrent, "out", "--json")
        self.assert_ended(second)
        self.assertEqual(os.listdir(output), ["disk.img"])
        self.assert_same(image, output / "disk.img")
        goodbye = tracker.announces[-1]
        self.assertEqual(goodbye["event"], "stopped")
        self.assertLessEqual(int(goodbye["downloaded"]), size - (had - 1) * PIECE)  # one piece may be the short one
        self.assertGreater(int(goodbye["downloaded"]), 0)

    def test_s1_17_what_the_tracker_hears(self) -> None:
        """Started with all left, completed once with nothing left, stopped: in that order, from both peers."""
        tracker = RecordingTracker(self)
        image = self.write("disk.img", some_bytes(500_000))
        torrent = self.torrent(image, tracker.url)
        seed, address = self.seed(torrent)
        wait_until(lambda: tracker.announces, "the seed's announce")
        self.assertEqual((tracker.told("event"), tracker.told("left")), (["started"], ["0"]))
        tracker.announces.clear()

        self.assert_ended(self.download(torrent, "out", "--peer", address))
        self.assertEqual(tracker.told("event"), ["started", "completed", "stopped"])
        self.assertEqual(tracker.told("left"), ["500000", "0", "0"])
        self.assertEqual(tracker.told("downloaded"), ["0", "500000", "500000"])
        tracker.announces.clear()

        self.assertEqual(seed.told(signal.SIGTERM)[0], 0)
        self.assertEqual((tracker.told("event"), tracker.told("uploaded")), (["stopped"], ["500000"]))

    def test_s3_15_passed_on(self) -> None:
        """A finished download goes on giving until its goal is reached: the next peer gets everything from it alone."""
        size = 1_000_000
        image = self.write("seed/disk.img", some_bytes(size))
        torrent = self.torrent(image)
        seed, address = self.seed(torrent)
        hook = 'echo "$P2P_NAME $P2P_INFO_HASH $P2P_PATH" >> hook; echo said by the hook'
        first = self.download(
            torrent, "one", "--json", "--peer", address, "--seed-until", "ratio=1", "--on-complete", hook
        )
        complete = first.await_event("complete")
        seed.told(signal.SIGTERM)

        host = f"localhost:{complete['port']}"  # by name, and where nobody listens on its other address
        second = self.download(torrent, "two", "--peer", host, "--seed-until", "time=1", "--on-complete", "exit 3")
        self.assert_ended(second)
        self.assert_ended(first)
        self.assert_same(image, self.folder / "two/disk.img")
        told = [complete["name"], complete["info_hash"], str(self.folder / "one/disk.img")]
        self.assertEqual((self.folder / "hook").read_text().splitlines(), [" ".join(told)])
        self.assertEqual(first.complained(), "said by the hook\n")
        self.assertEqual([json.loads(line)["event"] for line in first.said().splitlines()].count("complete"), 1)
        self.assertEqual(second.complained(), "p2pshare: the command 'exit 3' ended with 3\n")

    def test_s1_20_restarted_tracker(self) -> None:
        """A tracker that was stopped and started again still knows who has what."""
        self.environment["P2PSHARE_TRACKER"] = "http://127.0.0.1:1/announce"  # a default holds where nothing is said
        memory = ("--state-dir", "memory")
        url = self.tracker("--port", "0", *memory)
        torrent = self.torrent(self.write("disk.img", some_bytes(100_000)), url)
        self.seed(torrent)
        wait_until(lambda: "seeds 1" in self.run_command("scrape", torrent).said(), "the seed's announce")
        (tracker,) = (each for each in self.commands if each.words.startswith("tracker"))
        self.assertEqual(tracker.told(signal.SIGTERM)[0], 0)
        again = self.tracker("--port", url.rpartition(":")[2].partition("/")[0], *memory)
        self.assertEqual(again, url)
        self.assert_ended(self.download(torrent, "out", "--timeout", "20"))

    def test_limits(self) -> None:
        """--limit-up and --limit-down hold within a fifth."""
        image = self.write("disk.img", some_bytes(10_000_000))
        torrent = self.torrent(image)
        _, slow = self.seed(torrent, "--limit-up", "1M")
        _, fast = self.seed(torrent)
        downloads = [
            self.download(torrent, "one", "--json", "--peer", slow),
            self.download(torrent, "two", "--json", "--peer", fast, "--limit-down", "1M"),
        ]
        histories = [History(download) for download in downloads]

        def held() -> bool:
            for history in histories:
                history.look()
            # Somewhere: a machine that is busy with other things may make it slower for a while.
            return all(any(0.8 < rate / MIB < 1.2 for rate in history.rates(over=2.5)) for history in histories)

        wait_until(held, "a rate near the limit")


class History:
    """When a download said that it had how much."""

    def __init__(self, download: Command) -> None:
        self._download = download
        self._seen: list[tuple[float, int]] = []  # time, bytes

    def look(self) -> None:
        """Note what is new."""
        events = [event for event in self._download.events("progress") if event["pieces_done"]]
        now = time.monotonic()
        self._seen += [(now, event["pieces_done"] * PIECE) for event in events[len(self._seen) :]]

    def rates(self, over: float) -> list[float]:
        """Give the bytes/second between any two lines that are so many seconds apart, or a little more."""
        found = []
        for began, first in self._seen:
            later = next(((ended, last) for ended, last in self._seen if ended - began >= over), None)
            if later is not None:
                found.append((later[1] - first) / (later[0] - began))
        return found
