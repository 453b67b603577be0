"""A node behind a site in memory: a real library on a real folder, and swarms that are put there by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed

from p2pshare.errors import ConfigError, IndexRefused, IndexUnreachable
from p2pshare.faces.node import Node, NodeParts, Standing
from p2pshare.faces.node_site import node_dispatcher
from p2pshare.metainfo import Metainfo
from p2pshare.settings import read_networks
from p2pshare.sharing.library import Event, FileAdded, FileChanged, FileRemoved, Library
from p2pshare.sharing.shelf import Shelf, file_id
from p2pshare.sharing.walk import is_wanted, open_below
from p2pshare.swarm.swarm import Swarm
from p2pshare.web.guard import Guard
from p2pshare.web.limits import LimitedSite
from p2pshare.web.sources import Sources
from tests.web.connections import Reply
from tests.web.serving import ServedCase, run_now

TODAY = 1.7e9  # seconds since 1970, when every test begins
OWNER = "peer_0123456789a"
BOUNDARY = "frontier"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
MANY = 100_000  # connections: none is closed here
LARGEST = 50_000  # bytes of a file that is shared over HTTP


class HeldTorrents:
    """Torrents by info hash. What is added only gets noted."""

    def __init__(self) -> None:
        self.swarms: dict[bytes, Swarm] = {}
        self.added: list[tuple[Metainfo, Path]] = []
        self.removed: list[bytes] = []

    def add(self, content: Metainfo, folder: Path) -> object:
        if content.info_hash in [known.info_hash for known, _ in self.added]:
            raise ConfigError(f"{content.name}: was added before")
        self.added.append((content, folder))
        return None

    def remove(self, info_hash: bytes) -> Deferred[None]:
        del self.swarms[info_hash]
        self.removed.append(info_hash)
        return succeed(None)


class AskedIndex:
    """An index that answers as it is told to, and notes what it is asked."""

    def __init__(self) -> None:
        self.reply: Any = {"results": [], "count": 0, "query": "", "total": 0}
        self.error: IndexRefused | IndexUnreachable | None = None
        self.asked: list[tuple[str, str, Mapping[str, object]]] = []

    async def ask(self, method: str, path: str, *, query: Mapping[str, object] | None = None) -> Any:
        self.asked.append((method, path, query or {}))
        if self.error is not None:
            raise self.error
        return self.reply


class Names:
    """How an index and swarms call files."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.hashes: dict[str, str] = {}

    def index_id(self, file: Any) -> str | None:
        return next((index_id for index_id, name in self.ids.items() if name == file.name), None)

    def name_of(self, index_id: str) -> str | None:
        return self.ids.get(index_id)

    def info_hash(self, file: Any) -> str | None:
        return self.hashes.get(file.name)


class NodeCase(ServedCase):
    """Has a node with an empty shared folder. Files are read at once when :meth:`look` is called."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.shelf = Path(self.mktemp()).absolute()
        self.torrents = HeldTorrents()
        self.index: AskedIndex | None = AskedIndex()
        self.names = Names()
        self.fetched: list[str] = []
        self.standing = Standing(OWNER, "192.0.2.7:8081", super_peer="http://index.example:8000")
        self.begin()

    def now(self) -> float:
        """Seconds since 1970, by the test's clock."""
        return TODAY + self.clock.seconds()

    def begin(self, token: str | None = None, **parts: Any) -> None:
        """Start a node, with these parts instead of the usual ones."""
        library = Library(self.folder, Shelf(self.shelf), run_now, run_now, self.clock, self.now, 1)
        self.library = library
        given: dict[str, Any] = {"max_file_size": LARGEST, "elsewhere": self.names, "fetched": self.fetched.append}
        self.parts = NodeParts(
            library=library,
            torrents=self.torrents,
            standing=lambda: self.standing,
            id_of=lambda name: file_id(name, OWNER),
            open_below=open_below,
            is_wanted=is_wanted,
            data=self.folder / "data",
            index=self.index,
            **{**given, **parts},
        )
        self.serve(connections=MANY, connections_per_address=MANY)
        self.node = Node(self.parts, run_now, self.clock, self.now, self.limits, self.hits)
        library.subscribe(heard_by(self.node))
        library.startService()
        self.addCleanup(library.stopService)
        self.node.startService()
        self.addCleanup(self.node.stopService)
        guard = Guard(self.clock.seconds, self.limits, token=token, hits=self.hits)
        dispatcher = node_dispatcher(self.node, guard, self.limits, self.clock, self.hits)
        self.site = LimitedSite(
            dispatcher, self.limits, Sources(read_networks(())), self.clock, bodies=dispatcher, hits=self.hits
        )

    def put(self, name: str, data: bytes = b"content") -> str:
        """Put a file into the folder and have it shared; gives its id."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.look()
        return file_id(name, OWNER)

    def look(self) -> None:
        """Have the library look."""
        self.library.poke()
        self.clock.advance(1)

    def value_of(self, path: str, *headers: str) -> Any:
        """Ask for a path, which has to be there, and read the answer."""
        reply = self.get(path, *headers)
        self.assertEqual(reply.status, 200, reply.body)
        return self.read(reply)

    def listed(self) -> list[str]:
        """The names of the files that the node lists."""
        return [file["filename"] for file in self.value_of("/api/v1/files")]

    def upload(self, name: str, data: bytes = b"content", path: str = "/api/v1/files/share") -> Reply:
        """Share a file over HTTP; the library looks while the answer waits."""
        connection = self.connect()
        body = form(name, data)
        head = [f"POST {path} HTTP/1.1", "Host: localhost", FORM, f"Content-Length: {len(body)}", "", ""]
        connection.send("\r\n".join(head).encode() + body)
        self.clock.advance(1)
        (reply,) = connection.replies("POST")
        return reply

    def kept(self) -> list[str]:
        """All files in the shared folder and beside it, by their paths from there."""
        found = self.folder.parent.rglob("*")
        return sorted(os.path.relpath(path, self.folder) for path in found if path.is_file())


def heard_by(node: Node) -> Callable[[Event], None]:
    """Tell a node what its library tells."""

    def heard(event: Event) -> None:
        match event:
            case FileAdded(file=file):
                node.added(file)
            case FileRemoved(file=file):
                node.removed(file)
            case FileChanged(old=old, file=file):
                node.changed(old, file)

    return heard


def form(name: str, data: bytes, field: str = "file") -> bytes:
    """Write a form with one file."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
