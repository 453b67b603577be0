"""``p2pshare get``: fetch a content by whatever it is known as, over BitTorrent or from its owner."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import click
from attrs import define, evolve, field
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from p2pshare.addresses import Address
from p2pshare.cli.asking import Service, answered, chosen_index, index_option
from p2pshare.cli.attempt import NobodyThere, attempt
from p2pshare.cli.download_options import download_options
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.file_agent import file_agent
from p2pshare.cli.foreign_torrent import without_ways_home
from p2pshare.cli.found import FoundFile
from p2pshare.cli.leaving import STOP_WITHIN, leave_within
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.options import Tiers, examples, json_option, quiet_option
from p2pshare.cli.owner_download import HTTPSnapshot, OwnerDownload
from p2pshare.cli.part_file import PartFile, sha256_of
from p2pshare.cli.peer_options import open_session, peer_options, tell_about, with_trackers
from p2pshare.cli.progress import Mode, Progress, make_progress, mode
from p2pshare.cli.rest_tracker import with_announce_urls
from p2pshare.cli.running import run
from p2pshare.cli.sending import own_token
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.cli.transfer import Terms
from p2pshare.cli.wanted import SHA256, find
from p2pshare.client.goal import SeedGoal
from p2pshare.daemons.clock import make_monotonic
from p2pshare.discovery.fetch import fetch, shown
from p2pshare.errors import MetainfoError, StorageError
from p2pshare.json_torrent import read_torrent as parse_torrent
from p2pshare.metainfo import SIZE_LIMIT, Metainfo
from p2pshare.paths import safe_component

PATIENCE = 3.0  # s without any peer, where the file can be had over HTTP as well
_FOR_EVER = 10 * 86400.0  # s: for timers, which want a number
_HTTP_OK = 200
_PATHS = ("/", "./", "../", "~/")
_LINK = re.compile(r"(https?://[^/?#]+)/(?:api/v1/)?download/([^/?#]+)", re.IGNORECASE)


@click.command(
    "get",
    short_help="Fetch a file by its name, id or hash, or by a torrent.",
    epilog=examples(
        "p2pshare get song.mp3 --index http://10.0.0.1:8000",
        "p2pshare get 3f2a9c0d1e4b5a67 -o ~/Downloads",
        "p2pshare get e1bc3ba85b832a12e5537300fa1def22727f330e",
        "p2pshare get http://example.org/disk.img.torrent",
        "p2pshare get ./disk.img.torrent --seed-until ratio=1",
    ),
)
@click.argument("wanted", metavar="ID|NAME|HASH|TORRENT|URL")
@index_option
@download_options
@peer_options
@json_option("Write progress as JSON lines.")
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    wanted: str,
    folder: str,
    index: str | None,
    peers: tuple[Address, ...],
    goal: SeedGoal,
    timeout: float,
    trackers: Tiers,
    port: int | None,
    bind: str | None,
    limit_up: int | None,
    limit_down: int | None,
    picker: str | None,
    choker: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Fetch what is known at an index by an id, an info hash, a SHA-256 or its exact name, or a torrent by its file or
    URL. A link to a file of an index does, too.

    Whatever has a torrent comes from its swarm. Where there is none, or nobody is there, the file comes over HTTP from
    an owner that the index names; an interrupted download goes on where it was. Nothing gets its name before it is
    verified.

    Exit codes: 1 when there is no such thing, 2 when a name means several, 3 and 4 when nothing comes, 6 when what
    comes is not what the index says.
    """
    given = read_torrent(wanted) if _is_path(wanted) else None
    show_warnings()
    make_monotonic(installed)
    place = {"port": port, "bind": bind, "limit_up": limit_up, "limit_down": limit_down}
    fetching = Fetching(
        ctx,
        Path(folder),
        peers,
        Terms("", goal, timeout or None),
        trackers,
        {**place, "picker": picker, "choker": choker},
        mode(as_json, quiet),
    )
    if given is not None:
        content = given
        _run(lambda reactor: fetching.from_swarm(reactor, content, None))
    elif (link := _link(wanted)) is not None:
        base, file_id = chosen_index(ctx, link[0], trackers), link[1]
        _run(lambda reactor: answered(reactor, base, lambda service: fetching.from_index(reactor, service, file_id)))
    elif _is_url(wanted):
        _run(lambda reactor: fetching.from_url(reactor, wanted))
    else:
        base = chosen_index(ctx, index, trackers)
        _run(lambda reactor: answered(reactor, base, lambda service: fetching.from_index(reactor, service, wanted)))


def _run(task: Callable[[Any], Coroutine[Deferred[Any], Any, None]]) -> None:
    """Run it; when it is over, the process ends though a thread may hang."""
    try:
        run(task)
    except Exception as error:
        leave_within(STOP_WITHIN, error)
        raise
    leave_within(STOP_WITHIN, None)


