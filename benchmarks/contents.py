"""What is transferred: random bytes in one file or in many, and whether a copy is the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

_CHUNK = 1 << 20
_A_FOLDER = 100  # files


def write_file(path: Path, size: int) -> None:
    """Write one file of random bytes, and have it on the disk, so that writing it back disturbs nothing later."""
    with path.open("wb") as file:
        for left in range(size, 0, -_CHUNK):
            file.write(os.urandom(min(left, _CHUNK)))
        file.flush()
        os.fsync(file.fileno())


def write_tree(root: Path, files: int, size: int) -> None:
    """Write a folder of many files of all lengths up to twice the mean, ``size`` bytes together."""
    random = Random(0)
    left = size
    for number in range(files):
        folder = root / f"{number // _A_FOLDER:04}"
        folder.mkdir(parents=True, exist_ok=True)
        mean = left // (files - number)
        length = left if number == files - 1 else random.randint(0, 2 * mean)
        (folder / f"{number:06}").write_bytes(os.urandom(length))
        left -= length


def difference(original: Path, copy: Path) -> str | None:
    """Say in what a copy of a file or a folder differs; None when it is the same. Empty files may be missing."""
    ours, theirs = dict(_files(original)), dict(_files(copy))
    for name, file in ours.items():
        other = theirs.pop(name, None)
        if other is None and file.stat().st_size == 0:
            continue
        if other is None:
            return f"{name or copy.name} is missing"
        if not _is_same(file, other):
            return f"{name or copy.name} differs"
    return f"{next(iter(theirs))} is one too many" if theirs else None


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield "", path
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            yield str(file.relative_to(path)), file


def _is_same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb", buffering=0) as first, other.open("rb", buffering=0) as second:
        while chunk := first.read(_CHUNK):
            if chunk != second.read(len(chunk)):
                return False
    return True
