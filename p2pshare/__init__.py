"""BitTorrent tracker, seeder, peer, index and dashboard in one install, on Twisted."""

__version__ = "0.1.0"
