"""The index beside a tracker: its catalogue, its faces, and what was uploaded to it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from p2pshare import __version__
from p2pshare.addresses import Address
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.access import Key
from p2pshare.daemons.content_server import SessionContentServer, reachable_host
from p2pshare.daemons.service_settings import ServiceSettings
from p2pshare.faces.banner import banner_views
from p2pshare.faces.dashboard import dashboard_pages
from p2pshare.faces.figures import LiveCollector, TrackerCollector
from p2pshare.faces.json_announce import with_json
from p2pshare.faces.news import News
from p2pshare.faces.own_files import OwnFiles
from p2pshare.faces.rest_tracker import FORMS, rest_tracker_routes
from p2pshare.faces.rest_tracker_record import RecordedSwarms
from p2pshare.faces.superpeer import routes as superpeer_routes
from p2pshare.faces.superpeer_files import tell_file
from p2pshare.faces.superpeer_liveness import Liveness
from p2pshare.faces.superpeer_stats import network_stats
from p2pshare.faces.swarm_history import SwarmHistory
from p2pshare.faces.text_tracker import TextSwarms, TextTracker
from p2pshare.faces.uploading import OWNER, Labels, Uploads
from p2pshare.index.catalogue import Catalogue, open_catalogue
from p2pshare.index.memberships import Pace
from p2pshare.index.records import ContentKey, Scheme, Torrent
from p2pshare.index.sqlite import IN_MEMORY
from p2pshare.labels import category_of, tags_of
from p2pshare.tracker.http import KeyedViews
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.web.dispatch import Dispatcher
from p2pshare.web.docs import docs_views
from p2pshare.web.guard import Guard
from p2pshare.web.health import health_views
from p2pshare.web.limits import LimitedSite
from p2pshare.web.metrics import Requests, make_registry, metrics_view
from p2pshare.web.openapi import describe
from p2pshare.web.paths import Access, View
from p2pshare.web.routes import Route, RouteTable
from p2pshare.web.spawn import Background

_DATABASE, _UPLOADS, _RESUME = "index.db", "uploads", "resume"
_ABOUT = "A BitTorrent tracker with a searchable index of what its peers share."


class IndexService(Service):
    """
    Puts an index behind the site of a tracker. Started, it opens the database; stopped, it has written everything.

    A service is made before its process goes into the background, and threads do not survive that: so all of it comes
    into being at the start.
    """

    log = Logger()

    def __init__(
        self,
        settings: ServiceSettings,
        folder: Path | None,
        key: Key,
        site: LimitedSite,
        tracker: Tracker,
        store: MemorySwarms,
        tracker_views: Mapping[bytes, View],
        reactor: Any,
        run: Callable[..., Deferred[Any]],
        monotonic: Callable[[], float],
    ) -> None:
        """
        Keep what the parts are made of.

        :param folder: the state folder; None: nothing is kept.
        :param tracker_views: announce and scrape.
        """
        self._settings = settings
        self._folder = folder
        self._key = key
        self._site = site
        self._tracker = tracker
        self._store = store
        self._tracker_views = tracker_views
        self._reactor = reactor
        self._run = run
        self._monotonic = monotonic
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._parts: list[Sequence[Service]] = []  # stopped group by group, the last first
        self._background = Background()

    def startService(self) -> None:
        """
        Open the catalogue and serve.

        :raise P2PShareError: the database or the folder of uploads cannot be used.
        """
        super().startService()
        settings, reactor = self._settings.index, self._reactor
        database = settings.db or (IN_MEMORY if self._folder is None else str(self._folder / _DATABASE))
        pace = Pace(interval=settings.write_interval)
        catalogue = open_catalogue(database, reactor, time.time, Random(), pace=pace)
        self._begin(catalogue)
        recorded = RecordedSwarms(self._store, catalogue.memberships, time.time)
        self._tracker.use(recorded)
        limits = self._site.limits = evolve(self._site.limits, upload_bytes=settings.max_upload)
        hits = self._site.hits
        news = News(partial(network_stats, catalogue, time.time), limits, reactor, time.time, hits)
        history = SwarmHistory(self._store, catalogue.torrents, news, reactor)
        liveness = Liveness(catalogue.nodes, news, reactor, silence=settings.node_timeout)
        uploads = self._make_uploads(catalogue, recorded, news)
        self._begin(news, history, liveness)
        own_files = OwnFiles(uploads.find, self._run, reactor, limits.file_stall, hits)
        routes = [
            *superpeer_routes(catalogue, news, history, time.time, own=OWNER),
            *rest_tracker_routes(catalogue, self._tracker, self._settings, uploads),
            *own_files.routes(),
        ]
        self._serve(routes, news)

    def stopService(self) -> Deferred[None]:
        """Fire when everything is written and closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._background.stop()
        for group in reversed(self._parts):
            for part in group:
                await maybeDeferred(part.stopService)
        if self._temporary is not None:
            self._temporary.cleanup()

    def _begin(self, *parts: Service) -> None:
        self._parts.append(parts)
        for part in parts:
            part.startService()

    def _make_uploads(self, catalogue: Catalogue, swarms: RecordedSwarms, news: News) -> Uploads:
        settings, reactor = self._settings, self._reactor
        folder = self._folder
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="p2pshare-")
            folder = Path(self._temporary.name)
        place = Path(settings.index.uploads or folder / _UPLOADS)
        bound = None if settings.bind in ("0.0.0.0", "::") else settings.bind
        peer = PeerSettings(port=settings.index.seed_port, bind=bound)
        session = Session(reactor, peer, Random(), resume=folder / _RESUME)
        host = partial(reachable_host, bound)
        server = SessionContentServer(session, swarms, settings.interval, host, self._monotonic)

        def entered(torrent: Torrent) -> None:
            key = ContentKey(Scheme.BTIH, torrent.info_hash)
            self._background.spawn(tell_file(catalogue.shares, news, key, OWNER), "news of an upload")

        uploads = Uploads(
            place,
            catalogue,
            server,
            self._run,
            labels=lambda name: Labels(category_of(name), tags_of(name)),
            peer_address=lambda: str(Address(host(), self._settings.port)),
            entered=entered,
        )
        self._begin(session)
        self._begin(uploads)
        return uploads

    def _serve(self, routes: Sequence[Route], news: News) -> None:
        settings, site, hits = self._settings, self._site, self._site.hits
        guard = Guard(
            self._reactor.seconds, site.limits, settings.web.hosts, settings.web.origins, self._key.token, hits
        )
        reading = Access.TOKEN if settings.private else Access.SAME
        table = RouteTable([_at_least(route, reading) for route in routes])
        registry = make_registry(hits)
        registry.register(TrackerCollector(self._tracker, self._store))
        registry.register(LiveCollector({"websocket": lambda: len(news.hub), "events": lambda: len(news.feed)}))
        text = TextTracker(TextSwarms(self._monotonic))
        pages = dashboard_pages(reading)
        health = health_views({"index": lambda: self.running == 1})
        views = {
            **with_json(self._tracker_views),  # what else is among them is served by the index, below
            **text.views(),
            **banner_views(text.peers, pages.index, guard),
            **pages.parts,
            **news.views(reading),
            **docs_views(describe(table, "p2pshare", __version__, _ABOUT), reading),
            **health,
            b"/health_check": health[b"/health"],
            b"/metrics": metrics_view(registry),
        }
        dispatcher = Dispatcher(
            table,
            KeyedViews(views) if settings.private else views,
            guard,
            site.limits,
            self._reactor,
            hits,
            FORMS,
            Requests(registry).observe,
        )
        site.resource, site.bodies = dispatcher, dispatcher


def _at_least(route: Route, access: Access) -> Route:
    """Close a route to whoever has no token, where even reading takes one."""
    return evolve(route, access=access) if access is Access.TOKEN else route
