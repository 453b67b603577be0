"""Torrents that a stranger's index gave us: they must not lead into the user's own network."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from attrs import evolve
from twisted.internet.error import DNSLookupError

from p2pshare.addresses import is_numeric
from p2pshare.discovery.address_policy import Zone, zone_of
from p2pshare.metainfo import Metainfo

_LOOK_UP_WITHIN = (1, 3)  # s, as IReactorCore.resolve has it


async def without_ways_home(reactor: Any, index: str, content: Metainfo) -> Metainfo:
    """
    Leave out the trackers and web seeds at loopback and private addresses, if the index is at a public one.

    An index in the user's own network is the user's own choice, and so are the addresses it names.
    """
    if await _zone(reactor, urlsplit(index).hostname or "") is Zone.LOCAL:
        return content
    tiers = (tuple(url for url in tier if not _leads_home(url)) for tier in content.announce_tiers)
    return evolve(
        content,
        announce_tiers=tuple(tier for tier in tiers if tier),
        web_seeds=tuple(url for url in content.web_seeds if not _leads_home(url)),
    )


async def _zone(reactor: Any, host: str) -> Zone:
    if is_numeric(host):
        return zone_of(host)
    try:
        return zone_of(await reactor.resolve(host, _LOOK_UP_WITHIN))
    except DNSLookupError:  # we have just talked to it: it has addresses of another kind, or none any more
        return Zone.PUBLIC


def _leads_home(url: str) -> bool:
    """Whether a URL names an address or a host of the user's own network; a name is believed to be a public one."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if is_numeric(host):
        return zone_of(host) is Zone.LOCAL
    return host == "localhost" or host.endswith((".localhost", ".local"))
