"""One connection: bytes in, messages out, and the blocks promised in between."""
