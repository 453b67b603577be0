"""What can be set about the other protocols that a peer speaks on its port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

from p2pshare.client.functions import found
from p2pshare.metainfo_links import usable_url
from p2pshare.policy.rankings import RANKINGS
from p2pshare.policy.strategies import STRATEGIES
from p2pshare.rates import parse_duration
from p2pshare.settings import PARSE, between

_TIME: dict[str, Any] = {PARSE: parse_duration}


def _is_tracker(instance: object, attribute: Attribute[str], value: str) -> None:
    if usable_url(value, ("http", "https")) is None:
        raise ValueError(f'is "{value}": expected an address such as "http://localhost:8000"')


@frozen
class TextSettings:
    """Files that are shared in text swarms, on the port of the torrents."""

    seed: tuple[str, ...] = ()
    tracker: str = field(default="http://localhost:8000", validator=_is_tracker)  # of text swarms, for all of them


@frozen
class CourseSettings:
    """The course project's swarm that this peer belongs to."""

    folder: str | None = None  # with Common.cfg and PeerInfo.cfg
    peer_id: int | None = None  # who we are there, by the number in PeerInfo.cfg
    picker: str = field(default="random", validator=found("picker", STRATEGIES))  # the assignment's, as is the next
    choker: str = field(default="fastest", validator=found("choker", RANKINGS))
    grace: float | None = field(default=None, validator=between(0, 86400), metadata=_TIME)  # None: two intervals
    wait: float = field(default=600.0, validator=between(0, 86400), metadata=_TIME)  # who never came; 0: for ever

    @property
    def place(self) -> tuple[Path, int] | None:
        """The folder, and who we are; None: there is no such swarm."""
        return None if self.folder is None or self.peer_id is None else (Path(self.folder), self.peer_id)
