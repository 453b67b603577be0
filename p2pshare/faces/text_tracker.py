"""
The tracker of text swarms: ``/register``, ``/get_peers`` and ``/status`` over HTTP, replies in JSON.

Views, not routes: they are asked often, have little to say, and answer whoever asks by whatever name.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import msgspec
from attrs import define, field, frozen

from p2pshare.errors import RequestRefused
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import View
from p2pshare.web.replies import ERROR, JSON

_READING = (b"GET", b"HEAD")
_LONGEST = 128  # characters of a parameter; a torrent_hash and a peer_id have 40
_STOPPED = "stopped"

Args = Mapping[bytes, Sequence[bytes]]


@frozen
class TextPeer:
    """Where a peer of a text swarm listens."""

    ip: str
    port: int


@define(eq=False)
class _Entry:
    peer: TextPeer
    seen: float


@define(eq=False)
class TextSwarms:
    """
    Who is in which text swarm, in memory. A peer keeps its place in the order of registration when it comes again.

    When there are too many, the swarm that was registered to longest ago goes; in one swarm, whoever came first.
    """

    _now: Callable[[], float]  # seconds on a clock that never jumps
    lifetime: float = math.inf  # seconds that a registration lasts; text swarms have no regular announces
    most_peers: int = field(default=1000, kw_only=True)  # of one swarm
    most: int = field(default=100_000, kw_only=True)  # peers of all swarms
    _swarms: OrderedDict[str, dict[str, _Entry]] = field(init=False, factory=OrderedDict)
    _count: int = field(init=False, default=0)

    def __len__(self) -> int:
        return self._count

    def register(self, torrent_hash: str, peer_id: str, peer: TextPeer) -> None:
        """Note where a peer listens."""
        swarm = self._swarms.setdefault(torrent_hash, {})
        self._swarms.move_to_end(torrent_hash)
        known = swarm.get(peer_id)
        if known is not None:
            known.peer, known.seen = peer, self._now()
            return
        if len(swarm) >= self.most_peers:
            self._drop(torrent_hash, next(iter(swarm)))
            swarm = self._swarms.setdefault(torrent_hash, swarm)  # it may have been the only one
        swarm[peer_id] = _Entry(peer, self._now())
        self._count += 1
        while self._count > self.most and len(self._swarms) > 1:
            _, gone = self._swarms.popitem(last=False)
            self._count -= len(gone)

    def peers(self, torrent_hash: str, without: str | None = None) -> list[TextPeer]:
        """List a swarm in the order of registration, but for one who asks not to be told of itself."""
        swarm = self._swarms.get(torrent_hash, {})
        expired = self._now() - self.lifetime
        for peer_id in [peer_id for peer_id, entry in swarm.items() if entry.seen < expired]:
            self._drop(torrent_hash, peer_id)
        return [entry.peer for peer_id, entry in swarm.items() if peer_id != without]

    def leave(self, torrent_hash: str, peer_id: str) -> None:
        """Let a peer go, if it is there."""
        if peer_id in self._swarms.get(torrent_hash, ()):
            self._drop(torrent_hash, peer_id)

    def _drop(self, torrent_hash: str, peer_id: str) -> None:
        swarm = self._swarms[torrent_hash]
        del swarm[peer_id]
        self._count -= 1
        if not swarm:
            del self._swarms[torrent_hash]


@define(eq=False)
class TextTracker:
    """Reads queries, asks the swarms, writes replies."""

    _swarms: TextSwarms

    def views(self) -> dict[bytes, View]:
        """Give the paths of this face; what else is asked for without a path of its own, see :meth:`peers`."""
        return {
            b"/register": View(_answering(self._register), _READING),
            b"/get_peers": View(self.peers, _READING),
            b"/status": View(_answering(self._status), _READING),
        }

    def peers(self, request: LimitedRequest) -> bytes:
        """Answer ``/get_peers``, and ``/`` where its query names a ``torrent_hash``."""
        return _answering(self._peers)(request)

    def _register(self, args: Args, host: str) -> object:
        torrent_hash, peer_id = _text(args, b"torrent_hash"), _text(args, b"peer_id")
        # Nobody registers others: the address is that of the connection, whatever the query says.
        self._swarms.register(torrent_hash, peer_id, TextPeer(host, _port(args)))
        return {"status": "registered"}

    def _peers(self, args: Args, host: str) -> object:
        torrent_hash = _text(args, b"torrent_hash")
        without = _text(args, b"peer_id") if args.get(b"peer_id") else None
        return {"peers": self._swarms.peers(torrent_hash, without)}

    def _status(self, args: Args, host: str) -> object:
        torrent_hash, peer_id, status = _text(args, b"torrent_hash"), _text(args, b"peer_id"), _text(args, b"status")
        if status == _STOPPED:
            self._swarms.leave(torrent_hash, peer_id)
        return {"status": status}


def _answering(answer: Callable[[Args, str], object]) -> Callable[[LimitedRequest], bytes]:
    """Make a view of something that answers a query from a host."""

    def view(request: LimitedRequest) -> bytes:
        request.setHeader(b"Content-Type", JSON.encode("ascii"))
        request.setHeader(b"Cache-Control", b"no-store")
        try:
            return msgspec.json.encode(answer(request.args, request.source.host))
        except RequestRefused as refusal:
            page = ERROR.page(refusal)
            request.setResponseCode(page.status)
            return page.body

    return view


def _text(args: Args, name: bytes) -> str:
    values = args.get(name, ())
    if len(values) != 1:
        raise RequestRefused(
            f"{name.decode()}: " + (f"given {len(values)} times, expected once" if values else "missing")
        )
    try:
        text = values[0].decode()
    except UnicodeDecodeError:
        raise RequestRefused(f"{name.decode()}: not UTF-8") from None
    if not 1 <= len(text) <= _LONGEST:
        raise RequestRefused(f"{name.decode()}: {len(text)} characters, expected 1 to {_LONGEST}")
    return text


def _port(args: Args) -> int:
    text = _text(args, b"port")
    # int() alone would read "+1", "1_0" and digits of every script.
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise RequestRefused(f"port: {text[:20]}, expected 1 to 65535")
    return int(text)
