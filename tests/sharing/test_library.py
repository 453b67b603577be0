"""What a folder shares, as it changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.sharing.library import (
    SETTLED,
    SOON,
    FileAdded,
    FileChanged,
    FileRemoved,
    Library,
)
from p2pshare.sharing.shelf import Shelf

NOW = 2_000_000_000.0
INTERVAL = 30.0


class LibraryCase(SynchronousTestCase):
    """Has a folder, and a library whose threads are this one."""

    def setUp(self) -> None:
        self.top = Path(self.mktemp())
        self.folder = self.top / "shared"
        self.folder.mkdir(parents=True)
        self.clock = Clock()
        self.events: list[Any] = []
        self.held: list[Callable[[], None]] = []  # reads that wait, when they are to
        self.holds = False

    def start(self) -> Library:
        """Begin sharing, and let the first round happen."""
        library = Library(
            self.folder,
            Shelf(self.top / "state" / "shelf"),
            maybeDeferred,
            self.read,
            self.clock,
            lambda: NOW + self.clock.seconds(),
            2,
            INTERVAL,
        )
        library.subscribe(self.events.append)
        library.startService()
        self.library = library
        self.addCleanup(lambda: library.running and library.stopService())
        return library

    def read(self, function: Callable[[], Any]) -> Deferred[Any]:
        """Read as a thread would, at once or when it is let."""
        if not self.holds:
            return maybeDeferred(function)
        done: Deferred[Any] = Deferred()
        self.held.append(lambda: done.callback(function()))
        return done

    def write(self, name: str, content: bytes = b"content", age: float = 60.0) -> Path:
        """Put a file there that was written so long ago."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written = NOW + self.clock.seconds() - age
        os.utime(path, (written, written))
        return path

    def told(self) -> list[tuple[type, str]]:
        """Take what was told."""
        events, self.events[:] = [(type(event), event.file.name) for event in self.events], []
        return events


class RoundTests(LibraryCase):
    """What is told of a folder."""

    def test_first_round(self) -> None:
        """What lies there at the start is read and told of."""
        self.write("a.txt", b"aaa")
        self.write("b/c.txt", b"")
        library = self.start()
        self.assertEqual(self.told(), [(FileAdded, "a.txt"), (FileAdded, "b/c.txt")])
        self.assertTrue(library.is_known)
        self.assertEqual(library.files["a.txt"].digest.sha256, hashlib.sha256(b"aaa").hexdigest())

    def test_changes(self) -> None:
        """New, changed and deleted files are told of in the next round; unchanged ones never again."""
        self.write("same.txt")
        self.write("changed.txt", b"old")
        gone = self.write("gone.txt")
        library = self.start()
        self.told()
        gone.unlink()
        self.write("changed.txt", b"new content")
        self.write("new.txt")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [(FileRemoved, "gone.txt"), (FileChanged, "changed.txt"), (FileAdded, "new.txt")])
        read = library.bytes_read
        for _ in range(3):
            self.clock.advance(INTERVAL)
        self.assertEqual((self.told(), library.bytes_read), ([], read))

    def test_touched(self) -> None:
        """A file that was only touched, or written again as it was, is no news."""
        path = self.write("a.txt")
        library = self.start()
        first = library.files["a.txt"]
        self.told()
        os.utime(path, (NOW - 5, NOW - 5))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [])
        self.assertEqual(library.files["a.txt"].shared_at, first.shared_at)
        self.assertNotEqual(library.files["a.txt"].digest.stamp, first.digest.stamp)

    def test_attributes(self) -> None:
        """A file with other permissions, or one more name elsewhere, is read again at once, and is no news."""
        path = self.write("a.txt")
        library = self.start()
        self.told()
        first = library.files["a.txt"]
        path.chmod(0o600)
        names = 0
        for _ in range(2):
            before = library.files["a.txt"].digest.stamp.changed
            while path.stat().st_ctime_ns == before:  # the kernel's clock has coarse steps
                os.link(path, self.top / f"elsewhere {(names := names + 1)}")
            library.poke()
            self.clock.advance(SOON)
            self.assertEqual(library.files["a.txt"].digest.stamp.changed, path.stat().st_ctime_ns)
            self.assertEqual((self.told(), library.files["a.txt"].shared_at), ([], first.shared_at))

    def test_restart(self) -> None:
        """After a restart nothing that is unchanged is read again; what went meanwhile is forgotten."""
        self.write("a.txt")
        gone = self.write("gone.txt")
        first = self.start()
        before = dict(first.files)
        self.successResultOf(first.stopService())
        self.told()
        gone.unlink()
        second = self.start()
        self.assertEqual(second.bytes_read, 0)
        self.assertEqual(second.files, {"a.txt": before["a.txt"]})
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])

    def test_poke(self) -> None:
        """A hint makes it look soon; many of them once."""
        self.start()
        self.write("a.txt")
        for _ in range(5):
            self.library.poke()
        self.clock.advance(SOON)
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_poke_while_looking(self) -> None:
        """What changes during a look is found by another one right after it."""
        self.write("a.txt")
        self.holds = True
        self.start()
        self.write("b.txt")
        self.library.poke()
        self.holds = False
        self.held.pop()()
        self.clock.advance(SOON)
        self.assertEqual(self.told(), [(FileAdded, "a.txt"), (FileAdded, "b.txt")])

    def test_being_written(self) -> None:
        """A file that was written to just now is left alone until that has ended."""
        self.write("a.txt", age=0.2)
        self.start()
        self.assertEqual(self.told(), [])
        self.clock.advance(SETTLED)
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])

    def test_always_written(self) -> None:
        """A file that never rests makes it look less and less often, not all the time."""
        self.start()
        looks = []
        for _ in range(8):
            self.write("log.txt", age=0.0)
            self.library.poke() if not looks else None
            (due,) = self.clock.getDelayedCalls()
            looks.append(round(due.getTime() - self.clock.seconds(), 6))
            self.write("log.txt", age=-looks[-1])
            self.clock.advance(looks[-1])
        self.assertEqual(looks, [SOON, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])
        self.assertEqual(self.told(), [])


