"""The services that ``twistd`` and ``twist`` list among theirs."""

# No __init__.py beside or above this file: this folder joins Twisted's own instead of hiding it.

from twisted.application.service import ServiceMaker

tracker = ServiceMaker(
    "p2pshare tracker",
    "p2pshare.daemons.tracker",
    "A BitTorrent tracker over HTTP and UDP, with a searchable index.",
    "p2p-tracker",
)

peer = ServiceMaker(
    "p2pshare peer",
    "p2pshare.daemons.peer",
    "A BitTorrent peer: seeds and downloads.",
    "p2p-peer",
)
