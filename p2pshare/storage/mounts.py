"""On which disk a folder is, told apart by where that disk is mounted."""

from __future__ import annotations

import os
from pathlib import Path


def mount_of(folder: Path) -> str:
    """Name the place at which the disk of a folder, there or not, is mounted; empty for the disk the system is on."""
    path = os.path.realpath(folder)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return "" if path == os.path.sep else path


def is_mounted(mount: str) -> bool:
    """Whether a disk is there; the one the system is on always is."""
    return not mount or os.path.ismount(mount)
