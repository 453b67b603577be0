"""Small stand-ins for tests of the client: torrents of known content, work done at once, discovery that records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any

from twisted.internet.defer import Deferred, succeed

from p2pshare import bencoding
from tests.storage.fakes import run_now

PIECE = 16384


def torrent_file(name: str, content: bytes | Mapping[str, bytes], tracker: str | None = None) -> bytes:
    """Write the torrent of one file, or of files by their path with slashes."""
    files = {} if isinstance(content, bytes) else content
    everything = content if isinstance(content, bytes) else b"".join(content.values())
    info: dict[str, Any] = {
        "name": name,
        "piece length": PIECE,
        "pieces": b"".join(sha1(everything[at : at + PIECE]).digest() for at in range(0, len(everything), PIECE)),
    }
    if isinstance(content, bytes):
        info["length"] = len(content)
    else:
        info["files"] = [{"length": len(data), "path": path.split("/")} for path, data in files.items()]
    return bencoding.encode({"info": info} | ({} if tracker is None else {"announce": tracker}))


class ThreadsOfNow:
    """Threads that are done before they are asked twice, and note their end."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return run_now(function, *args)

    def stop(self) -> Deferred[None]:
        self._events.append("threads ended")
        return succeed(None)


class RecordingDiscovery:
    """Finds nobody. Saying goodbye takes as long as the test wants."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events
        self.goodbye: Deferred[None] = succeed(None)

    def start(self) -> None:
        self._events.append("started")

    def completed(self) -> None:
        self._events.append("completed")

    def announce_now(self) -> None:
        self._events.append("announce now")

    def status(self) -> list[Any]:
        return []

    def stop(self) -> Deferred[None]:
        self._events.append("stopped")
        return self.goodbye