class NoticingTests(LibraryCase):
    """How soon a file is read after its last change, and how often the folder is looked at for that."""

    STEP = 0.05  # s
    WITHIN = 1.5  # s from the last change to the reading

    def start(self) -> Library:
        """Begin sharing, and note when each file is told of."""
        library = super().start()
        self.told_at: dict[str, float] = {}
        library.subscribe(lambda event: self.told_at.setdefault(event.file.name, self.clock.seconds()))
        return library

    def change(self, name: str, is_told: bool = True) -> None:
        """Write to a file; who closes it has the library poked."""
        self.write(name, name.encode(), age=0.0)
        if is_told:
            self.library.poke()

    def pass_time(self, seconds: float, *always: str) -> int:
        """Let time pass, in which these files are written to and kept open; gives the number of looks."""
        looks = 0
        for _ in range(round(seconds / self.STEP)):
            for name in always:
                self.change(name, is_told=False)
            due = min(call.getTime() for call in self.clock.getDelayedCalls())
            self.clock.advance(self.STEP)
            looks += due <= self.clock.seconds()
        return looks

    def test_one_after_another(self) -> None:
        """Files that are written one after another are each read in time, in as many looks as that takes."""
        self.start()
        written, looks = {}, 0
        for name in (f"{number:02}.txt" for number in range(15)):
            self.change(name)
            written[name] = self.clock.seconds()
            looks += self.pass_time(0.4)
        looks += self.pass_time(5)
        self.assertEqual(self.told(), [(FileAdded, name) for name in written])
        late = {name: at - written[name] for name, at in self.told_at.items() if at > written[name] + self.WITHIN}
        self.assertEqual(late, {})
        self.assertLess(looks, 35)

    def test_opened_and_closed(self) -> None:
        """A file that is closed after every line is read when the last one is there, and not before."""
        self.start()
        for pause in (0.1, 0.25, 0.4, 0.6, 0.75, 0.9):
            name = f"{pause}.txt"
            for _ in range(round(6 / pause)):
                self.change(name)
                ended = self.clock.seconds()
                self.pass_time(pause)
            self.pass_time(10)
            self.assertEqual(self.told(), [(FileAdded, name)])
            self.assertGreaterEqual(self.told_at[name], ended + SETTLED - self.STEP)
            self.assertLessEqual(self.told_at[name], ended + self.WITHIN)

    def test_beside_a_log(self) -> None:
        """A file that never rests keeps nobody from reading another one in time, and is not looked at all the time."""
        self.start()
        self.change("log.txt")
        self.pass_time(2 * INTERVAL, "log.txt")
        self.assertLessEqual(self.pass_time(2 * INTERVAL, "log.txt"), 3)
        self.change("a.txt")
        self.pass_time(self.WITHIN, "log.txt")
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])
        self.assertLessEqual(self.pass_time(2 * INTERVAL, "log.txt"), 4)
        self.assertEqual(self.told(), [])

    def test_unheard_beside_a_log(self) -> None:
        """Also a file that nobody has told of is read as soon as it has settled, once a look has found it."""
        self.start()
        self.change("log.txt")
        self.pass_time(2 * INTERVAL, "log.txt")
        while self.pass_time(self.STEP, "log.txt") == 0:
            self.change("a.txt", is_told=False)
        self.pass_time(self.WITHIN, "log.txt")
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])


class TroubleTests(LibraryCase):
    """What cannot be shared."""

    def test_changes_before_read(self) -> None:
        """A file that changes between the look and the reading is shared as it was read."""
        self.write("a.txt", b"one state")
        self.holds = True
        self.start()
        self.write("a.txt", b"another one", age=30)
        self.held.pop()()  # it is opened now
        self.assertEqual(self.library.files["a.txt"].size, len(b"another one"))
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [])

    def test_vanishes(self) -> None:
        """A file that is gone before it could be read is no error for the others."""
        gone = self.write("a.txt")
        self.write("b.txt")
        self.holds = True
        self.start()
        gone.unlink()
        while self.held:
            self.held.pop()()
        self.assertEqual(self.told(), [(FileAdded, "b.txt")])
        self.assertEqual(list(self.library.problems), ["a.txt"])
        self.holds = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.library.problems, {})

    def test_folder_gone(self) -> None:
        """A folder that cannot be read for a while costs nothing: nothing is taken for deleted."""
        self.write("a.txt")
        self.start()
        self.told()
        self.folder.rename(self.top / "away")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [])
        (self.top / "away").rename(self.folder)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [])
        self.assertIn("a.txt", self.library.files)

    def test_stop(self) -> None:
        """Stopping waits for what is being read, and ends all rounds."""
        self.write("a.txt")
        self.holds = True
        self.start()
        stopping = self.library.stopService()
        self.assertNoResult(stopping)
        self.held.pop()()
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WithdrawalTests(LibraryCase):
    """Files that are there, and not shared any more."""

    def test_withdrawn(self) -> None:
        """It is told of as removed, and stays so, until it is restored."""
        self.write("a.txt")
        self.start()
        self.told()
        self.library.withdraw("a.txt")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told(), [(FileRemoved, "a.txt")])
        self.assertIsNone(self.library.withdraw("a.txt"))
        self.library.restore("a.txt")
        self.clock.advance(SOON)
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])
