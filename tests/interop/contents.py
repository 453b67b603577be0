"""What the tests share between clients: one large file, and a real tree of many."""

from __future__ import annotations

import filecmp
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from random import Random

import twisted

FILE_SIZE = 64 * 1024 * 1024
MANY = 1000  # files that a tree has at least

_LARGEST = 4 * 1024 * 1024  # bytes of one file of the tree
_ENOUGH = 80 * 1024 * 1024  # bytes of the tree


def write_file(folder: Path) -> Path:
    """Write one file of random bytes; its last piece and last block are short by a little."""
    path = folder / "one file.bin"
    path.write_bytes(Random(0).randbytes(FILE_SIZE - 1))
    return path


def write_tree(folder: Path) -> Path:
    """
    Copy more than a thousand files of the Python installation that runs us, deep folders and empty files included.

    A few are added whose names and sizes are hard in their own ways.
    """
    root = folder / "real tree"
    count = size = 0
    standard_library = Path(sysconfig.get_path("stdlib"))
    packages = Path(twisted.__file__).parents[1]  # some systems install little of the standard library
    for source in (standard_library, packages):
        for file in _files(source):
            count, size = count + 1, size + file.stat().st_size
            if count > 2 * MANY or (size > _ENOUGH and count > MANY):
                break
            copy = root / source.name / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    assert count > MANY, f"only {count} files below {standard_library} and {packages}"
    odd = root / "odd"
    odd.mkdir()
    random = Random(1)
    for name, length in (
        ("empty", 0),
        ("one byte", 1),
        ("a block", 16384),
        ("a block and one byte", 16385),
        ("Grüße, мир, 世界 ☃.txt", 12345),
        ("'quotes' & $signs;", 3),
        (".hidden", 7),
        ("x" * 200, 5000),
        ("zz empty at the end", 0),
    ):
        (odd / name).write_bytes(random.randbytes(length))
    return root


def differences(original: Path, copy: Path, *, empty_files: bool = True) -> list[str]:
    """
    Compare two files or two trees byte for byte; say where they differ, at most ten times.

    :param empty_files: whether they have to be in the copy, too.
    """
    ours, theirs = _contents(original), _contents(copy)
    found = [f"missing: {name}" for name in ours.keys() - theirs.keys() if empty_files or ours[name].stat().st_size]
    found += [f"too many: {name}" for name in theirs.keys() - ours.keys()]
    found += [
        f"different: {name}"
        for name in ours.keys() & theirs.keys()
        if not filecmp.cmp(ours[name], theirs[name], shallow=False)
    ]
    return sorted(found)[:10]


def _contents(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {"": path}
    return {str(file.relative_to(path)): file for file in path.rglob("*") if not file.is_dir()}


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if "__pycache__" in parts or "site-packages" in parts or "dist-packages" in parts:
            continue
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
            yield path
