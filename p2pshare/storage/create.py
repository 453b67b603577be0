"""Make a torrent of a file or a folder."""

from __future__ import annotations

import hashlib
import os
import stat
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from attrs import Attribute, evolve, field, frozen

from p2pshare import bencoding
from p2pshare.errors import ConfigError, MetainfoError, StorageError
from p2pshare.metainfo import (
    FILES_LIMIT,
    HASH_SIZE,
    PIECE_LENGTHS,
    FileEntry,
    Metainfo,
    choose_piece_length,
    compose,
    parse,
)
from p2pshare.metainfo_links import TRACKER_LIMIT, TRACKER_SCHEMES, WEB_SEED_LIMIT, WEB_SEED_SCHEMES, usable_url
from p2pshare.paths import safe_component
from p2pshare.storage.content import Content
from p2pshare.storage.hashing import OnProgress, Progress, hash_pieces, run_size

SMALLEST_PIECE = 16 * 1024  # one block: smaller pieces only make the torrent file longer

# What the scan of a reader counts: a file is a dict with two keys, an integer and a list with its components.
_FILE_TOKENS = 7  # and one for each component
_OTHER_TOKENS = 1000  # the rest of a torrent file, however many trackers it names


def _as_tuple(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(urls)  # with a signature, which tuple itself does not show to type checkers


def _each_once(tiers: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    known: dict[str, None] = {}
    result = []
    for tier in tiers:
        fresh = [url for url in dict.fromkeys(map(str.strip, tier)) if url not in known]
        known.update(dict.fromkeys(fresh))
        if fresh:
            result.append(tuple(fresh))
    return tuple(result)


@frozen(kw_only=True)
class CreateSettings:
    """
    How a torrent is made.

    :raise ConfigError: a value that cannot be: names it.
    """

    announce_tiers: tuple[tuple[str, ...], ...] = field(default=(), converter=_each_once)
    private: bool = False  # BEP 27: peers come from these trackers only
    comment: str | None = field(default=None)
    piece_length: int | None = field(default=None)  # None: chosen by size
    web_seeds: tuple[str, ...] = field(default=(), converter=_as_tuple)  # BEP 19
    name: str | None = field(default=None)  # None: that of the file or folder
    created_by: str | None = field(default=None)
    creation_date: int | None = None  # seconds since 1970; None: not written

    @announce_tiers.validator
    def _check_trackers(self, _attribute: object, tiers: tuple[tuple[str, ...], ...]) -> None:
        _check_urls("tracker", [url for tier in tiers for url in tier], TRACKER_SCHEMES, TRACKER_LIMIT)

    @web_seeds.validator
    def _check_web_seeds(self, _attribute: object, urls: tuple[str, ...]) -> None:
        _check_urls("web seed", urls, WEB_SEED_SCHEMES, WEB_SEED_LIMIT)

    @piece_length.validator
    def _check_piece_length(self, _attribute: object, length: int | None) -> None:
        largest = PIECE_LENGTHS[1]
        if length is not None and (length.bit_count() != 1 or not SMALLEST_PIECE <= length <= largest):
            raise ConfigError(f"piece length: {length}, not a power of two from {SMALLEST_PIECE} to {largest}")

    @name.validator
    def _check_name(self, _attribute: object, name: str | None) -> None:
        if name is not None and (safe := safe_component(os.fsencode(name))) != name:
            raise ConfigError(f"name: {name!r}, not one that is safe on every disk, as {safe!r}")

    @comment.validator
    @created_by.validator
    def _check_text(self, attribute: Attribute[str | None], text: str | None) -> None:
        try:
            (text or "").encode()
        except UnicodeEncodeError:  # bytes of a command line that are no UTF-8
            raise ConfigError(f"{attribute.name.replace('_', ' ')}: {text!r}, not text") from None


@frozen
class _Found:
    """A file on disk that goes into the torrent."""

    path: tuple[str, ...]  # below the folder; a lone file: its name
    size: int
    modified: int  # nanoseconds, of whatever clock the disk has

    def is_as(self, status: os.stat_result | None) -> bool:
        """Whether the file still is as it was found."""
        return status is not None and (status.st_size, status.st_mtime_ns) == (self.size, self.modified)


def create(
    path: str | os.PathLike[str],
    settings: CreateSettings,
    progress: OnProgress | None = None,
    threads: int | None = None,
) -> Metainfo:
    """
    Hash a file, or all files of a folder, on all cores.

    Files of a folder are taken in the order of their paths as bytes, hidden ones too; symbolic links, pipes and devices
    are left out.

    :param progress: told bytes done and in all, from several threads but never two at once.
    :return: what any reader gets from the new torrent file, whose bytes :func:`p2pshare.metainfo.dump` writes.
    :raise MetainfoError: nothing to share, or a torrent that readers would refuse; told before anything is hashed.
    :raise StorageError: a file cannot be read, or changes meanwhile.
    """
    root = Path(os.path.abspath(path))
    is_single = not root.is_dir()
    found = [_look_at(root)] if is_single else _walk(root)
    name = settings.name or _readable(root.name, root.parent)
    info = _describe(found, settings, name, is_single)
    draft = _read_back(info, settings)
    pieces = _hash(draft, found, root, progress, threads)
    raw_info = bencoding.encode(info | {"pieces": pieces})
    return evolve(draft, info_hash=hashlib.sha1(raw_info).digest(), pieces=pieces, raw_info=raw_info)


def _check_urls(kind: str, urls: Sequence[str], schemes: Collection[str], limit: int) -> None:
    for url in urls:
        if usable_url(url, schemes) is None:
            raise ConfigError(f"{kind}: {url!r}, not a URL that begins with {' or '.join(sorted(schemes))}")
    if len(urls) > limit:
        raise ConfigError(f"{kind}: {len(urls)} URLs, not at most {limit}")


def _look_at(file: Path) -> _Found:
    try:
        status = file.stat()
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{file}: neither a file nor a folder")
    return _Found((_readable(file.name, file.parent),), status.st_size, status.st_mtime_ns)


def _walk(root: Path) -> list[_Found]:
    """Find all regular files below a folder."""
    found: list[_Found] = []
    seen = 0
    folders: list[tuple[str, ...]] = [()]
    try:
        while folders:
            above = folders.pop()
            with os.scandir(root.joinpath(*above)) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((*above, _readable(entry.name, root)))
                    elif entry.is_file(follow_symlinks=False):
                        seen += 1
                        if seen > FILES_LIMIT:  # too many already: only counted, for memory's sake
                            continue
                        status = entry.stat(follow_symlinks=False)
                        path = (*above, _readable(entry.name, root))
                        found.append(_Found(path, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise StorageError(f"{error.filename or root}: {error.strerror}") from error
    if not found:
        raise MetainfoError(f"{root}: a folder without files, not one with something to share")
    found.sort(key=lambda file: file.path)  # str sorts by code points, which is how their UTF-8 sorts
    _refuse_too_many(found, seen, root)
    return found


def _refuse_too_many(found: list[_Found], seen: int, root: Path) -> None:
    """Refuse more files than a reader takes from one torrent: how many depends on how deep they lie."""
    tokens = accumulate(_FILE_TOKENS + len(file.path) for file in found)
    allowed = bisect_right(list(tokens), bencoding.MAX_TOKENS - _OTHER_TOKENS)
    if seen > allowed:
        raise MetainfoError(f"{root}: too many files: {seen}, not at most {allowed}, which is what one torrent holds")


def _readable(name: str, folder: Path) -> str:
    """Return the name if everybody can read it: each program would make something else of bytes that are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise MetainfoError(f"{folder}: a file name of the bytes {os.fsencode(name)!r}, not of UTF-8") from None
    return name


def _describe(found: list[_Found], settings: CreateSettings, name: str, is_single: bool) -> dict[str, object]:
    """Make the info dictionary, with zeros for the piece hashes."""
    total = sum(file.size for file in found)
    piece_length = settings.piece_length or choose_piece_length(total)
    info: dict[str, object] = {"name": name, "piece length": piece_length}
    info["pieces"] = bytes(-(-total // piece_length) * HASH_SIZE)
    if is_single:
        info["length"] = total
    else:
        files = [{"length": file.size, "path": file.path} for file in found]
        info["files"] = bencoding.Raw(bencoding.encode(files))  # once: it goes into the draft and into the result
    if settings.private:
        info["private"] = 1
    return info


def _read_back(info: dict[str, object], settings: CreateSettings) -> Metainfo:
    """Write the torrent file and read it as others will, so that none is made that they would refuse."""
    torrent = compose(
        bencoding.encode(info),
        announce_tiers=settings.announce_tiers,
        comment=settings.comment,
        created_by=settings.created_by,
        creation_date=settings.creation_date,
        web_seeds=settings.web_seeds,
    )
    return parse(torrent)


def _hash(draft: Metainfo, found: list[_Found], root: Path, progress: OnProgress | None, threads: int | None) -> bytes:
    geometry = draft.geometry
    pieces = bytearray(geometry.num_pieces * HASH_SIZE)
    steps = Progress(progress, geometry.total_length)
    as_found = evolve(draft, files=tuple(FileEntry(file.path, file.size) for file in found))

    def place(run: range, digests: Sequence[bytes | None]) -> None:
        whole = [digest for digest in digests if digest is not None]
        if len(whole) < len(run):
            piece = run[digests.index(None)]
            refuse_changes(geometry.files_of(piece))
            raise StorageError(f"{root}: piece {piece} could not be read to its end")
        pieces[run.start * HASH_SIZE : run.stop * HASH_SIZE] = b"".join(whole)
        steps.add(run_size(geometry, run))

    def give_up(file: int, error: OSError) -> None:
        raise StorageError(f"{'/'.join(found[file].path)}: {error.strerror}") from error

    def refuse_changes(files: range) -> None:
        for file in files:
            if not found[file].is_as(content.status(file)):
                raise StorageError(f"{'/'.join(found[file].path)}: changed while it was hashed")

    with Content(as_found, root) as content:
        hash_pieces(geometry, content.open, range(geometry.num_pieces), place, on_error=give_up, threads=threads)
        refuse_changes(range(len(found)))
    return bytes(pieces)
