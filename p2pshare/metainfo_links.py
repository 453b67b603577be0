"""Which tracker and web seed addresses of a torrent file are worth keeping (BEP 3, BEP 12, BEP 19)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from p2pshare.bencoding import Value
from p2pshare.metainfo_fields import Fields

TRACKER_LIMIT = 64  # real torrents name a few dozen at most; thousands are a way to make us flood somebody
WEB_SEED_LIMIT = 64
TRACKER_SCHEMES = frozenset({"http", "https", "udp"})
WEB_SEED_SCHEMES = frozenset({"http", "https"})

_URL_LIMIT = 2048  # characters; what servers and proxies take without trouble
_URL_TEXT = re.compile(r"[!-~]+")  # visible ASCII: nothing that breaks a request line, a log line or a terminal


def usable_url(text: str, schemes: Collection[str]) -> str | None:
    """
    Return the URL as it will be used, its scheme in small letters.

    :return: None when it has another scheme, no host, a bad port or odd characters.
    """
    text = text.strip()
    if len(text) > _URL_LIMIT or not _URL_TEXT.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0  # .port: ValueError over 65535
    except ValueError:  # also for half an IPv6 address
        return None
    return parts.scheme + text[len(parts.scheme) :] if usable else None


def tracker_tiers(fields: Fields) -> tuple[tuple[str, ...], ...]:
    """
    Read the trackers, best tier first: ``announce-list`` where it names any that can be used, else ``announce``.

    Others are left out silently, as are repetitions and all beyond the first 64.
    """
    tiers = fields.get(b"announce-list")
    usable = _usable_tiers(tiers if isinstance(tiers, list) else [])
    return usable or _usable_tiers([fields.get(b"announce")])


def web_seeds(fields: Fields) -> tuple[str, ...]:
    """Read ``url-list``, which is one URL or a list of them (BEP 19, "Metadata Extension"), 64 at most."""
    return tuple(_usable_urls(_listed(fields.get(b"url-list")), WEB_SEED_SCHEMES))[:WEB_SEED_LIMIT]


def _usable_tiers(tiers: Iterable[Value | None]) -> tuple[tuple[str, ...], ...]:
    result, known = [], set[str]()
    for tier in tiers:
        urls = [url for url in _usable_urls(_listed(tier), TRACKER_SCHEMES) if url not in known]
        urls = urls[: TRACKER_LIMIT - len(known)]
        known.update(urls)
        if urls:
            result.append(tuple(urls))
    return tuple(result)


def _usable_urls(values: Iterable[Value], schemes: Collection[str]) -> list[str]:
    """Keep the usable ones in order, each once."""
    texts = (value.decode("utf-8", "replace") for value in values if isinstance(value, bytes))
    return list(dict.fromkeys(url for text in texts if (url := usable_url(text, schemes))))


def _listed(value: Value | None) -> list[Value]:
    """See a lone string as a list of one: some programs write tiers so too."""
    if isinstance(value, bytes):
        return [value]
    return value if isinstance(value, list) else []
