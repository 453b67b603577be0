"""Making a whole filesystem safe, and when that can be relied on."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.storage import disk as disk_module
from p2pshare.storage.disk import OS_DISK, OSDisk
from p2pshare.storage.volume import Volume


@frozen(eq=False)
class Recording(OSDisk):
    """The real disk, but for what is asked of the whole of it."""

    can: bool = True
    calls: list[int] = field(factory=list)
    refusals: list[OSError] = field(factory=list)

    def can_sync_all(self, fd: int) -> bool:
        return self.can

    def sync_all(self, fd: int) -> None:
        self.calls.append(fd)
        if self.refusals:
            raise self.refusals.pop()


class VolumeTests(SynchronousTestCase):
    """One volume."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.open()

    def open(self, can: bool = True) -> None:
        """Begin with a disk that can do it, or not."""
        self.disk = Recording(can)
        self.volume = Volume(self.disk, self.folder)
        self.addCleanup(self.volume.close)

    def test_first_time(self) -> None:
        """The first time it only opens what later errors are told to; from then on all of the device is safe."""
        self.assertIsNone(self.volume.sync())
        self.assertEqual(self.disk.calls, [])
        self.assertEqual(self.volume.sync(), self.folder.stat().st_dev)
        self.assertEqual(self.volume.sync(), self.folder.stat().st_dev)
        self.assertEqual(len(set(self.disk.calls)), 1)

    def test_not_here(self) -> None:
        """Where it cannot be relied on nothing is done, ever."""
        self.open(can=False)
        self.assertEqual([self.volume.sync() for _ in range(3)], [None] * 3)
        self.assertEqual(self.disk.calls, [])

    def test_error(self) -> None:
        """An error is told: nothing is known of what was written."""
        self.volume.sync()
        self.disk.refusals.append(OSError(5, "input/output error"))
        self.assertRaises(OSError, self.volume.sync)

    def test_closed(self) -> None:
        """After it was closed it begins anew, and no descriptor stays."""
        before = len(os.listdir("/proc/self/fd"))
        self.volume.sync()
        self.volume.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertIsNone(self.volume.sync())


class RealTests(SynchronousTestCase):
    """What the real disk says of itself."""

    def test_old_kernels(self) -> None:
        """A kernel that keeps errors to itself is not relied on."""
        fd = os.open(".", os.O_RDONLY)
        self.addCleanup(os.close, fd)
        self.patch(disk_module, "_kind_of", lambda device: "ext4")
        for release, expected in (("4.19.0-amd64", False), ("5.7.19", False), ("5.8.0", True), ("6.18.44-x", True)):
            self.patch(disk_module.os, "uname", lambda release=release: os.uname_result(("", "", release, "", "")))
            self.assertEqual(OS_DISK.can_sync_all(fd), expected, release)

    def test_kinds(self) -> None:
        """Only filesystems that are known to do it are relied on; proc has no device, and no such promise."""
        fd = os.open("/proc", os.O_RDONLY)
        self.addCleanup(os.close, fd)
        self.assertFalse(OS_DISK.can_sync_all(fd))

    def test_it_can_be_asked(self) -> None:
        """The call is there, and refuses what is no descriptor."""
        fd = os.open(".", os.O_RDONLY)
        OS_DISK.sync_all(fd)
        os.close(fd)
        self.assertRaises(OSError, OS_DISK.sync_all, fd)
