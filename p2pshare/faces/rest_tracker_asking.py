"""How routes of the REST tracker ask the catalogue, and what its troubles are called there."""

from __future__ import annotations

import re
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from p2pshare.errors import DiskFull, StorageError
from p2pshare.index.catalogue import Catalogue
from p2pshare.index.lanes import Busy
from p2pshare.index.records import Torrent
from p2pshare.web.replies import Refused

PREFIX = "/api/tracker"
GROUP = "tracker"  # in the documentation

log = Logger()

T = TypeVar("T")

_HEX = re.compile(r"[0-9A-Fa-f]{40}")


async def told(answer: Deferred[T]) -> T:
    """
    Wait for the catalogue.

    :raise Refused: it cannot answer now, whoever is to blame for that.
    """
    try:
        return await answer
    except Busy as error:
        raise Refused(503, str(error), (("Retry-After", "1"),)) from None
    except StorageError as error:
        log.error("the index cannot be used: {error}", error=error)
        status = 507 if isinstance(error, DiskFull) else 503
        raise Refused(status, "the index cannot be used at the moment", (("Retry-After", "10"),)) from None


async def known_torrent(catalogue: Catalogue, digits: str) -> Torrent:
    """
    Look a torrent up by any of its hashes.

    :raise Refused: there is none.
    """
    torrent = await told(catalogue.torrents.get(digits)) if is_hash(digits) else None
    if torrent is None:
        raise Refused(404, "Torrent not found")
    return torrent


def is_hash(digits: str) -> bool:
    """Whether these are 40 hexadecimal digits."""
    return _HEX.fullmatch(digits) is not None
