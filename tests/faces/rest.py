"""The REST tracker behind a site in memory, with uploads in a folder and a content server that only takes note."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from p2pshare.errors import StorageError
from p2pshare.faces.rest_tracker import FORMS, rest_tracker_routes
from p2pshare.faces.rest_tracker_record import RecordedSwarms
from p2pshare.faces.uploading import Uploads
from p2pshare.metainfo import Metainfo
from p2pshare.settings import read_networks
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.web.dispatch import Dispatcher
from p2pshare.web.guard import Guard
from p2pshare.web.paths import View
from p2pshare.web.routes import RouteTable
from tests.faces.serving import FaceCase
from tests.web.connections import Connection, Reply

API = "/api/tracker"
BOUNDARY = "frontier"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
MANY = 100_000
A, B = "A" * 20, "B" * 20


class NotedContents:
    """A content server that seeds nothing, and fails when it is told to."""

    def __init__(self) -> None:
        self.served: dict[bytes, Path] = {}
        self.error: StorageError | None = None

    async def serve(self, metainfo: Metainfo, path: Path) -> None:
        if self.error is not None:
            raise self.error
        if not path.is_file():
            raise StorageError("there is nothing to seed")
        self.served[metainfo.info_hash] = path

    async def withdraw(self, info_hash: bytes) -> None:
        self.served.pop(info_hash, None)

    def serves(self, info_hash: bytes) -> bool:
        return info_hash in self.served


class RestCase(FaceCase):
    """Has the face, and a folder for uploads. Connections are many here, as none is closed."""

    settings = TrackerSettings()

    def setUp(self) -> None:
        super().setUp()
        self.recorded = RecordedSwarms(self.swarms, self.catalogue.memberships, self.now)
        claims = read_networks(self.settings.claims)
        self.tracker = Tracker(self.recorded, self.settings, claims, self.clock.seconds)
        self.contents = NotedContents()
        self.folder = Path(self.mktemp()).absolute()
        self.held: list[Deferred[None]] | None = None  # jobs that wait, when it is a list
        self.begin()

    def begin(self, **options: Any) -> None:
        """Start the uploads, again or with other options, and serve the face."""
        self.uploads = Uploads(self.folder, self.catalogue, self.contents, self.run_job, **options)
        self.uploads.startService()
        self.serve_face(self.uploads)

    def serve_face(
        self, uploads: Uploads | None = None, views: Mapping[bytes, View] = {}, token: str | None = None
    ) -> None:
        """Serve the face, and views beside it; private networks are exempt from limits, as they are by default."""
        routes = rest_tracker_routes(self.catalogue, self.tracker, self.settings, uploads)
        self.serve(exempt=self.settings.limits.exempt, connections=MANY, connections_per_address=MANY)
        guard = Guard(self.clock.seconds, self.limits, token=token, hits=self.hits)
        dispatcher = Dispatcher(RouteTable(routes), views, guard, self.limits, self.clock, self.hits, FORMS)
        self.site.resource = self.site.bodies = dispatcher

    def run_job(self, function: Any, *args: Any) -> Deferred[Any]:
        """Do a job as a thread would: now, or when :meth:`release` is called."""
        if self.held is None:
            return maybeDeferred(function, *args)
        waiting: Deferred[None] = Deferred()
        self.held.append(waiting)
        return waiting.addCallback(lambda _: function(*args))

    def step(self, times: int) -> None:
        """Let the jobs be done that wait, so many times; those that follow wait again."""
        for _ in range(times):
            waiting, self.held = self.held or [], []
            for job in waiting:
                job.callback(None)

    def release(self) -> None:
        """Let all jobs be done that wait, and those that follow."""
        held, self.held = self.held or [], None
        for waiting in held:
            waiting.callback(None)

    def read_torrent(self, info_hash: str) -> Any:
        """Look a torrent up."""
        return self.value_of(f"{API}/torrents/{info_hash}")

    def upload(self, name: str, data: bytes, **ask: Any) -> Any:
        """Upload a file that is taken in."""
        reply = self.send(name, data, **ask)
        self.assertEqual(reply.status, 200, reply.body)
        return self.read(reply)

    def send(self, name: str, data: bytes, **ask: Any) -> Reply:
        """Upload a file."""
        return self.ask("POST", f"{API}/upload", FORM, body=form(name, data), **ask)

    def begin_upload(self, body: bytes, length: int | None = None) -> Connection:
        """Send a header, and so much of a body."""
        connection = self.connect()
        head = ["POST /api/tracker/upload HTTP/1.1", "Host: localhost", FORM]
        head.append(f"Content-Length: {len(body) if length is None else length}")
        connection.send("\r\n".join([*head, "", ""]).encode() + body)
        return connection

    def peer(self, info_hash: str, peer_id: str, port: int = 6881, host: str = "127.0.0.1", **said: Any) -> Any:
        """Announce with GET, from some address."""
        query = {"info_hash": info_hash, "peer_id": peer_id, "port": port, **said}
        path = f"{API}/announce?" + "&".join(f"{name}={value}" for name, value in query.items())
        reply = self.connect(host).ask("GET", path)
        self.assertEqual(reply.status, 200, reply.body)
        return self.read(reply)

    def detail(self, reply: Reply, status: int) -> str:
        """Make sure of a refusal, and give its words."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(list(self.read(reply)), ["detail"])
        text: str = self.read(reply)["detail"]
        return text

    def kept(self) -> list[str]:
        """List everything in the folder of the uploads, but for the torrent files."""
        return sorted(path.name for path in self.folder.iterdir() if path.name != ".torrents")


def form(name: str, data: bytes, field: str = "file") -> bytes:
    """Write a form with one file."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def pieces_of(data: bytes, size: int = 262_144) -> bytes:
    """Hash the pieces of a content."""
    return b"".join(sha1(data[at : at + size]).digest() for at in range(0, len(data), size))
