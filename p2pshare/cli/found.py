"""What an index says of files, torrents and nodes, as far as commands make use of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from attrs import define, frozen

from p2pshare.cli.asking import Service, read
from p2pshare.errors import IndexRefused

SEARCH = "/api/v1/files/search"
FILES = "/api/v1/files"
NODES = "/api/v1/peers"
TORRENTS = "/api/tracker/torrents"

_NEWEST = 1000  # torrents that are asked for at once


@frozen
class FoundFile:
    """A file that one owner shares."""

    id: str
    filename: str
    size: int = 0
    hash: str = ""  # SHA-256
    category: str = ""
    owner: str = ""  # a node's id
    info_hash: str | None = None


@frozen
class FoundTorrent:
    """A torrent, and who was in its swarm lately."""

    info_hash: str
    name: str
    file_size: int = 0
    seeders: int = 0
    leechers: int = 0
    completed: int = 0


@frozen
class FoundNode:
    """A node of the index."""

    id: str
    address: str
    port: int
    is_online: bool = False
    shared_files: int = 0
    region: str = ""
    last_seen: str = ""


@frozen
class FoundPeer:
    """A member of a swarm."""

    peer_id: str
    ip_address: str
    port: int
    left: int | None = None
    is_seeder: bool = False
    last_announce: str = ""


@frozen
class _Results:
    results: list[dict[str, Any]] | None = None  # some indexes say null when there is nothing
    total: int = 0


async def search(service: Service, query: dict[str, object]) -> tuple[list[dict[str, Any]], int]:
    """Find files; gives them as the index says it, and how many there are in all."""
    found = read(await service.ask("GET", SEARCH, query=query), _Results, service, "result of a search")
    results = found.results or []
    return results, max(found.total, len(results))


def as_file(raw: object, service: Service) -> FoundFile:
    """Read one file. :raise IndexUnreachable: it is none."""
    return read(raw, FoundFile, service, "file")


@define(eq=False)
class Availability:
    """From how many seeds a file can be had, and whether its owner is there; empty where nobody says so."""

    _seeds: Mapping[str, int]  # by info hash
    _online: Mapping[str, bool]  # by a node's id

    def seeds(self, file: FoundFile) -> int | None:
        """Count the seeds; None: not known."""
        return self._seeds.get(file.info_hash or "")

    def is_online(self, file: FoundFile) -> bool | None:
        """Whether the owner is; None: not known."""
        return self._online.get(file.owner)

    def describe(self, file: FoundFile) -> str:
        """Say both in a few words."""
        seeds, online = self.seeds(file), self.is_online(file)
        words = [] if seeds is None else ["1 seed" if seeds == 1 else f"{seeds} seeds"]
        if online is not None:
            words.append("online" if online else "offline")
        return ", ".join(words) or "-"


async def availability(service: Service, files: Iterable[FoundFile]) -> Availability:
    """Ask about some files, as far as the index tells: it may be one without torrents, or without nodes."""
    files = list(files)
    torrents: list[FoundTorrent] = []
    if any(file.info_hash for file in files):
        torrents = await _listed(service, TORRENTS, FoundTorrent, {"limit": _NEWEST})
    nodes: list[FoundNode] = await _listed(service, NODES, FoundNode, {}) if files else []
    return Availability(
        {torrent.info_hash: torrent.seeders for torrent in torrents}, {node.id: node.is_online for node in nodes}
    )


async def _listed(service: Service, path: str, shape: type[Any], query: dict[str, object]) -> list[Any]:
    try:
        reply = await service.ask("GET", path, query=query)
        return msgspec.convert(reply, list[shape])  # type: ignore[valid-type]
    except (IndexRefused, msgspec.ValidationError):
        return []
