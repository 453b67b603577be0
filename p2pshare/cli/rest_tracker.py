"""Trackers that are named by their REST face, ``http://HOST:PORT/api/tracker``, as well as by their announce URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.options import Tiers
from p2pshare.errors import IndexRefused
from p2pshare.metainfo import Metainfo, dump

PATH = "/api/tracker"


def is_rest(url: str) -> bool:
    """Whether a URL names a tracker by its REST face."""
    return url.lower().startswith(("http://", "https://")) and urlsplit(url).path.rstrip("/") == PATH


def announce_url(url: str) -> str:
    """Give the announce URL of the service that a URL names; one that is none of REST is that already."""
    return urlsplit(url)._replace(path="/announce").geturl() if is_rest(url) else url


def announced(tiers: Tiers) -> Tiers:
    """Give the announce URLs of some trackers."""
    return tuple(tuple(map(announce_url, tier)) for tier in tiers)


def with_announce_urls(content: Metainfo) -> Metainfo:
    """Let a torrent name announce URLs."""
    tiers = announced(content.announce_tiers)
    return content if tiers == content.announce_tiers else evolve(content, announce_tiers=tiers)


def faces(tiers: Tiers) -> list[str]:
    """List the REST faces among some trackers, as scheme and host."""
    named = [urlsplit(url) for tier in tiers for url in tier if is_rest(url)]
    return list(dict.fromkeys(f"{parts.scheme}://{parts.netloc}" for parts in named))


def enter(bases: Sequence[str], content: Metainfo) -> None:
    """
    Enter a torrent at each of these services. Runs the reactor; once in a process.

    :raise Ended: see :func:`upload`.
    """
    from p2pshare.cli.running import run  # late: most torrents are made without any network

    run(lambda reactor: upload(reactor, bases, content))


async def upload(reactor: Any, bases: Sequence[str], content: Metainfo) -> None:
    """
    Enter a torrent at each of these services.

    :raise Ended: one does not answer, or does not take it.
    """
    from p2pshare.cli.sending import TORRENT, Parcel, send  # late as well

    parcel = Parcel(TORRENT, dump(content))
    for base in bases:
        try:
            await send(reactor, base, "PUT", f"{PATH}/torrents/{content.info_hash.hex()}", parcel)
        except IndexRefused as error:
            raise Ended(f"{base}: does not take the torrent: {error}", ExitCode.ERROR) from error
