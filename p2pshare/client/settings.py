"""What a peer process can be told: the keys of conf/peer.toml and the options of the command line."""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen

from p2pshare.client.dialect_settings import CourseSettings, TextSettings
from p2pshare.client.functions import found
from p2pshare.client.node_settings import ControlSettings, ShareSettings
from p2pshare.peer.limits import ConnectionLimits
from p2pshare.plugins import find_function
from p2pshare.policy.choker import ChokerSettings
from p2pshare.policy.rankings import RANKINGS
from p2pshare.policy.strategies import STRATEGIES
from p2pshare.rates import parse_duration, parse_size
from p2pshare.settings import PARSE, between, one_of
from p2pshare.swarm.settings import PeerLimits, SwarmSettings

DEFAULT_PORTS = range(6881, 6890)  # BEP 3: 6881 to 6889
SECTION = "peer"  # of the settings file

_MAX_RATE = 1 << 40  # bytes/second
_SIZE: dict[str, Any] = {PARSE: parse_size}
_TIME: dict[str, Any] = {PARSE: parse_duration}


@frozen
class PeerSettings:
    """
    One peer process: its port, its limits, and how its torrents behave.

    Rates are bytes/second, times seconds; in a file both may be texts such as "5M" and "30m". None: no limit.
    """

    port: int | None = field(default=None, validator=between(0, 65535))  # None: 6881-6889, then any; 0: any free one
    bind: str | None = None  # the address to listen on and to dial from, announces included; None: all
    max_connections: int = field(default=200, validator=between(1, 100_000))
    max_connections_per_host: int = field(default=3, validator=between(1, 100_000))  # private networks are exempt
    limit_up: int | None = field(default=None, validator=between(1, _MAX_RATE), metadata=_SIZE)
    limit_down: int | None = field(default=None, validator=between(1, _MAX_RATE), metadata=_SIZE)
    torrent_limit_up: int | None = field(default=None, validator=between(1, _MAX_RATE), metadata=_SIZE)
    torrent_limit_down: int | None = field(default=None, validator=between(1, _MAX_RATE), metadata=_SIZE)

    max_peers: int = field(default=50, validator=between(1, 10_000))  # of one torrent
    upload_slots: int = field(default=4, validator=between(1, 1000))
    optimistic_slots: int = field(default=1, validator=between(0, 1000))
    choke_interval: float = field(default=10.0, validator=between(0.1, 3600), metadata=_TIME)
    optimistic_interval: float = field(default=30.0, validator=between(0.1, 3600), metadata=_TIME)
    picker: str = field(default="rarest", validator=found("picker", STRATEGIES))
    choker: str = field(default="fastest", validator=found("choker", RANKINGS))  # who earns a slot
    pipeline: int | None = field(default=None, validator=between(1, 2000))  # None: tuned from the rate
    request_timeout: float = field(default=60.0, validator=between(1, 3600), metadata=_TIME)
    memory_limit: int = field(default=32 << 20, validator=between(1 << 20, 1 << 36), metadata=_SIZE)

    # What we tell peers we have is on disk. "strict": and safe from a power cut, before they hear of it.
    durability: str = field(default="fast", validator=one_of("fast", "strict"))
    scrub: float = field(default=1.0, validator=between(0, 10_000))  # percent of the pieces a day
    data: str = "."  # the folder where content is, or goes to
    watch: str | None = None  # a folder of torrent files
    watch_interval: float = field(default=5.0, validator=between(0.1, 86400), metadata=_TIME)  # between two looks at it
    state_dir: str | None = None  # None: the user's state folder

    min_interval: float = field(default=60.0, validator=between(1, 86400), metadata=_TIME)
    jitter: bool = True
    names: bool = False  # ask trackers for host names instead of addresses: for container networks
    hostname: str | None = None  # the name to announce ourselves under

    connections: ConnectionLimits = Factory(ConnectionLimits)
    limits: PeerLimits = Factory(PeerLimits)
    control: ControlSettings = Factory(ControlSettings)
    share: ShareSettings = Factory(ShareSettings)
    text: TextSettings = Factory(TextSettings)
    course: CourseSettings = Factory(CourseSettings)

    def swarm(self) -> SwarmSettings:
        """Give each torrent its share of the knobs."""
        return SwarmSettings(
            max_peers=self.max_peers,
            picker=find_function("picker", STRATEGIES, self.picker),
            pipeline=self.pipeline,
            request_timeout=self.request_timeout,
            memory_limit=self.memory_limit,
            choker=ChokerSettings(
                slots=self.upload_slots,
                optimistic_slots=self.optimistic_slots,
                interval=self.choke_interval,
                optimistic_interval=self.optimistic_interval,
                rank=find_function("choker", RANKINGS, self.choker),
            ),
            limits=self.limits,
        )
