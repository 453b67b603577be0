"""The REST tracker: uploads, torrents, announces, users and figures in JSON, below ``/api/tracker``."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from p2pshare.errors import RequestRefused
from p2pshare.faces.rest_schemas import StatsResponse, UserCreate, UserResponse
from p2pshare.faces.rest_tracker_announces import Announces
from p2pshare.faces.rest_tracker_asking import GROUP, PREFIX, told
from p2pshare.faces.rest_tracker_torrents import TorrentRoutes, announce_url
from p2pshare.faces.uploading import Uploads
from p2pshare.index.catalogue import Catalogue
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, ErrorForm, Refused
from p2pshare.web.routes import Call, Route

FORMS: dict[bytes, ErrorForm] = {f"{PREFIX}/".encode(): DETAIL}  # for a Dispatcher: of what has no route here


def rest_tracker_routes(
    catalogue: Catalogue,
    tracker: Tracker,
    settings: TrackerSettings,
    uploads: Uploads | None = None,
    announce_at: Callable[[str], str] = announce_url,
) -> list[Route]:
    """
    Give the rows of this face.

    :param tracker: over RecordedSwarms, so that the catalogue hears of every announce.
    :param uploads: None: nothing can be uploaded.
    :param announce_at: gives the announce URL for those who call us by some ``host:port``.
    """
    people = People(catalogue)
    return [
        *TorrentRoutes(catalogue, uploads, announce_at).routes(),
        *Announces(catalogue, tracker, settings.interval).routes(),
        Route(
            "POST",
            f"{PREFIX}/users",
            people.add,
            "Take a user name",
            Access.TOKEN,
            DETAIL,
            body=UserCreate,
            reply=UserResponse,
            refusals={400: "The name is taken, or none"},
            group=GROUP,
        ),
        Route(
            "GET",
            f"{PREFIX}/users/{{peer_id}}",
            people.get,
            "Look a user up",
            Access.SAME,
            DETAIL,
            reply=UserResponse,
            refusals={404: "Nobody has that peer_id"},
            group=GROUP,
        ),
        Route(
            "GET",
            f"{PREFIX}/stats",
            people.count,
            "How the tracker stands",
            Access.SAME,
            DETAIL,
            reply=StatsResponse,
            group=GROUP,
        ),
    ]


@define(eq=False)
class People:
    """Users, and figures."""

    _catalogue: Catalogue

    async def add(self, call: Call[None, UserCreate]) -> UserResponse:
        """The peer_id that comes with a name is made here."""
        try:
            return UserResponse.of(await told(self._catalogue.users.add(call.body.username)))
        except Refused:
            raise
        except RequestRefused as refusal:
            raise Refused(400, str(refusal)) from None

    async def get(self, call: Call[None, None]) -> UserResponse:
        """By the peer_id that came with the name."""
        user = await told(self._catalogue.users.get(call.params["peer_id"]))
        if user is None:
            raise Refused(404, "User not found")
        return UserResponse.of(user)

    async def count(self, call: Call[None, None]) -> StatsResponse:
        """Peers are counted once for each swarm they are in."""
        return StatsResponse.of(await told(self._catalogue.tracker_figures()))
