"""What can be set about the tracker service: the tracker's own keys, those of its index, and who may come in."""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen

from p2pshare.rates import parse_duration, parse_size
from p2pshare.settings import PARSE, between
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.web.access_settings import AccessSettings

_DAY = 86400
_TIME: dict[str, Any] = {PARSE: parse_duration}
_SIZE: dict[str, Any] = {PARSE: parse_size}


@frozen
class IndexSettings:
    """The index: what is shared, by whom, and what is uploaded here."""

    enabled: bool = True
    db: str | None = None  # a file, or ":memory:"; None: in the state folder
    uploads: str | None = None  # folder; None: in the state folder
    max_upload: int = field(default=2 * 1024**3, validator=between(1, 1024**5), metadata=_SIZE)
    seed_port: int = field(default=0, validator=between(0, 65535))  # 0: any free one
    write_interval: float = field(default=10.0, validator=between(0.1, 3600), metadata=_TIME)  # of memberships
    node_timeout: float = field(default=120.0, validator=between(1, _DAY), metadata=_TIME)  # without a heartbeat


@frozen
class ServiceSettings(TrackerSettings):
    """All of conf/tracker.toml."""

    index: IndexSettings = Factory(IndexSettings)
    web: AccessSettings = Factory(AccessSettings)
