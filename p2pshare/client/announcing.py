"""Join a swarm to its trackers: what we report, and where the addresses they name go."""

from __future__ import annotations

from attrs import define, field

from p2pshare.client.session import Session
from p2pshare.discovery.announce_timing import AnnouncerSettings
from p2pshare.discovery.announcer import Announcer
from p2pshare.discovery.tracker_clients import TrackerClients, tracker_clients
from p2pshare.swarm.swarm import Swarm
from p2pshare.wire.announce import AnnounceRequest

JITTER = 0.1  # of each interval, so that a fleet started together does not announce together for ever


@define(eq=False)
class TrackerDiscovery:
    """Gives every swarm of one session an Announcer; all share connections and sockets."""

    _session: Session
    _trackers: TrackerClients = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._trackers = tracker_clients(self._session.reactor, bind_address=self._session.settings.bind)
        self._session.on_stopped.append(self._trackers.close)

    def __call__(self, swarm: Swarm) -> Announcer:
        """Make the announcer of one swarm; the swarm starts and stops it."""
        session = self._session
        settings = session.settings

        def describe() -> AnnounceRequest:
            content, store = swarm.content, swarm.store
            return AnnounceRequest(
                info_hash=content.info_hash,
                peer_id=session.peer_id,
                port=session.port,
                uploaded=swarm.up.total,
                downloaded=swarm.down.total,
                left=content.total_length - store.verified_bytes,
                hostname=settings.hostname,
            )

        return Announcer(
            swarm.content.announce_tiers,
            self._trackers,
            session.reactor,
            session.random,
            describe,
            lambda addresses: swarm.meeting.heard(addresses, "tracker"),
            settings=AnnouncerSettings(
                min_interval=settings.min_interval,
                jitter=JITTER if settings.jitter else 0.0,
                names=settings.names,
            ),
        )
