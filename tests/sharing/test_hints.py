"""Hints that a folder has changed, from a kernel of the test's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_ISDIR,
    INotifyError,
)
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.sharing.hints import Hints


class Kernel:
    """What Hints uses of INotify."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.watched: dict[str, tuple[int, Callable[..., Any]]] = {}
        self.is_closed = False

    def startReading(self) -> None:
        pass

    def loseConnection(self) -> None:
        self.is_closed = True

    def watch(self, path: FilePath[str], mask: int, callbacks: list[Callable[..., Any]]) -> None:
        if len(self.watched) == self.most or not path.isdir():
            raise INotifyError("Failed to add watch")
        self.watched[path.path] = (mask, callbacks[0])


class HintTests(SynchronousTestCase):
    """What is watched, and which changes are told of."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        for name in ("", "a", "a/b", "c"):
            (self.folder / name).mkdir(parents=True)
        self.kernels: list[Kernel] = []
        self.pokes = 0
        self.most = 1000
        self.hints = Hints(self.folder, self.poke, self.make)
        self.hints.start()

    def make(self) -> Kernel:
        self.kernels.append(Kernel(self.most))
        return self.kernels[-1]

    def poke(self) -> None:
        self.pokes += 1

    def watched(self) -> list[str]:
        """Which folders the kernel watches now."""
        return sorted(str(Path(path).relative_to(self.folder)) for path in self.kernels[-1].watched)

    def happen(self, mask: int, name: str = "", file: str = "") -> None:
        """Let something happen in a folder, or to a file there."""
        asked, heard = self.kernels[-1].watched[str(self.folder / name)]
        if mask & (asked | IN_DELETE_SELF | IN_IGNORED):  # these two come unasked
            heard(None, FilePath(str(self.folder / name / file)).asBytesMode(), mask)

    def test_covered(self) -> None:
        """New folders are watched, those that are gone are not, and none twice."""
        self.hints.cover(["", "a"])
        self.hints.cover(["", "a", "a/b"])
        self.assertEqual((self.watched(), len(self.kernels)), ([".", "a", "a/b"], 1))
        self.hints.cover(["", "c"])
        self.assertEqual(self.watched(), [".", "c"])
        self.assertEqual([kernel.is_closed for kernel in self.kernels], [True, False])

    def test_told(self) -> None:
        """A file that was written or deleted is told of, and a new folder; a file that only begins is not."""
        self.hints.cover([""])
        for mask in (IN_CLOSE_WRITE, IN_DELETE, IN_CREATE | IN_ISDIR):
            self.happen(mask)
        self.assertEqual(self.pokes, 3)
        self.happen(IN_CREATE)
        self.assertEqual(self.pokes, 3)
        (self.folder / "new.txt").touch()
        for file in ("new.txt", "gone.txt"):
            self.happen(IN_CREATE, file=file)
        self.assertEqual(self.pokes, 3)

    def test_attributes(self) -> None:
        """Other permissions, owners and the like are told of: they make a file another one."""
        self.hints.cover([""])
        (self.folder / "a.txt").touch()
        self.happen(IN_ATTRIB, file="a.txt")
        self.assertEqual(self.pokes, 1)

    def test_linked(self) -> None:
        """A hard link is told of, though nobody is ever going to close it; also when it is the last name by now."""
        self.hints.cover([""])
        (self.folder / "c" / "a.txt").touch()
        os.link(self.folder / "c" / "a.txt", self.folder / "b.txt")
        self.happen(IN_CREATE, file="b.txt")
        self.assertEqual(self.pokes, 1)
        (self.folder / "c" / "a.txt").unlink()
        (self.folder / "b.txt").write_bytes(b"content")
        self.happen(IN_CREATE, file="b.txt")
        self.assertEqual(self.pokes, 2)

    def test_made_again(self) -> None:
        """A folder that was deleted and made again between two looks is watched again."""
        self.hints.cover(["", "a"])
        for mask in (IN_DELETE_SELF, IN_IGNORED):
            self.happen(mask, "a")
            before, made = self.pokes, len(self.kernels)
            self.hints.cover(["", "a"])
            self.assertEqual((self.watched(), len(self.kernels)), ([".", "a"], made + 1))
            self.assertEqual(self.pokes, before + 1, "what happened meanwhile is looked for")
            self.hints.cover(["", "a"])
            self.assertEqual((len(self.kernels), self.pokes), (made + 1, before + 1))

    def test_gone_meanwhile(self) -> None:
        """A folder that is gone before it can be watched keeps nobody from watching the others."""
        self.hints.cover(["", "gone", "c"])
        self.assertEqual(self.watched(), [".", "c"])

    def test_too_many(self) -> None:
        """Where the kernel lets nobody watch more, it is done without."""
        self.most = 2
        self.hints = Hints(self.folder, self.poke, self.make)
        self.hints.start()
        self.hints.cover(["", "a", "a/b", "c"])
        self.assertTrue(self.kernels[-1].is_closed)
        self.hints.cover(["", "a", "a/b", "c"])
        self.assertEqual(len(self.kernels), 2)
        self.hints.stop()
