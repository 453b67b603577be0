"""
Peers that do not read: ``python -m benchmarks.deaf TORRENT HOST PORT COUNT REQUESTS DONE``.

Each of them connects, says that it is interested, asks for so many blocks and never reads a byte. When all have asked,
the file DONE appears; they stay until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from random import Random

from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.metainfo import load
from p2pshare.wire import bep3, messages

# What the kernel holds for them is not the seed's memory: the less it takes, the more is left to the seed.
_RECEIVE_BUFFER = 4096


def requests(geometry: Geometry, count: int, random: Random) -> bytes:
    """Ask for consecutive blocks from anywhere, as a leech does that wants the whole content."""
    per_piece = geometry.num_blocks(0)
    whole = (geometry.num_pieces - 1) * per_piece or 1
    first = random.randrange(whole)
    places = [divmod((first + number) % whole, per_piece) for number in range(count)]
    return bep3.encode_requests([(piece, block * BLOCK_SIZE, BLOCK_SIZE) for piece, block in places])


def main() -> None:
    """Connect all of them, and stay."""
    torrent, host, port, count, each, done = sys.argv[1:]
    content = load(torrent)
    random = Random(0)
    connected = []
    for number in range(int(count)):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        peer.connect((host, int(port)))
        hello = bep3.Handshake(bep3.RESERVED, content.info_hash, b"-XX0001-%012d" % number)
        said = bep3.encode_handshake(hello) + bep3.encode(messages.HaveNone()) + bep3.encode(messages.Interested())
        peer.sendall(said + requests(content.geometry, int(each), random))
        connected.append(peer)
    Path(done).touch()
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    signal.pause()


if __name__ == "__main__":
    main()
