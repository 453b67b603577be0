"""How commands end: with which exit code, after which words, how fast, and what they leave on the disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import SkipTest

from p2pshare.cli.exits import ExitCode
from tests import real_parts
from tests.system.commands import PIECE, Command, CommandTestCase, some_bytes, wait_until
from tests.system.strangers import RecordingTracker, silent_server, stalling_peer

SIZE = 1_000_000
STOP_WITHIN = 5.0  # s, as promised
SLACK = 3.0  # s for busy machines

Remount = Callable[[str], object]  # told the options to mount it with

# A machine whose name server does not answer.
SLOW_NAMES = """
import socket, time
socket.getaddrinfo = lambda *arguments, **options: time.sleep(60)
"""


class EndingTestCase(CommandTestCase):
    """A folder with ``disk.img`` and its torrent."""

    def setUp(self) -> None:
        super().setUp()
        self.content = some_bytes(SIZE)
        self.image = self.write("disk.img", self.content)
        self.bare = self.torrent(self.image)  # names no tracker

    def assert_complaint(self, command: Command, code: int, *words: str) -> None:
        """Wait for an end with this code and one line on standard error that has these words."""
        self.assert_ended(command, code)
        lines = command.complained().splitlines()
        self.assertEqual(len(lines), 1, command.report())
        self.assertTrue(lines[0].startswith("p2pshare: "), lines)
        for word in words:
            self.assertIn(word, lines[0])


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[Remount]:
    """Mount something as long as the block lasts, as root; gives a way to mount it otherwise."""
    mount, umount = real_parts.program("mount"), real_parts.program("umount")
    if subprocess.run([mount, *arguments], capture_output=True).returncode:
        raise SkipTest("mounting is not allowed here")
    place = arguments[-1]
    try:
        yield lambda options: subprocess.run([mount, "-o", f"remount,{options}", place], check=True)
    finally:
        subprocess.run([umount, "--lazy", place], check=True)


class NobodyTests(EndingTestCase):
    """Downloads that cannot succeed."""

    def test_s3_16_nobody(self) -> None:
        """Nobody to get it from, or nobody who gives: a clear message, exit code 4 or 3, and no file of that name."""
        answering = RecordingTracker(self).url
        refusing = "http://127.0.0.1:9/announce"
        peer = stalling_peer(self, num_pieces=-(-SIZE // PIECE))
        soon = ("--timeout", "4")  # s; by then everybody has been asked, on a busy machine too
        unheard = self.download(self.bare, "a", *soon, "-t", refusing, "--json")
        empty = self.download(self.bare, "b", *soon, env={"P2PSHARE_TRACKER": answering})
        alone = self.download(self.bare, "c", *soon, "--peer", "127.0.0.1:9", "--peer", "no-such-host.invalid:9")
        trackerless = self.download(self.bare, "d", *soon)
        stalled = self.download(self.bare, "e", *soon, "--peer", peer)

        self.assert_ended(unheard, ExitCode.NOBODY_FOUND)
        self.assertIn(f"disk.img: no peer found within 4 s ({refusing}: ", unheard.complained())
        (error,) = unheard.events("error")
        self.assertEqual((error["name"], error["exit_code"]), ("disk.img", ExitCode.NOBODY_FOUND))
        self.assert_complaint(empty, ExitCode.NOBODY_FOUND, f"({answering}: knows nobody else)")
        self.assert_complaint(alone, ExitCode.NOBODY_FOUND, "(2 addresses tried in vain)")
        self.assert_complaint(trackerless, ExitCode.NOBODY_FOUND, "the torrent names no tracker", "-t")
        self.assert_complaint(stalled, ExitCode.TIMED_OUT, "no verified piece for 4 s, with 1 peer connected")
        for folder in "abcde":
            self.assertEqual(os.listdir(self.folder / folder), ["disk.img.part"])


class DiskTests(EndingTestCase):
    """What the disk has to say."""

    def test_f99_files_of_others(self) -> None:
        """An existing file that is not the torrent's is never overwritten, whatever its size: exit code 1."""
        other, short = some_bytes(SIZE, seed=1), b"my own notes"
        self.write("a/disk.img", other)
        self.write("b/disk.img", short)
        (self.folder / "c/disk.img").mkdir(parents=True)
        (self.folder / "d").mkdir()
        (self.folder / "d/disk.img").symlink_to("/dev/null")
        differs, differs_in_size, folder, link = (self.download(self.bare, name) for name in "abcd")
        self.assert_complaint(differs, 1, "a/disk.img: exists and differs", "move it away or choose another folder")
        self.assert_complaint(differs_in_size, 1, "b/disk.img: exists and has 12 bytes", "move it away")
        self.assert_complaint(folder, 1, "c/disk.img: exists and is not a file", "move it away")
        self.assert_complaint(link, 1, "d/disk.img: a symbolic link", "move it away")
        self.assertEqual((self.folder / "a/disk.img").read_bytes(), other)
        self.assertEqual((self.folder / "b/disk.img").read_bytes(), short)
        self.assertTrue((self.folder / "d/disk.img").is_symlink())
        for name in "abcd":
            self.assertEqual(os.listdir(self.folder / name), ["disk.img"])

    def test_seed_of_wrong_content(self) -> None:
        """A seed whose content is wrong or incomplete serves nothing: exit code 6, and it says what is wrong."""
        photos = {"a.bin": self.content, "b c.bin": some_bytes(50_000, seed=2), "d.bin": some_bytes(50_000, seed=3)}
        for name, content in photos.items():
            self.write(f"photos/{name}", content)
        torrent = self.torrent(self.folder / "photos")
        self.write("damaged/disk.img", self.content[:500_000] + b"?" + self.content[500_001:])
        self.write("short/disk.img", self.content[:700_000])
        self.write("photos/b c.bin", some_bytes(50_000, seed=4))
        (self.folder / "empty").mkdir()
        damaged, short, folder, missing, quiet = (
            self.start("seed", *arguments, "--port", "0", "--bind", "127.0.0.1")
            for arguments in (
                (self.bare, "--data", "damaged"),
                (self.bare, "--data", "short/disk.img"),
                (torrent,),
                (self.bare, "--data", "empty"),
                (self.bare, "--data", "damaged", "--quiet"),
            )
        )
        self.assert_complaint(damaged, 6, "disk.img: 1 of 62 pieces are missing or wrong", "in disk.img; `p2pshare ver")
        self.assert_complaint(short, 6, "disk.img: 20 of 62 pieces")
        self.assert_complaint(folder, 6, "photos: 4 of 68 pieces", "in a.bin, b c.bin, d.bin")
        self.assert_complaint(missing, 1, "empty: neither the file 'disk.img' nor a folder that holds it")
        self.assert_complaint(quiet, 6, "1 of 62 pieces")
        self.assertEqual(quiet.said(), "")

    def test_f95_read_only(self) -> None:
        """A folder that cannot be written to is refused at once; what is complete there counts all the same."""
        self.write("disk/done/disk.img", self.content)
        with self.read_only(self.folder / "disk") as reason:
            refused = self.download(self.bare, "disk/new")
            complete = self.download(self.bare, "disk/done")
            self.assert_complaint(refused, 1, "disk/new: ", reason, "choose another folder")
            self.assert_ended(complete)

    def test_f90_full_disk(self) -> None:
        """A full disk is exit code 5; what was verified stays, and with room again only the rest is fetched."""
        _, address = self.seed(self.bare)
        tracker = RecordingTracker(self, [address])
        torrent = self.torrent(self.image, tracker.url)
        with self.small_disk("disk", size="600k") as remount:
            full = self.download(torrent, "disk", "--json", "--limit-down", "2M")
            self.assert_complaint(full, ExitCode.DISK_FULL, "disk/disk.img.part: no space is left", "make room")
            (error,) = full.events("error")
            self.assertEqual(error["exit_code"], ExitCode.DISK_FULL)
            self.assertGreater(error["pieces_done"], 10)
            tracker.announces.clear()
            remount("size=2m")
            self.assert_ended(self.download(torrent, "disk"))
            self.assertEqual((self.folder / "disk/disk.img").read_bytes(), self.content)
            fetched = int(tracker.announces[-1]["downloaded"])
            self.assertLessEqual(fetched, SIZE - (error["pieces_done"] - 1) * PIECE)

    @contextmanager
    def read_only(self, folder: Path) -> Iterator[str]:
        """Let nothing be written below a folder as long as the block lasts; gives the reason that users are told."""
        if os.geteuid():
            folder.chmod(0o555)
            yield "permission denied"
            folder.chmod(0o755)
            return
        with mounted("--bind", folder, folder) as remount:  # root may write everywhere else
            remount("bind,ro")
            yield "read-only"

    def small_disk(self, name: str, size: str) -> AbstractContextManager[Remount]:
        """Make a file system in memory."""
        if os.geteuid():
            raise SkipTest("only root can mount")
        (self.folder / name).mkdir()
        return mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder / name)

    def test_one_download_at_a_time(self) -> None:
        """The same torrent into the same folder, while that is under way: exit code 1, naming the process."""
        seed, address = self.seed(self.bare)
        first = self.download(
            self.bare, "out", "--peer", address, "--limit-down", "200K", "--json", "--seed-until", "forever"
        )
        first.await_event("progress", lambda event: event["pieces_done"] > 0)
        seed.process.send_signal(signal.SIGSTOP)  # so that it cannot become complete before the other one looks
        again = self.download(self.bare, "../" + self.folder.name + "/out/")
        self.assert_complaint(again, 1, f"process {first.process.pid} works on this torrent in the same folder")
        seed.process.send_signal(signal.SIGCONT)
        elsewhere = self.download(self.bare, "elsewhere", "--peer", address)
        self.assert_ended(elsewhere)
        first.await_event("complete")
        self.assertEqual(first.told(signal.SIGTERM)[0], 0, first.report())
        self.assert_ended(self.download(self.bare, "out"))


