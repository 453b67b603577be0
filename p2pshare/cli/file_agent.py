"""HTTP connections for whole files: within a zone of the network, and within a size that is known beforehand."""

from __future__ import annotations

from typing import Any

from twisted.web.client import HTTPConnectionPool

from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.zoned_agent import ZonedAgent, zoned_agent

_HEADERS = 1024 * 1024  # bytes of an answer besides its body: Twisted has no limit of its own


def file_agent(reactor: Any, longest: int) -> ZonedAgent:
    """
    Build agents whose connections serve one request each.

    :param longest: bytes of a body; a connection that sends much more is aborted.
    """
    pools = {zone: HTTPConnectionPool(reactor, persistent=False) for zone in Zone}
    return zoned_agent(reactor, pools, None, None, longest_answer=longest + _HEADERS)
