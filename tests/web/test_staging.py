"""Tests of p2pshare.web.staging."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import DiskFull, StorageError
from p2pshare.web.staging import StagedFile, Staging


class Later:
    """Threads that do nothing until told."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Deferred[Any]], Deferred[Any]]] = []

    def __call__(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        self.jobs.append((lambda: maybeDeferred(function, *args), waiting))
        return waiting

    def go_on(self) -> None:
        """Do the next job."""
        job, waiting = self.jobs.pop(0)
        job().chainDeferred(waiting)


class StagedFileTests(SynchronousTestCase):
    """A file on its way to disk."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.run = Later()
        self.staging = Staging(self.folder, self.run, ("sha256", "sha1"))

    def finish(self, waiting: Deferred[Any]) -> Any:
        """Do all jobs, and give what came out."""
        while self.run.jobs:
            self.run.go_on()
        return self.successResultOf(waiting)

    def written(self, *parts: bytes) -> StagedFile:
        """A file that is closed."""
        file = self.staging.open()
        for part in parts:
            self.finish(file.write(part))
        self.finish(Deferred.fromCoroutine(file.close()))
        return file

    def test_kept(self) -> None:
        """A file that is kept has its name and all its bytes, and nobody else can read it."""
        file = self.written(b"abc", b"", b"def")
        self.assertTrue(self.finish(Deferred.fromCoroutine(file.keep(self.folder / "final"))))
        self.assertEqual((self.folder / "final").read_bytes(), b"abcdef")
        self.assertEqual((self.folder / "final").stat().st_mode & 0o777, 0o600)
        self.finish(file.discard())
        self.assertEqual(os.listdir(self.folder), ["final"])

    def test_hashes(self) -> None:
        """The hashes are those of what was written."""
        file = self.written(b"abc", b"def")
        self.assertEqual(file.digests["sha256"], hashlib.sha256(b"abcdef").hexdigest())
        self.assertEqual(file.digests["sha1"], hashlib.sha1(b"abcdef").hexdigest())
        self.assertEqual(file.size, 6)

    def test_empty(self) -> None:
        """A file without a byte is a file."""
        file = self.written()
        self.assertTrue(self.finish(Deferred.fromCoroutine(file.keep(self.folder / "final"))))
        self.assertEqual((self.folder / "final").read_bytes(), b"")

    def test_one_job_at_a_time(self) -> None:
        """What comes during a write is written in one go after it, in order."""
        file = self.staging.open()
        writes = [file.write(data) for data in (b"1", b"2", b"3")]
        self.assertEqual(len(self.run.jobs), 1)
        self.run.go_on()
        self.successResultOf(writes[0])
        self.assertNoResult(writes[1])
        self.assertEqual(len(self.run.jobs), 1)
        self.run.go_on()
        self.successResultOf(writes[2])
        self.assertEqual(file.path.read_bytes(), b"123")
        self.finish(file.discard())

    def test_never_over_another_file(self) -> None:
        """A name that is taken is not taken away; another one can be tried."""
        (self.folder / "final").write_bytes(b"somebody's")
        file = self.written(b"mine")
        self.assertFalse(self.finish(Deferred.fromCoroutine(file.keep(self.folder / "final"))))
        self.assertEqual((self.folder / "final").read_bytes(), b"somebody's")
        self.assertTrue(self.finish(Deferred.fromCoroutine(file.keep(self.folder / "final.1"))))
        self.assertEqual((self.folder / "final.1").read_bytes(), b"mine")

    def test_discarded(self) -> None:
        """A file that is discarded is gone, whenever that was said, and as often as it is said."""
        file = self.written(b"abc")
        self.finish(file.discard())
        self.finish(file.discard())
        self.assertEqual(os.listdir(self.folder), [])
        nothing = self.staging.open()
        self.finish(nothing.discard())
        self.assertEqual(os.listdir(self.folder), [])

    def test_discarded_while_writing(self) -> None:
        """A job that is under way ends first; what waits behind it is not written."""
        file = self.staging.open()
        first, second = file.write(b"1"), file.write(b"2")
        discarding = file.discard()
        self.assertNoResult(discarding)
        self.finish(discarding)
        for write in (first, second):
            self.failureResultOf(write, StorageError)
        self.assertEqual(os.listdir(self.folder), [])
        self.failureResultOf(file.write(b"3"), StorageError)

    def test_f90_disk_full(self) -> None:
        """A full disk is said so, without the path; everything after it fails alike."""
        file = self.staging.open()
        with mock.patch("p2pshare.web.staging.os.write", side_effect=OSError(errno.ENOSPC, "no space", "/secret")):
            write = file.write(b"1")
            waiting = file.write(b"2")
            self.run.go_on()
        failure = self.failureResultOf(write, DiskFull)
        self.assertEqual(str(failure.value), "no room is left for the upload")
        self.failureResultOf(waiting, DiskFull)
        self.failureResultOf(file.write(b"3"), DiskFull)
        self.finish(file.discard())
        self.assertEqual(os.listdir(self.folder), [])

    def test_folder_gone(self) -> None:
        """Any other refusal of the system is a StorageError without the path."""
        self.folder.rmdir()
        file = self.staging.open()
        write = file.write(b"1")
        self.run.go_on()
        self.assertEqual(str(self.failureResultOf(write, StorageError).value), "the upload cannot be stored")

    def test_f94_short_writes(self) -> None:
        """A write that takes less than it was given goes on with the rest."""
        real = os.write
        with mock.patch("p2pshare.web.staging.os.write", lambda fd, data: real(fd, data[:2])):
            file = self.written(b"abcdefg")
        self.assertEqual(file.path.read_bytes(), b"abcdefg")

    def test_safe_before_it_is_closed(self) -> None:
        """Closing waits until the disk has it."""
        with mock.patch("p2pshare.web.staging.os.fsync") as fsync:
            file = self.staging.open()
            closing = Deferred.fromCoroutine(file.close())
            fsync.assert_not_called()
            self.finish(closing)
            fsync.assert_called_once()
        self.finish(file.discard())

    def test_sweep(self) -> None:
        """What a killed process left is removed, and nothing else."""
        self.written(b"left")
        (self.folder / "kept").touch()
        self.assertEqual(Staging(self.folder, self.run).sweep(), 1)
        self.assertEqual(os.listdir(self.folder), ["kept"])

    def test_own_names(self) -> None:
        """Two uploads at once do not meet."""
        self.assertNotEqual(self.staging.open().path, self.staging.open().path)
