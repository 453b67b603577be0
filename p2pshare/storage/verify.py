"""Check content on disk against its torrent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from attrs import frozen

from p2pshare.bitfield import Bitfield
from p2pshare.metainfo import Metainfo
from p2pshare.storage.content import Content, found_at, locate_content
from p2pshare.storage.hashing import OnProgress, Progress, hash_pieces, run_size


@frozen
class WrongSize:
    """A file that is there, but longer or shorter than its torrent says."""

    path: str
    expected: int
    found: int


@frozen
class VerifyReport:
    """What a check found. Paths are those on disk, below the content's root."""

    num_pieces: int
    good: Bitfield
    missing: tuple[str, ...]
    wrong_size: tuple[WrongSize, ...]
    unreadable: tuple[str, ...]  # "path: why"; not counted as missing

    @property
    def is_complete(self) -> bool:
        """Whether the content is exactly what the torrent describes: also no file too long, no empty one missing."""
        return self.good.is_full and not (self.missing or self.wrong_size or self.unreadable)

    def bad(self) -> Iterator[int]:
        """Name the pieces that are wrong or not there."""
        return self.good.missing()


def check_data(
    metainfo: Metainfo,
    root: str | os.PathLike[str],
    progress: OnProgress | None = None,
    threads: int | None = None,
) -> VerifyReport:
    """
    Hash all content and compare. A missing or short file spoils only the pieces that have bytes in what is missing.

    :param root: the content, or the folder that holds it.
    :param progress: told bytes done and in all, from several threads but never two at once.
    :raise StorageError: there is nothing at ``root`` that could be the content.
    """
    place = locate_content(metainfo, root)
    metainfo = found_at(metainfo, place)
    geometry = metainfo.geometry
    good = Bitfield.full(metainfo.num_pieces)  # nearly all are, mostly
    steps = Progress(progress, metainfo.total_length)
    unreadable: dict[int, str] = {}

    def compare(run: range, digests: Sequence[bytes | None]) -> None:
        for piece, digest in zip(run, digests, strict=True):
            if digest != metainfo.piece_hash(piece):
                good.discard(piece)
        steps.add(run_size(geometry, run))

    def note(file: int, error: OSError) -> None:
        unreadable[file] = f"{metainfo.files[file]}: {error.strerror}"

    with Content(metainfo, place) as content:
        missing, wrong_size = _look(metainfo, content)
        hash_pieces(geometry, content.open, range(metainfo.num_pieces), compare, on_error=note, threads=threads)
    return VerifyReport(
        num_pieces=metainfo.num_pieces,
        good=good,
        missing=tuple(str(metainfo.files[file]) for file in missing if file not in unreadable),
        wrong_size=wrong_size,
        unreadable=tuple(text for _, text in sorted(unreadable.items())),
    )


def _look(metainfo: Metainfo, content: Content) -> tuple[list[int], tuple[WrongSize, ...]]:
    """Name the files that are not there, and those that have another size."""
    missing, wrong_size = [], []
    for index, entry in enumerate(metainfo.files):
        if entry.pad:
            continue
        status = content.status(index)
        if status is None:
            missing.append(index)
        elif status.st_size != entry.length:
            wrong_size.append(WrongSize(str(entry), entry.length, status.st_size))
    return missing, tuple(wrong_size)
