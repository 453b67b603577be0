"""What a client asks a tracker over HTTP: the query of an announce, and the address of a scrape (BEP 3, 48)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from p2pshare.wire.announce import AnnounceRequest

# The last path word that begins with "announce": /announce, /announce.php, /KEY/announce and /announce/KEY all occur.
_ANNOUNCE = re.compile(r"(.*/)announce(?![A-Za-z])(.*)")


def encode_query(request: AnnounceRequest) -> str:
    """Write an announce's query string, percent-encoded, without the question mark (BEP 3, "trackers")."""
    fields: list[tuple[str, bytes | str | int | None]] = [
        ("info_hash", request.info_hash),
        ("peer_id", request.peer_id),
        ("port", request.port),
        ("uploaded", request.uploaded),
        ("downloaded", request.downloaded),
        ("left", request.left),
        ("event", None if request.event is None else request.event.value),
        ("numwant", request.numwant),
        ("key", request.key),
        ("compact", None if request.compact is None else int(request.compact)),
        ("hostname", request.hostname),
        ("ip", request.ip),
        ("no_peer_id", 1 if request.no_peer_id else None),
        ("trackerid", request.tracker_id),
    ]
    return "&".join(
        f"{name}={value if isinstance(value, int) else quote(value, safe='')}"
        for name, value in fields
        if value is not None
    )


def announce_url(base: str, request: AnnounceRequest) -> str:
    """Join a tracker's URL and an announce; a query that the URL already has (a passkey, say) stays in front."""
    return _with_query(base, encode_query(request))


def scrape_url(announce_url: str, hashes: Iterable[bytes]) -> str | None:
    """
    Find where a tracker answers scrapes: its announce URL with ``scrape`` instead of ``announce`` in the path (BEP 48).

    :return: the URL that asks for these info_hashes (for everything, when there are none); None when no path word
        begins with ``announce``, and the tracker so has no scrape.
    """
    try:
        parts = urlsplit(announce_url)
    except ValueError:  # an IPv6 address without its second bracket
        return None
    match = _ANNOUNCE.fullmatch(parts.path)
    if match is None:
        return None
    url = parts._replace(path=f"{match[1]}scrape{match[2]}", fragment="").geturl()
    query = "&".join(f"info_hash={quote(info_hash, safe='')}" for info_hash in hashes)
    return _with_query(url, query) if query else url


def _with_query(url: str, query: str) -> str:
    url = url.partition("#")[0]  # a fragment never goes to a server
    if "?" not in url:
        return f"{url}?{query}"
    return f"{url}{query}" if url.endswith(("?", "&")) else f"{url}&{query}"
