"""Many torrents in one process: ports, limits and settings of the peer daemon."""
