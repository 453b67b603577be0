"""What can be set about a tracker: the keys of conf/tracker.toml with their defaults and ranges."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, Factory, field, frozen

from p2pshare.addresses import is_numeric
from p2pshare.rates import parse_duration
from p2pshare.settings import PARSE, are_networks, between, one_of
from p2pshare.web.limits import WebLimits

SECTION = "tracker"  # of the settings file

_DAY = 86400
_TIME: dict[str, Any] = {PARSE: parse_duration}
_BODY = 65536  # bytes; no announce has one, but whoever posts one shall learn that by the status 405
_COUNT = between(1, 10_000_000)


def _is_address(instance: Any, attribute: Attribute[Any], value: str) -> None:
    if not is_numeric(value):
        raise ValueError(f'is "{value}": expected an IP address of this machine, "0.0.0.0" or "::" for all')


@frozen
class TrackerLimits:
    """How much of the tracker one address, one torrent or everybody may use. ``exempt`` networks are not counted."""

    exempt: tuple[str, ...] = field(default=("private",), validator=are_networks)
    announces_per_second: float = field(default=20.0, validator=between(0.01, 1e6))
    announce_burst: int = field(default=100, validator=_COUNT)
    announce_gap: float = field(default=30.0, validator=between(0, _DAY), metadata=_TIME)  # of one peer, without event
    new_torrents_per_hour: int = field(default=1000, validator=_COUNT)
    peers_per_address: int = field(default=32, validator=_COUNT)  # in one swarm
    peers_per_torrent: int = field(default=1_000_000, validator=_COUNT)
    torrents: int = field(default=1_000_000, validator=_COUNT)
    scrape: int = field(default=70, validator=between(1, 70))  # torrents in one scrape; BEP 15: one datagram
    full_scrape: int = field(default=2000, validator=between(1, 100_000))  # a blocking answer: 5 ms for 2000
    connections: int = field(default=4000, validator=_COUNT)
    connections_per_address: int = field(default=64, validator=_COUNT)
    header_deadline: float = field(default=10.0, validator=between(0.1, 3600), metadata=_TIME)
    idle: float = field(default=60.0, validator=between(0.1, _DAY), metadata=_TIME)

    def web(self) -> WebLimits:
        """Give the site its share."""
        return WebLimits(
            connections=self.connections,
            connections_per_address=self.connections_per_address,
            header_deadline=self.header_deadline,
            idle=self.idle,
            body_bytes=_BODY,
        )


@frozen
class TrackerSettings:
    """One tracker. Times are seconds; in a file they may also be texts such as "30m"."""

    bind: str = field(default="127.0.0.1", validator=_is_address)
    port: int = field(default=8000, validator=between(0, 65535))  # 0: any free one
    udp: bool = True  # on the same port number
    interval: int = field(default=1800, validator=between(1, _DAY))
    min_interval: int = field(default=60, validator=between(1, _DAY))
    peer_timeout: float | None = field(
        default=None, validator=between(1, 7 * _DAY), metadata=_TIME
    )  # None: 2 intervals
    numwant: int = field(default=50, validator=between(0, 1000))  # as BEP 3, chihaya
    max_numwant: int = field(default=100, validator=between(0, 1000))
    error_status: int = field(default=200, validator=one_of(200, 400))
    full_scrape: bool = False
    private: bool = False
    passkey_file: str | None = None  # for both of these: used if private
    torrent_file: str | None = None
    claims: tuple[str, ...] = field(default=("private",), validator=are_networks)
    proxies: tuple[str, ...] = field(default=(), validator=are_networks)
    save_interval: float = field(default=60.0, validator=between(0.1, _DAY), metadata=_TIME)
    state_dir: str | None = None
    access_log: str | None = None
    limits: TrackerLimits = Factory(TrackerLimits)

    @property
    def expiry(self) -> float:
        """How long a silent peer stays."""
        return 2.0 * self.interval if self.peer_timeout is None else self.peer_timeout

    @property
    def told_min_interval(self) -> int:
        """The shortest time between announces that replies name: never above the interval."""
        return min(self.min_interval, self.interval)
