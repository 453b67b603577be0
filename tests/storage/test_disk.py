"""Tests for making folders while others make them too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import field, frozen

from p2pshare.storage.disk import OSDisk, open_folder
from tests.storage.disk import DiskTestCase


@frozen(eq=False)
class Crowded(OSDisk):
    """A disk on which somebody else makes some folders just before we would, and that notes what is synced."""

    rivals: set[str] = field(factory=set)  # paths made by others at the worst moment
    synced: list[str] = field(factory=list)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if str(path) in self.rivals and os.path.isdir(os.path.dirname(path)):
            os.mkdir(path)
            self.rivals.discard(str(path))
        super().mkdir(path, mode, dir_fd=dir_fd)

    def fsync(self, fd: int) -> None:
        self.synced.append(os.readlink(f"/proc/self/fd/{fd}"))


class OpenFolderTests(DiskTestCase):
    """A folder that is there afterwards, and safe."""

    def opened(self, path: Path, *rivals: Path) -> list[str]:
        """Open a folder that is not there; give what was synced."""
        disk = Crowded(set(map(str, rivals)))
        fd = open_folder(disk, path)
        self.assertTrue(os.path.samestat(os.fstat(fd), path.stat()))
        os.close(fd)
        self.assertEqual(disk.rivals, set())
        return disk.synced

    def test_made_with_all_above(self) -> None:
        """Each new name is made safe in the folder above it, from the top."""
        path = self.folder / "a/b/c"
        self.assertEqual(self.opened(path), [str(self.folder), str(self.folder / "a"), str(self.folder / "a/b")])

    def test_somebody_makes_it_first(self) -> None:
        """A folder that appears between looking and making is as good, and made safe: who made it may not have yet."""
        path = self.folder / "a"
        self.assertEqual(self.opened(path, path), [str(self.folder)])

    def test_somebody_makes_all_first(self) -> None:
        """The same for the folders above it, and for one that appears after those above it were made."""
        path = self.folder / "a/b/c"
        for rivals in ((path,), (path.parent,), (path, path.parent, path.parent.parent)):
            self.opened(path, *rivals)
            for folder in (path, path.parent, path.parent.parent):
                folder.rmdir()

    def test_no_folder(self) -> None:
        """A file under its name, or above it, is told as that."""
        self.write("file", b"")
        self.assertRaises(NotADirectoryError, open_folder, OSDisk(), self.folder / "file")
        self.assertRaises(NotADirectoryError, open_folder, OSDisk(), self.folder / "file/below")
