"""What can be set about who may come in to a service over HTTP."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

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