class UsageTests(EndingTestCase):
    """Things that cannot be meant."""

    def test_wrong_usage(self) -> None:
        """Options that make no sense are exit code 2 and name the option; ports that are taken are 1."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            cases = [
                (2, "--peer", ("download", self.bare, "--peer", "127.0.0.1")),
                (1, f"127.0.0.1:{port}: address already in use", ("download", self.bare, "--port", port)),
                (1, f"127.0.0.1:{port}: address already in use", ("seed", self.bare, "--port", port)),
                (1, "nosuch.torrent: No such file or directory", ("seed", "nosuch.torrent")),
                (1, "disk.img: ", ("download", "disk.img")),
            ]
            commands = [self.start(*arguments, "--bind", "127.0.0.1") for _, _, arguments in cases]
            for (code, words, _), command in zip(cases, commands, strict=True):
                self.assert_ended(command, code)
                self.assertIn(words, command.complained())


class SignalTests(EndingTestCase):
    """Being told to stop."""

    def test_s1_18_goodbye(self) -> None:
        """Stopped half way, a download says goodbye to its tracker first: Ctrl-C is 130, SIGTERM and SIGHUP are 7."""
        _, address = self.seed(self.bare, "--limit-up", "200K")
        tracker = RecordingTracker(self, [address])
        torrent = self.torrent(self.image, tracker.url)
        signals = {signal.SIGINT: 130, signal.SIGTERM: 7, signal.SIGHUP: 7}
        downloads = {number: self.download(torrent, number.name, "--json") for number in signals}
        for download in downloads.values():
            download.await_event("progress", lambda event: event["peers"] == 1)
        tracker.announces.clear()
        for number, code in signals.items():
            ended, seconds = downloads[number].told(number)
            self.assertEqual(ended, code, downloads[number].report())
            self.assertLess(seconds, STOP_WITHIN)
            self.assertEqual(os.listdir(self.folder / number.name), ["disk.img.part"])
        self.assertEqual(tracker.told("event"), ["stopped"] * 3)
        self.assertEqual(downloads[signal.SIGINT].complained(), "p2pshare: interrupted\n")
        self.assertEqual(downloads[signal.SIGTERM].complained(), "p2pshare: stopped before it was finished\n")
        self.assertEqual(downloads[signal.SIGTERM].events()[-1]["exit_code"], 7)

    def test_stopped_when_complete(self) -> None:
        """Once it has everything, being stopped is a good end; for a seed it always is. What is ignored stays so."""
        _, address = self.seed(self.bare)
        download = self.download(self.bare, "out", "--peer", address, "--json", "--seed-until", "forever")
        nohup = self.download(
            self.bare, "two", "--peer", address, "--json", "--seed-until", "forever", preexec_fn=_ignore_hangup
        )
        for each in (download, nohup):
            each.await_event("complete")
        nohup.process.send_signal(signal.SIGHUP)
        self.assertEqual(download.told(signal.SIGINT)[0], 0)
        self.assertEqual(download.complained(), "")
        self.assertIsNone(nohup.process.poll())
        self.assertEqual(nohup.told(signal.SIGTERM)[0], 0)

    def test_f106_whatever_hangs(self) -> None:
        """A tracker, a name server or a reader that does not answer delays the end by five seconds at most."""
        hanging = f"http://127.0.0.1:{silent_server(self)}/announce"
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        while _fits(writing):
            pass
        os.set_blocking(writing, True)
        self.write("slow/sitecustomize.py", SLOW_NAMES.encode())
        slow = {"PYTHONPATH": f"{self.folder}/slow:{self.environment['PYTHONPATH']}"}
        tracker = self.download(self.bare, "a", "-t", hanging)
        impatient = self.download(self.bare, "b", "-t", hanging)
        names = self.download(self.bare, "c", "--peer", "somewhere.example:6881", env=slow)
        late = self.download(self.bare, "d", "--peer", "somewhere.example:6881", "--timeout", "1", env=slow)
        unread = self.download(self.bare, "e", stdout=writing)
        os.close(writing)
        commands = [tracker, impatient, names, late, unread]
        for each, folder in zip(commands, "abcde", strict=True):
            wait_until((self.folder / folder / "disk.img.part").exists, each.words)
        _await_a_line(tracker, impatient, names)

        for each in (tracker, impatient, names, unread):
            each.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Stopping" in impatient.said(), "a word about what takes so long")
        self.assertEqual(impatient.told(signal.SIGTERM)[0], -signal.SIGTERM)
        for each, code in ((tracker, 7), (names, 7), (unread, 7), (late, 4)):
            self.assertEqual(each.ended(STOP_WITHIN + SLACK), code, each.report())
        self.assertEqual(tracker.complained(), "p2pshare: stopped before it was finished\n")
        self.assertEqual(names.complained(), "p2pshare: stopped before it was finished\n")
        self.assertIn("no peer found within 1 s", late.complained())
        os.close(reading)


def _ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _fits(pipe: int) -> bool:
    try:
        return os.write(pipe, b"\n" * 4096) > 0
    except BlockingIOError:
        return False


def _await_a_line(*commands: Command) -> None:
    for command in commands:
        wait_until(command.said, f"a line of {command.words}")
