"""A text peer that shares no line with p2pshare: blocking sockets, one send a message, no newlines."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

SIZE = 1460


class LeanSeeder:
    """Serves pieces on a port of this machine, a thread for each connection."""

    def __init__(self, torrent_hash: str, pieces: Mapping[int, bytes], count: int, peer_id: str = "ab" * 20) -> None:
        self.torrent_hash, self.pieces, self.count, self.peer_id = torrent_hash, dict(pieces), count, peer_id
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while words := connection.recv(1024).decode().split():
                if words[0] == "HANDSHAKE" and words[1] == self.torrent_hash:
                    connection.send(f"HANDSHAKE {self.torrent_hash} {self.peer_id}".encode())
                elif words[0] == "BITFIELD":
                    bits = ",".join("1" if piece in self.pieces else "0" for piece in range(self.count))
                    connection.send(f"BITFIELD {bits}".encode())
                elif words[0] == "REQUEST" and int(words[1]) in self.pieces:
                    connection.send(self.pieces[int(words[1])])
                else:
                    return


def lean_download(address: tuple[str, int], torrent_hash: str, count: int, end: str = "") -> dict[int, bytes]:
    """Fetch all that a peer has, in lock-step."""
    pieces = {}
    with socket.create_connection(address, timeout=10) as connection:
        connection.send(f"HANDSHAKE {torrent_hash}{end}".encode())
        words = connection.recv(1024).decode().split()
        if words[:2] != ["HANDSHAKE", torrent_hash]:
            raise AssertionError(f"answered {words}")
        connection.send(f"BITFIELD {','.join('0' * count)}{end}".encode())
        bits = connection.recv(1024).decode().split()[1].split(",")
        for index in [index for index, bit in enumerate(bits) if bit == "1"]:
            connection.send(f"REQUEST {index}{end}".encode())
            pieces[index] = connection.recv(SIZE)
    return pieces
