"""What somebody means who wants a file of an index: an id, an info hash, a SHA-256 or a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha1
from typing import Any

from attrs import frozen

from p2pshare.cli.asking import Service, read
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.found import FILES, TORRENTS, FoundFile, as_file, search
from p2pshare.cli.terminal import printable
from p2pshare.errors import IndexRefused, IndexUnreachable, MetainfoError
from p2pshare.json_torrent import json_info_hash, read_torrent
from p2pshare.metainfo import Metainfo
from p2pshare.rates import format_size

INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ID = re.compile(r"[0-9a-f]{16}|file_[0-9A-Za-z_-]{1,64}")
_NOT_FOUND, _NO_SUCH_METHOD = 404, 405
_UNKNOWN_ID = "File not found"  # what an index says that can look ids up
_PAGE = 1000  # files
_MOST_PAGES = 100
_MOST_NAMED = 20  # candidates


@frozen
class Wanted:
    """What was found: a file somebody shares, the torrent with its content, or both."""

    file: FoundFile | None
    torrent: Metainfo | None


async def find(index: Service, text: str) -> Wanted:
    """
    Find one content.

    :raise Ended: there is none, or several.
    """
    if INFO_HASH.fullmatch(text):
        torrent = await torrent_of(index, text)
        if torrent is not None:
            info_hash = torrent.info_hash.hex()
            return Wanted(await _shared_as(index, torrent.name, lambda file: file.info_hash == info_hash), torrent)
    file = None
    if SHA256.fullmatch(text):
        file = await _of_hash(index, text.lower())
    elif _ID.fullmatch(text):
        file = await _of_id(index, text)
    if file is None:
        file = await _named(index, text)
    return Wanted(file, None if not file.info_hash else await torrent_of(index, file.info_hash))


async def torrent_of(index: Service, info_hash: str) -> Metainfo | None:
    """
    Fetch a torrent; None: the index does not have it.

    :raise IndexUnreachable: what it gives is no torrent, or another one.
    """
    try:
        content = read_torrent(await index.fetch("GET", f"{TORRENTS}/{info_hash.lower()}/download"))
    except IndexRefused as error:
        if error.status != _NOT_FOUND:
            raise
        return None
    except MetainfoError as error:
        raise IndexUnreachable(f"{index.base}: gives a torrent that cannot be used: {error}") from None
    if info_hash.lower() not in _hashes(content):
        raise IndexUnreachable(f"{index.base}: gives another torrent than {info_hash}: {content.info_hash.hex()}")
    return content


def _hashes(content: Metainfo) -> Iterator[str]:
    """Give what a torrent may be called at an index: its info hash, or the hash of its JSON form or of its name."""
    yield content.info_hash.hex()
    with suppress(MetainfoError):  # it has no such form
        yield json_info_hash(content)
    yield sha1(content.name.encode("utf-8", "surrogateescape")).hexdigest()


async def _named(index: Service, name: str) -> FoundFile:
    """Find the content that is called so, by its whole name or by the last part of it."""
    raw, _ = await search(index, {"q": name, "limit": _PAGE})
    files = [as_file(each, index) for each in raw]
    fits = [file for file in files if file.filename == name] or [
        file for file in files if file.filename.rpartition("/")[2] == name
    ]
    if not fits:
        raise Ended(f"{name}: nothing of this name, id or hash is known at {index.base}", ExitCode.ERROR)
    if len({_content(file) for file in fits}) > 1:
        raise Ended(_ambiguous(name, fits), ExitCode.USAGE)
    # Copies of one content: whoever has a torrent of it can be helped by others.
    return next((file for file in fits if file.info_hash), fits[0])


def _content(file: FoundFile) -> str:
    return file.hash.lower() or file.info_hash or file.id


def _ambiguous(name: str, files: Iterable[FoundFile]) -> str:
    each = {_content(file): file for file in files}
    shown = [f"{file.id} ({file.filename}, {format_size(file.size)})" for file in each.values()]
    more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return printable(f"{name}: {len(shown)} contents are called so; give an id: {', '.join(shown[:_MOST_NAMED])}{more}")


async def _shared_as(index: Service, name: str, fits: Callable[[FoundFile], bool]) -> FoundFile | None:
    raw, _ = await search(index, {"q": name, "limit": _PAGE})
    return next(filter(fits, (as_file(each, index) for each in raw)), None)


async def _of_hash(index: Service, sha256: str) -> FoundFile | None:
    """Find a content, preferably where it has a torrent, too."""
    raw, _ = await search(index, {"hash": sha256, "limit": _PAGE})
    files = [as_file(each, index) for each in raw]
    fits = [file for file in files if file.hash.lower() == sha256]
    if files and not fits:  # an index that does not search by hashes gives anything
        return await _first(index, lambda file: file.hash.lower() == sha256)
    return next((file for file in fits if file.info_hash), fits[0] if fits else None)


async def _of_id(index: Service, file_id: str) -> FoundFile | None:
    try:
        found = as_file(await index.ask("GET", f"{FILES}/{file_id}"), index)
    except IndexRefused as error:
        if error.status not in (_NOT_FOUND, _NO_SUCH_METHOD):
            raise
        return None if _UNKNOWN_ID in str(error) else await _first(index, lambda file: file.id == file_id)
    return found if found.id == file_id else None


async def _first(index: Service, fits: Callable[[FoundFile], bool]) -> FoundFile | None:
    """Look through all files, the newest first: not every index has another way."""
    for page in range(_MOST_PAGES):
        reply = await index.ask("GET", FILES, query={"limit": _PAGE, "offset": page * _PAGE})
        raw = read(reply or [], list[dict[str, Any]], index, "list of files")
        found = next(filter(fits, (as_file(each, index) for each in raw)), None)
        if found is not None or len(raw) < _PAGE:
            return found
    return None
