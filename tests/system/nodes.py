"""An index and nodes as processes, for tests: each with folders of its own, asked over HTTP."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from unittest import TestCase

from tests.system.daemons import Daemon, wait_until

SETTINGS = """
[peer]
port = 0
bind = "127.0.0.1"
data = "{folder}/{data}"
state_dir = "{folder}/state"

[peer.control]
port = {port}
{control}

[peer.share]
folder = "{folder}/shared"
index = "{index}"
retry = 1.0
heartbeat = 1.0
"""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Find a TCP port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Ask for something, through redirects; gives the status, too."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with _OPENER.open(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


class Index:
    """A tracker with its index, which may be stopped and started again."""

    def __init__(self, test: TestCase, folder: Path) -> None:
        self._test, self._folder, self._port, self._starts = test, folder, free_port(), 0
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> Daemon:
        """Start it; at the second time it knows what it knew."""
        self._starts += 1
        here = self._folder / f"run-{self._starts}"
        state = self._folder / "state"
        self.daemon = Daemon(self._test, here, "p2p-tracker", "--port", str(self._port), "--state-dir", state)
        self.daemon.logged("tracker listening at")
        return self.daemon

    def ask(self, path: str) -> Any:
        """Ask it for JSON."""
        return json.loads(fetch(f"{self.url}{path}")[1])

    def files(self, words: str = "") -> list[dict[str, Any]]:
        """Search it."""
        found: list[dict[str, Any]] = self.ask(f"/api/v1/files/search?q={words}")["results"]
        return found

    def has(self, name: str) -> dict[str, Any]:
        """Wait until it lists a file, and give that."""
        wait_until(lambda: name in [file["filename"] for file in self.files()], f"{name} is in the index")
        return next(file for file in self.files() if file["filename"] == name)

    def has_not(self, name: str) -> None:
        """Wait until it does not list a file any more."""
        wait_until(lambda: name not in [file["filename"] for file in self.files()], f"{name} has left the index")


class NodeProcess:
    """A peer that shares a folder."""

    def __init__(self, test: TestCase, folder: Path, index: str, *, data: str = "data", control: str = "") -> None:
        """
        Make its folders.

        :param data: the folder of its torrents, below its own.
        :param control: a setting of its control port.
        """
        self._more = {"data": data, "control": control}
        self._folder, self.shared = folder, folder / "shared"
        for name in ("shared", "data"):
            (folder / name).mkdir(parents=True)
        self._test, self._index, self._port, self._starts = test, index, free_port(), 0
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> Daemon:
        """Start it."""
        self._starts += 1
        config = self._folder / "peer.toml"
        config.write_text(SETTINGS.format(folder=self._folder, port=self._port, index=self._index, **self._more))
        self.daemon = Daemon(self._test, self._folder / f"run-{self._starts}", "p2p-peer", "--config", config)
        self.daemon.logged("node listening at")
        return self.daemon

    def put(self, name: str, content: bytes) -> Path:
        """Put a file into its folder, as people do."""
        path = self.shared / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def ask(self, path: str) -> Any:
        """Ask it for JSON."""
        return json.loads(fetch(f"{self.url}{path}")[1])

    def files(self) -> dict[str, dict[str, Any]]:
        """What it shares, by name."""
        return {file["filename"]: file for file in self.ask("/api/v1/files")}
