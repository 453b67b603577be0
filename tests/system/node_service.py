"""A node for tests of its page: ``python -m tests.system.node_service FOLDER INDEX PORT``, until it is killed.

It shares FOLDER/shared, searches at INDEX, and fetches FOLDER/slow.torrent from a second peer that has it in
FOLDER/seed and gives it slowly. Once it listens it prints its port.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.threads import deferToThread

from p2pshare.addresses import Address
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.discovery.index_client import make_index_client
from p2pshare.faces.node import Node, NodeParts, Standing
from p2pshare.faces.node_site import node_dispatcher
from p2pshare.metainfo import load
from p2pshare.settings import read_networks
from p2pshare.sharing.library import Library
from p2pshare.sharing.shelf import Shelf, file_id
from p2pshare.sharing.walk import is_wanted, open_below
from p2pshare.swarm.events import Event, State, StateChanged
from p2pshare.web.guard import Guard
from p2pshare.web.limits import LimitedSite, WebLimits
from p2pshare.web.paths import Paths
from p2pshare.web.sources import Sources
from tests.faces.nodes import OWNER, Names, heard_by

LARGEST = 1_000_000  # bytes of a file that is shared on the page
SLOW = 64 * 1024  # bytes/s


def main(folder: Path, index: str, port: int) -> None:
    """Serve until killed."""
    from twisted.internet import reactor

    loop: Any = reactor
    limits, hits, names = WebLimits(), Counter[str](), Names()
    site = LimitedSite(Paths({}), limits, Sources(read_networks(("127.0.0.0/8",))), loop, hits=hits)
    listening = loop.listenTCP(port, site, interface="127.0.0.1")
    address = f"127.0.0.1:{listening.getHost().port}"
    library = Library(
        folder / "shared", Shelf(folder / "shelf"), deferToThread, deferToThread, loop, time.time, 2, interval=2.0
    )
    session = _peer(loop)
    parts = NodeParts(
        library=library,
        torrents=session,
        standing=lambda: Standing(OWNER, address, "eu-north", index, True, peer_port=session.port),
        id_of=lambda name: file_id(name, OWNER),
        open_below=open_below,
        is_wanted=is_wanted,
        data=folder / "data",
        index=make_index_client(loop, index),
        elsewhere=names,
        max_file_size=LARGEST,
    )
    node = Node(parts, deferToThread, loop, time.time, limits, hits)
    library.subscribe(heard_by(node))
    site.resource = site.bodies = node_dispatcher(node, Guard(loop.seconds, limits, hits=hits), limits, loop, hits)
    for part in (session, node, library):
        part.startService()
    if (folder / "slow.torrent").exists():
        _fetch_slowly(loop, session, folder)
    print(listening.getHost().port, flush=True)
    loop.run()


def _fetch_slowly(reactor: Any, session: Session, folder: Path) -> None:
    """Begin to fetch, as soon as there is somebody to fetch it from."""
    content = load(folder / "slow.torrent")
    seed = _peer(reactor, limit_up=SLOW)
    seed.startService()

    def heard(event: Event) -> None:
        if isinstance(event, StateChanged) and event.state is State.SEEDING:
            session.add(content, folder / "data", peers=[Address("127.0.0.1", seed.port)])

    seed.add(content, folder / "seed", seed_only=True).subscribe(heard)


def _peer(reactor: Any, **settings: Any) -> Session:
    return Session(reactor, PeerSettings(port=0, bind="127.0.0.1", **settings), Random())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
