"""Swarms to try the course project with: the assignment's on one machine, and the two of its demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from p2pshare.course.config import Common, PeerInfo, PeerLine

FIRST_PORT = 6001
# Port 6008 was taken on the course's machines.
_TAKEN = 6008


@frozen
class Sample:
    """One swarm, ready to be written down."""

    what: str  # for people, in a line
    common: Common
    info: PeerInfo


def _on_this_machine(count: int, *seeds: int) -> PeerInfo:
    ports = [port for port in range(FIRST_PORT, FIRST_PORT + count + 1) if port != _TAKEN]
    ids = range(1001, 1001 + count)
    return PeerInfo(
        tuple(PeerLine(id, "localhost", port, id in seeds) for id, port in zip(ids, ports, strict=False)),
    )


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "local": Sample(
            "three peers with the values of the assignment",
            Common(
                preferred_neighbors=2,
                unchoking_interval=5.0,
                optimistic_interval=15.0,
                file_name="TheFile.dat",
                file_size=10000232,
                piece_size=32768,
            ),
            _on_this_machine(3, 1001),
        ),
        "small": Sample(
            "nine peers, two of them with a file of 2 MB",
            Common(
                preferred_neighbors=3,
                unchoking_interval=5.0,
                optimistic_interval=10.0,
                file_name="thefile",
                file_size=2167705,
                piece_size=16384,
            ),
            _on_this_machine(9, 1001, 1006),
        ),
        "large": Sample(
            "six peers, one of them with a file of 24 MB",
            Common(
                preferred_neighbors=3,
                unchoking_interval=5.0,
                optimistic_interval=10.0,
                file_name="tree.jpg",
                file_size=24301474,
                piece_size=16384,
            ),
            _on_this_machine(6, 1001),
        ),
    }
)
