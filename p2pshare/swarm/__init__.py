"""One torrent: what its peers say, what is decided, and what is stored."""
