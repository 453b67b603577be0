"""``p2pshare scrape``: ask the trackers of a torrent how many peers they know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import click
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults

from p2pshare.cli.exits import JSON
from p2pshare.cli.options import Tiers, effective_trackers, examples, json_option, trackers_option
from p2pshare.cli.running import run
from p2pshare.cli.terminal import printable, write_json
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.discovery.tracker_clients import tracker_clients
from p2pshare.errors import TrackerError, TrackerFailure, TrackerUnreachable
from p2pshare.wire.announce import ScrapeCounts


class Tracker(Protocol):
    """What is asked."""

    def scrape(self, hashes: Iterable[bytes]) -> Deferred[Mapping[bytes, ScrapeCounts]]: ...


@frozen
class Answer:
    """What one tracker said: counts, or nothing as it does not know the torrent, or why there was no answer."""

    url: str
    counts: ScrapeCounts | None = None
    error: str | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.url}: {self.error}"
        if self.counts is None:
            return f"{self.url}: does not know this torrent"
        return (
            f"{self.url}: seeds {self.counts.complete}, leeches {self.counts.incomplete},"
            f" downloads {self.counts.downloaded}"
        )

    def as_object(self) -> dict[str, object]:
        """Put it into an object for programs."""
        if self.counts is None:
            return {"url": self.url, "error": self.error or "does not know this torrent"}
        counts = self.counts
        return {
            "url": self.url,
            "seeds": counts.complete,
            "leeches": counts.incomplete,
            "downloads": counts.downloaded,
        }


@click.command(
    "scrape",
    short_help="Ask trackers how many peers they know.",
    epilog=examples("p2pshare scrape big.iso.torrent", "p2pshare scrape big.iso.torrent --json"),
)
@click.argument("file", metavar="FILE")
@trackers_option()
@json_option("Print one JSON object with the answers of all trackers.")
@click.pass_context
def command(ctx: click.Context, file: str, trackers: Tiers, as_json: bool) -> None:
    """
    Ask every tracker of the torrent FILE how many seeds and leeches it knows (BEP 48, BEP 15).

    With -t, those trackers are asked instead. Exits with 4 if none of them answers.
    """
    metainfo = read_torrent(file)
    tiers = trackers or metainfo.announce_tiers or effective_trackers(ctx, ())
    urls = [url for tier in tiers for url in tier]
    if not urls:
        raise TrackerUnreachable(f"{file}: names no tracker; name one with -t URL")

    async def ask(reactor: Any) -> list[Answer]:
        make_tracker = tracker_clients(reactor)
        try:
            return await ask_all(urls, metainfo.info_hash, make_tracker)
        finally:
            await make_tracker.close()

    answers = run(ask)
    if as_json:
        about = {"name": metainfo.name, "info_hash": metainfo.info_hash.hex()}
        write_json({**about, "trackers": [answer.as_object() for answer in answers]})
        ctx.meta[JSON] = False  # this was the one object
    else:
        for answer in answers:
            click.echo(printable(str(answer)))
    if all(answer.error is not None for answer in answers):
        raise TrackerUnreachable(f"{metainfo.name}: no tracker answered")


def ask_all(
    urls: Sequence[str], info_hash: bytes, make_tracker: Callable[[str], Tracker | None]
) -> Deferred[list[Answer]]:
    """Ask all trackers at the same time; fires with their answers, in the order of ``urls``, and never fails."""

    async def ask(url: str) -> Answer:
        tracker = make_tracker(url)
        if tracker is None:
            return Answer(url, error="cannot be asked: an http, https or udp URL is expected")
        try:
            counts = await tracker.scrape([info_hash])
        except TrackerFailure as error:
            return Answer(url, error=f"refused: {error.reason}")
        except TrackerError as error:
            return Answer(url, error=f"no answer: {_without_url(str(error))}")
        return Answer(url, counts.get(info_hash))

    return gatherResults([Deferred.fromCoroutine(ask(url)) for url in urls], consumeErrors=True)


def _without_url(message: str) -> str:
    """Leave out the URL that a message begins with: it was derived from the one we name."""
    url, colon, rest = message.partition(": ")
    return rest if colon and "://" in url else message
