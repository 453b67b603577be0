"""What can be set about the tracker service: the tracker's own keys, those of its index, and who may come in."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, Factory, field, frozen

from p2pshare.rates import parse_duration, parse_size
from p2pshare.settings import PARSE, between
from p2pshare.tracker.settings import TrackerSettings

_DAY = 86400
_TIME: dict[str, Any] = {PARSE: parse_duration}
_SIZE: dict[str, Any] = {PARSE: parse_size}
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]{1,260}/?")


def _are_hosts(instance: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for host in value:
        if _HOST.fullmatch(host) is None:
            raise ValueError(f'holds "{host}": expected names such as "tracker.example.org", without a port')


def _are_origins(instance: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for origin in value:
        if _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f'holds "{origin}": expected such as "https://example.org"')


@frozen
class AccessSettings:
    """
    Who may do what over HTTP.

    Announces, scrapes and reading are open; what writes needs the token, if there is one.
    """

    token: str | None = field(default=None, repr=False)  # None: made when others than this machine can connect
    require_token: bool = False  # refuse to start instead of making one
    hosts: tuple[str, ...] = field(default=(), validator=_are_hosts)  # names of this service, besides addresses
    origins: tuple[str, ...] = field(default=(), validator=_are_origins)  # whose pages may use it


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
