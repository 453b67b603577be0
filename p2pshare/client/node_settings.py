"""What can be set about the control port of a peer, and about the folder that it shares."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from p2pshare.addresses import is_numeric, parse_address
from p2pshare.rates import parse_duration, parse_size
from p2pshare.settings import PARSE, between
from p2pshare.web.access_settings import AccessSettings

CONTROL_PORT = 8081
DOWNLOAD_PORT = 9001

_DAY = 86400
_TIME: dict[str, Any] = {PARSE: parse_duration}


def _is_place(instance: Any, attribute: Attribute[Any], value: str | None) -> None:
    if value is not None:
        parse_address(value, default_port=0)


def _is_ours(instance: Any, attribute: Attribute[Any], value: str | None) -> None:
    if value not in (None, "localhost") and not is_numeric(value):
        raise ValueError(f'is "{value}": expected an IP address of this machine, 0.0.0.0 for all of them')


@frozen
class ControlSettings(AccessSettings):
    """Where a peer is looked at and told what to do, over HTTP, and by whom."""

    enabled: bool = False  # a peer that shares a folder has a control port in any case
    port: int | None = field(default=None, validator=between(0, 65535))  # None: 8081, or any free one
    bind: str = field(default="127.0.0.1", validator=_is_ours)


@frozen
class ShareSettings:
    """A folder whose files everybody may have, and the index that is told of them."""

    folder: str | None = None
    index: str | None = None  # its URL; None: nobody is told
    index_token: str | None = field(default=None, repr=False)  # for an index that asks for one
    region: str = ""
    rescan: float = field(default=30.0, validator=between(1, _DAY), metadata=_TIME)
    heartbeat: float = field(default=30.0, validator=between(1, _DAY), metadata=_TIME)
    retry: float = field(default=10.0, validator=between(1, _DAY), metadata=_TIME)  # while the index is away
    max_file_size: int = field(default=100 * 1024**2, validator=between(1, 1024**5), metadata={PARSE: parse_size})
    # Where the index sends people who want a file over HTTP. Our own downloads port is opened only where the control
    # port can be reached from this machine alone, and the index is on another.
    address: str | None = field(default=None, validator=_is_place)  # host, or host:port; None: as the index sees us
    port: int | None = field(default=None, validator=between(0, 65535))  # None: 9001, or any free one
    bind: str | None = field(default=None, validator=_is_ours)  # None: all addresses