def _is_url(wanted: str) -> bool:
    return wanted.lower().startswith(("http://", "https://"))


def _is_path(wanted: str) -> bool:
    """Whether a torrent file is meant; what merely has the name of a content in the index is none."""
    if _is_url(wanted):
        return False
    if wanted.endswith(".torrent"):
        return os.sep in wanted or os.path.isfile(wanted)
    # A name of the index may have slashes, too; a folder of ours says that a file in it is meant.
    return wanted.startswith(_PATHS) or (os.sep in wanted and os.path.isdir(os.path.dirname(wanted)))


def _link(url: str) -> tuple[str, str] | None:
    """Read a link to a file of an index: gives the index, and the file's id; None: it is another URL."""
    match = _LINK.fullmatch(url)
    return None if match is None else (match[1], unquote(match[2]))


@define(eq=False)
class Fetching:
    """One content on its way, by the ways there are."""

    _ctx: click.Context
    _folder: Path
    _peers: tuple[Address, ...]
    _terms: Terms  # but for the path
    _trackers: Tiers
    _options: dict[str, Any]  # of the session
    _mode: Mode
    _patience: float = field(default=PATIENCE, kw_only=True)

    async def from_index(self, reactor: Any, index: Service, text: str) -> None:
        """Find it, then fetch it: from its swarm, or else from an owner."""
        wanted = await find(index, text)
        file = wanted.file
        can_be_sent = file is not None and SHA256.fullmatch(file.hash) is not None
        if wanted.torrent is not None:
            torrent = await without_ways_home(reactor, index.base, wanted.torrent)
            try:
                await self.from_swarm(reactor, torrent, self._patience if can_be_sent else None)
                return
            except NobodyThere:
                if can_be_sent:
                    notes(self._mode)("nobody in its swarm: asking an owner over HTTP")
        if file is None or not can_be_sent:
            raise Ended(f"{text}: the index knows neither a torrent of it nor its SHA-256", ExitCode.NOBODY_FOUND)
        await self.from_owner(reactor, index.base, file)

    async def from_url(self, reactor: Any, url: str) -> None:
        """Fetch a torrent file, then what it describes."""
        fetching = Deferred.fromCoroutine(fetch(file_agent(reactor, SIZE_LIMIT), url, SIZE_LIMIT))
        page = await fetching.addTimeout(
            self._terms.timeout or _FOR_EVER, reactor, lambda _, time: _too_slow(url, time)
        )
        if page.status != _HTTP_OK:
            raise Ended(f"{shown(page.url)}: {page.status} {page.phrase}", ExitCode.NOBODY_FOUND)
        try:
            content = parse_torrent(page.body)
        except MetainfoError as error:
            raise MetainfoError(f"{shown(url)}: {error}") from error
        await self.from_swarm(reactor, content, None)

    async def from_swarm(self, reactor: Any, content: Metainfo, patience: float | None) -> None:
        """Fetch it over BitTorrent. :raise NobodyThere: nobody was, for so long."""
        content = with_announce_urls(with_trackers(self._ctx, content, self._trackers))
        if patience is not None and not content.announce_tiers and not self._peers:
            raise NobodyThere
        session = open_session(reactor, **self._options)
        tell_about(self._ctx, content, session.port)
        swarm = session.add(content, self._folder, peers=self._peers)
        terms = evolve(self._terms, path=str(self._folder / content.name))
        await attempt(reactor, session, swarm, terms, make_progress(self._mode), notes(self._mode), patience)

    async def from_owner(self, reactor: Any, base: str, file: FoundFile) -> None:
        """Fetch it over HTTP."""
        name = safe_component(file.filename.rpartition("/")[2].encode("utf-8", "surrogateescape"))
        target = self._folder / name
        progress = make_progress(self._mode)
        try:
            if os.path.lexists(target):
                if not target.is_file() or sha256_of(target) != file.hash.lower():
                    raise StorageError(f"{target}: exists and is something else; name another folder with -o")
                progress.complete(HTTPSnapshot(name, file.size, file.size, 0.0))
            else:
                progress.complete(await self._download(reactor, base, file, target, progress))
        finally:
            progress.close()
        notes(self._mode)(f"Complete: {target}")

    async def _download(
        self, reactor: Any, base: str, file: FoundFile, target: Path, progress: Progress
    ) -> HTTPSnapshot:
        with PartFile(target, file.size, file.hash.lower()) as part:
            download = OwnerDownload(
                file_agent(reactor, file.size),
                reactor,
                part,
                progress.show,
                self._terms.timeout or _FOR_EVER,
                own_token(),
                self._options["limit_down"],
            )
            await download.run(f"{base}/download/{quote(file.id, safe='')}")
            return download.snapshot()


def _too_slow(url: str, seconds: float) -> NoReturn:
    raise Ended(f"{shown(url)}: no complete answer within {seconds:g} s", ExitCode.NOBODY_FOUND)
