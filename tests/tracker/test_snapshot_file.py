"""Tests of p2pshare.tracker.snapshot_file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.tracker import snapshot_file
from p2pshare.tracker.snapshot_file import backup_of, clear_away, read_snapshot, set_aside, write_snapshot


class SnapshotFileTests(SynchronousTestCase):
    """One file, replaced as a whole."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "swarms"

    def names(self) -> list[str]:
        """List what is in the folder."""
        return sorted(os.listdir(self.folder))

    def test_round_trip(self) -> None:
        """What was written in parts is read as a whole, and the file is its owner's alone."""
        write_snapshot(self.path, [b"ab", b"", b"cde"])
        self.assertEqual(read_snapshot(self.path), b"abcde")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_backup(self) -> None:
        """The snapshot before is kept, the one before that is not."""
        for content in (b"1", b"2", b"", b"4"):
            write_snapshot(self.path, [content])
        self.assertEqual((read_snapshot(self.path), read_snapshot(backup_of(self.path))), (b"4", b""))
        self.assertEqual(self.names(), ["swarms", "swarms.bak"])

    def test_none_yet(self) -> None:
        """Without a file there is no snapshot, and no error."""
        self.assertIsNone(read_snapshot(self.path))

    def test_durable_before_it_counts(self) -> None:
        """The new content is synced before it gets the name, and the name is synced after."""
        calls: list[str] = []

        def record(name: str) -> AbstractContextManager[object]:
            real = getattr(os, name)

            def call(*args: object) -> object:
                target = args[0]
                kind = ""
                if name == "fsync" and isinstance(target, int):
                    kind = " folder" if stat.S_ISDIR(os.fstat(target).st_mode) else " file"
                calls.append(name + kind)
                return real(*args)

            return mock.patch.object(os, name, call)

        write_snapshot(self.path, [b"old"])
        with record("fsync"), record("replace"):
            write_snapshot(self.path, [b"x"])
        self.assertEqual(calls, ["fsync file", "replace", "replace", "fsync folder"])

    def test_f91_no_space(self) -> None:
        """If writing fails, at whatever point, the old snapshot is untouched and nothing else is left."""
        write_snapshot(self.path, [b"old"])

        def full() -> Iterator[bytes]:
            yield b"new" * 100_000
            raise OSError(28, "No space left on device")

        self.assertRaises(OSError, write_snapshot, self.path, full())
        for name in ("fsync", "replace"):
            with mock.patch.object(os, name, side_effect=OSError(5, "Input/output error")):
                self.assertRaises(OSError, write_snapshot, self.path, [b"new"])
        self.assertEqual((read_snapshot(self.path), self.names()), (b"old", ["swarms"]))

    def test_i5_stopped_anywhere(self) -> None:
        """Wherever writing ends, by an error or by a kill, the old snapshot or the new one can be read."""

        class Killed(BaseException):
            pass

        for problem in (OSError(5, "Input/output error"), Killed()):
            for name, number in (("fsync", 1), ("replace", 1), ("replace", 2), ("fsync", 2)):
                for path in (self.path, backup_of(self.path)):
                    path.unlink(missing_ok=True)
                write_snapshot(self.path, [b"old"])
                real = getattr(os, name)
                left = iter(range(number - 1, -1, -1))

                def call(*args: object, real: Any = real, left: Any = left, problem: Any = problem) -> object:
                    if next(left) == 0:
                        raise problem
                    return real(*args)

                with mock.patch.object(os, name, call):
                    self.assertRaises(type(problem), write_snapshot, self.path, [b"new"])
                found = [read_snapshot(path) for path in (self.path, backup_of(self.path))]
                self.assertIn(found, ([b"old", None], [None, b"old"], [b"new", b"old"]))

    def test_killed_while_writing(self) -> None:
        """What a writer left behind that was killed is cleared away, foreign files are not."""
        write_snapshot(self.path, [b"old"])
        write_snapshot(self.path, [b"new"])
        (self.folder / "swarms.abc123.tmp").write_bytes(b"half")
        (self.folder / "other.tmp").write_bytes(b"")
        clear_away(self.path)
        self.assertEqual(read_snapshot(self.path), b"new")
        self.assertEqual(self.names(), ["other.tmp", "swarms", "swarms.bak"])

    def test_f103_damaged(self) -> None:
        """Empty, cut short at any byte, longer, with any bit flipped: a StorageError that names the file."""
        write_snapshot(self.path, [b"some content"])
        good = self.path.read_bytes()
        broken = [good[:end] for end in range(len(good))] + [good + b"x"]
        broken += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
        for content in broken:
            self.path.write_bytes(content)
            self.assertIn(str(self.path), str(self.assertRaises(StorageError, read_snapshot, self.path)))

    def test_f103_other_version(self) -> None:
        """A snapshot of another version says which."""
        with mock.patch.object(snapshot_file, "VERSION", 7):
            write_snapshot(self.path, [b"x"])
        self.assertIn("version 7", str(self.assertRaises(StorageError, read_snapshot, self.path)))

    def test_unreadable(self) -> None:
        """A folder in its place is a StorageError, too."""
        self.path.mkdir()
        self.assertIn("Is a directory", str(self.assertRaises(StorageError, read_snapshot, self.path)))

    def test_set_aside(self) -> None:
        """A broken one is kept under another name."""
        self.path.write_bytes(b"broken")
        self.assertEqual(set_aside(self.path).read_bytes(), b"broken")
        self.assertEqual(self.names(), ["swarms.broken"])
