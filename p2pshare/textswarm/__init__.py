"""The text swarm: HANDSHAKE, BITFIELD and REQUEST in lines, pieces as raw bytes, on the common engine."""
