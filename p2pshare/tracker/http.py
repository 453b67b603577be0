"""Announce and scrape over HTTP (BEP 3, 7, 23, 48): the edge between requests and the tracker's decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from p2pshare import __version__
from p2pshare.addresses import is_ipv6, pack_compact, unpack_ipv4, unpack_ipv6
from p2pshare.errors import RequestRefused
from p2pshare.ids import PEER_ID_SIZE
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.logic import AskedTooSoon, Tracker
from p2pshare.tracker.names import Found, Names
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import View
from p2pshare.web.sources import Source
from p2pshare.wire.announce import AnnounceResponse, PeerEntry
from p2pshare.wire.announce_http import (
    decode_query,
    decode_scrape_query,
    encode_compact,
    encode_failure,
    encode_response,
    encode_scrape,
)
from p2pshare.wire.announce_lane import read_announce

_BENCODED = b"application/x-bittorrent"
_HEALTHY = b'{"status":"healthy"}'
_BANNER = f"p2pshare {__version__}, a BitTorrent tracker: announce at /announce, scrape at /scrape\n".encode()


_ANNOUNCE, _SCRAPE = b"/announce", b"/scrape"


def views(face: TrackerFace) -> Mapping[bytes, View]:
    """Give the paths that a tracker answers."""
    return {
        _ANNOUNCE: View(face.announce),
        _SCRAPE: View(face.scrape),
        b"/health": View(_show(_HEALTHY, b"application/json"), (b"GET", b"HEAD")),
        b"/": View(_show(_BANNER, b"text/plain; charset=utf-8"), (b"GET", b"HEAD")),
    }


class KeyedViews(Mapping[bytes, View]):
    """
    The paths of a private tracker: in front of ``/announce`` and ``/scrape`` there may be a passkey.

    Whether it is a good one is for these views to see, which have the whole path.
    """

    def __init__(self, plain: Mapping[bytes, View]) -> None:
        """Serve these views, and two of them under keyed paths as well."""
        self._plain = plain

    def __getitem__(self, path: bytes) -> View:
        view = self._plain.get(path)
        if view is None and path.count(b"/") == 2:
            _, slash, word = path.rpartition(b"/")
            if word in (_ANNOUNCE[1:], _SCRAPE[1:]):
                view = self._plain.get(slash + word)
        if view is None:
            raise KeyError(path)
        return view

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)


@define(eq=False)
class TrackerFace:
    """Reads requests, asks the tracker, writes replies. Decides nothing."""

    _tracker: Tracker
    _names: Names
    _settings: TrackerSettings
    _intervals: tuple[int, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._intervals = self._settings.interval, self._settings.told_min_interval

    def announce(self, request: LimitedRequest) -> bytes | int:
        """Answer an announce; later, if a name has to be looked up first."""
        request.setHeader(b"Content-Type", _BENCODED)
        try:
            self._tracker.admit(passkey_of(request.path), request.source)
            query = decode_query(request.args)
            hits = self._tracker.announce(query, request.source)
        except RequestRefused as refusal:
            return self._refuse(request, refusal)
        if not query.compact:
            return self._listed(hits, with_ids=not query.no_peer_id)
        if not hits.named:
            return self._compact(hits)
        found = self._names.resolve(entry.host for entry in hits.named)
        if isinstance(found, dict):
            return self._compact(hits, found)
        _answer_later(request, found.addCallback(lambda found: self._compact(hits, found)))
        return NOT_DONE_YET

    def answer(self, path: bytes, query: bytes, source: Source) -> tuple[bytes, bool] | None:
        """
        Answer an announce for a compact reply, if that can be done at once, from the bytes of its path and query.

        :return: the reply, and whether it is a refusal; None: :meth:`announce` has to do it, and nothing has happened.
        """
        tracker = self._tracker
        if not (path == _ANNOUNCE or (tracker.is_keyed and path.endswith(_ANNOUNCE) and path.count(b"/") == 2)):
            return None
        request = read_announce(query)
        if request is None or tracker.has_names(request.info_hash):
            return None
        try:
            if tracker.is_keyed:
                tracker.admit(passkey_of(path), source)
            return self._compact(tracker.announce(request, source)), False
        except RequestRefused as refusal:
            return _worded(refusal), True

    def scrape(self, request: LimitedRequest) -> bytes:
        """Answer a scrape."""
        request.setHeader(b"Content-Type", _BENCODED)
        try:
            self._tracker.admit(passkey_of(request.path), request.source)
            hashes = decode_scrape_query(request.args, self._settings.limits.scrape)
            return encode_scrape(self._tracker.scrape(hashes, request.source))
        except RequestRefused as refusal:
            return self._refuse(request, refusal)

    def _refuse(self, request: LimitedRequest, refusal: RequestRefused) -> bytes:
        request.setResponseCode(self._settings.error_status)
        return _worded(refusal)

    def _compact(self, hits: Hits, found: Found | None = None) -> bytes:
        packed4, packed6 = hits.packed4, hits.packed6
        if found is not None:
            for entry in hits.named:
                if (address := found.get(entry.host)) is not None:
                    packed = pack_compact(address, entry.port)
                    if is_ipv6(address):
                        packed6 += packed
                    else:
                        packed4 += packed
        return encode_compact(*self._intervals, hits.complete, hits.incomplete, packed4, packed6)

    def _listed(self, hits: Hits, with_ids: bool) -> bytes:
        """Write the reply with a list of dicts, in which names stay names (BEP 3)."""
        settings = self._settings
        addresses = unpack_ipv4(hits.packed4) + unpack_ipv6(hits.packed6)
        ids = _cut(hits.ids4 + hits.ids6) if with_ids else [None] * len(addresses)
        peers = [PeerEntry(a.host, a.port, peer_id) for a, peer_id in zip(addresses, ids, strict=True)]
        peers += hits.named if with_ids else [PeerEntry(entry.host, entry.port) for entry in hits.named]
        response = AnnounceResponse(
            settings.interval, settings.told_min_interval, hits.complete, hits.incomplete, tuple(peers)
        )
        return encode_response(response, compact=False)


def passkey_of(path: bytes) -> bytes:
    """Give what stands in front of the last word of a path; nothing if that is all."""
    return path[1:].rpartition(b"/")[0]


def _worded(refusal: RequestRefused) -> bytes:
    return encode_failure(str(refusal), refusal.retry_in if isinstance(refusal, AskedTooSoon) else None)


def _cut(ids: bytes) -> list[bytes]:
    return [ids[at : at + PEER_ID_SIZE] for at in range(0, len(ids), PEER_ID_SIZE)]


def _answer_later(request: LimitedRequest, body: Deferred[bytes]) -> None:
    """Write an answer when it is there, unless the client has gone by then."""
    gone: list[Failure] = []

    def write(answer: bytes) -> None:
        if not gone:
            request.setHeader(b"Content-Length", b"%d" % len(answer))
            request.write(answer)
            request.finish()

    request.notifyFinish().addErrback(gone.append)
    body.addCallback(write).addErrback(request.processingFailed)


def _show(body: bytes, content_type: bytes) -> Callable[[LimitedRequest], bytes]:
    """Make a view that always answers the same."""

    def answer(request: LimitedRequest) -> bytes:
        request.setHeader(b"Content-Type", content_type)
        return body

    return answer
