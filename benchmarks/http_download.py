"""
A file from a node over HTTP, beside nginx with sendfile: one connection, and with a crowd that hardly reads.

    python -m benchmarks.http_download --size 1G --slow 100

The node is ``twistd p2p-peer --share``. The same client fetches the same file from the one and the other in turns; it
drops what it reads. Then many connections ask the node for the file and read nothing more after its first bytes; what
the node's private memory becomes with them is told, and how fast the file comes beside them.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from attrs import define, frozen

from benchmarks.contents import write_file
from benchmarks.network import enter, free_ports
from benchmarks.processes import ProgramFailed, Programs, Running, end_on_sigterm, programs
from benchmarks.report import Report, options, print_table
from p2pshare.rates import parse_size

LEAST = 0.7  # of nginx's speed
MOST_MEMORY = 32 << 20  # bytes that the crowd may cost the node

_PATIENCE = 120.0  # s until a server answers, or has hashed its file
_STILL = 30.0  # s in which a client waits for a byte
_READ = 256 * 1024
_TASTE = 16 * 1024  # bytes that each of the crowd reads
_SETTLED = 2.0  # s in which the node gives the crowd what it is going to
_SOURCES = 8  # addresses that the crowd shares: one alone may have no more than 64 connections
_NODE = "p2pshare"
_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen {host}:{port}; root {root}; }}
}}
"""
_PEER = """
[peer]
port = 0
bind = "{host}"
data = "{folder}"
state_dir = "{folder}/state"

[peer.control]
bind = "{host}"
port = {port}
token = "of-this-benchmark-alone"

[peer.share]
folder = "{root}"
"""


@frozen
class Server:
    """Who gives the file."""

    running: Running
    host: str
    port: int
    path: str

    @contextmanager
    def asked(self, source: str = "") -> Iterator[tuple[socket.socket, bytes, int]]:
        """
        Ask for the file; gives the connection, the first bytes of the content and how many there will be.

        :param source: address to ask from.
        :raise ProgramFailed: the answer is another one.
        """
        with socket.create_connection((self.host, self.port), _STILL, (source, 0)) as connection:
            request = f"GET {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(_TASTE) or _gone(self.running)
            head, _, first = head.partition(b"\r\n\r\n")
            status, *lines = head.decode("ascii").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            if " 200 " not in status:
                raise ProgramFailed(f"{self.running.name} says {status}")
            yield connection, first, int(headers["content-length"])

    def digest(self) -> str:
        """Fetch the file and hash it."""
        with self.asked() as (connection, first, _):
            digest = hashlib.sha256(first)
            while data := connection.recv(_READ):
                digest.update(data)
            return digest.hexdigest()

    def speed(self) -> float:
        """Fetch the file; bytes a second."""
        begun, into = time.perf_counter(), bytearray(_READ)
        with self.asked() as (connection, first, length):
            left = length - len(first)
            while left:
                left -= connection.recv_into(into) or _gone(self.running)
            return length / (time.perf_counter() - begun)


@define
class Figures:
    """What was seen of one server, or of one of its situations."""

    rates: list[float]  # bytes/s
    cpu: list[float]  # s of the server, for each fetch

    def take(self, server: Server) -> None:
        """Fetch once."""
        before = server.running.cpu
        self.rates.append(server.speed())
        self.cpu.append(server.running.cpu - before)


def _gone(running: Running) -> int:
    raise ProgramFailed(f"{running.name} hung up in the middle")


def start_nginx(started: Programs, content: Path, folder: Path, host: str) -> Server:
    """Start nginx as one process that serves the file, the way it is configured for files."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit("nginx is not installed; on Debian: apt-get install nginx-light")
    folder.mkdir()
    (port,) = free_ports(1)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, host=host, port=port, root=content.parent))
    running = started.start("nginx", [program, "-p", str(folder), "-c", str(config)], folder)
    return _ready(Server(running, host, port, f"/{content.name}"))


def start_node(started: Programs, content: Path, folder: Path, host: str) -> Server:
    """Start a node that shares the file, and wait until it has hashed it."""
    folder.mkdir()
    (port,) = free_ports(1)
    config = folder / "peer.toml"
    config.write_text(_PEER.format(folder=folder, host=host, port=port, root=content.parent))
    command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "p2p-peer", "--config", str(config)]
    running = started.start(_NODE, command, folder)
    return _ready(Server(running, host, port, f"/download?filename={content.name}"))


def _ready(server: Server) -> Server:
    deadline = time.monotonic() + _PATIENCE
    while True:
        server.running.look()
        try:
            with server.asked():
                return server
        except (OSError, ProgramFailed) as error:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{server.running.name} does not give the file: {error}") from None
        time.sleep(0.1)


def measure(nginx: Server, node: Server, runs: int, crowd: Sequence[str]) -> tuple[dict[str, Figures], tuple[int, int]]:
    """
    Take turns, then bring in the crowd.

    :param crowd: the address that each of them asks from.
    :return: figures by name; and the node's private memory in bytes, without the crowd and with it.
    :raise ProgramFailed: a server ended, or its content is another one.
    """
    if nginx.digest() != node.digest():
        raise ProgramFailed("the two do not give the same bytes")
    crowded = f"{_NODE}, beside {len(crowd)} slow"
    figures = {name: Figures([], []) for name in ("nginx", _NODE, crowded)}
    for _ in range(runs):
        figures["nginx"].take(nginx)
        figures[_NODE].take(node)
    node.running.look()
    alone = node.running.private
    with ExitStack() as connected:
        for source in crowd:
            connected.enter_context(node.asked(source))
        time.sleep(_SETTLED)
        for _ in range(runs):
            figures[crowded].take(node)
        node.running.look()
    return figures, (alone, node.running.private)


def judge(figures: dict[str, Figures], memory: tuple[int, int]) -> list[str]:
    """Say what is not as it should be."""
    missed = []
    share = median(figures[_NODE].rates) / median(figures["nginx"].rates)
    if share < LEAST:
        missed.append(f"the node gives {share:.2f} of nginx's speed, not {LEAST}")
    if memory[1] - memory[0] > MOST_MEMORY:
        missed.append(f"slow readers cost {(memory[1] - memory[0]) >> 20} MiB, not {MOST_MEMORY >> 20}")
    return missed


def rows(figures: dict[str, Figures]) -> Sequence[Sequence[str]]:
    """Give the lines of the table."""
    whole = median(figures["nginx"].rates)
    return [
        [
            name,
            f"{median(of.rates) / 1e6:.0f}",
            f"{min(of.rates) / 1e6:.0f}-{max(of.rates) / 1e6:.0f}",
            f"{median(of.rates) / whole:.2f}",
            f"{median(of.cpu):.2f}",
        ]
        for name, of in figures.items()
    ]


def main() -> int:
    """Run the benchmark; 1 when a limit was exceeded."""
    parser = options(__doc__)
    parser.add_argument("--size", type=parse_size, default="1G", help="of the file (1G)")
    parser.add_argument("--runs", type=int, default=5, help="turns (5)")
    parser.add_argument("--slow", type=int, default=100, help="connections that hardly read (100)")
    parser.add_argument("--work", type=Path, help="folder for the file")
    chosen = parser.parse_args()
    end_on_sigterm()
    network = enter()
    crowd = [network.host(2 + number % _SOURCES) for number in range(chosen.slow)]
    report = Report("http_download", chosen.json)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=chosen.work)))
        content = folder / "source" / "content"
        content.parent.mkdir()
        write_file(content, chosen.size)
        started = stack.enter_context(programs())
        try:
            nginx = start_nginx(started, content, folder / "nginx", network.host(1))
            node = start_node(started, content, folder / "node", network.host(1))
            figures, memory = measure(nginx, node, chosen.runs, crowd)
        except ProgramFailed as error:
            raise SystemExit(str(error)) from None
    print_table(["", "MB/s", "from-to", "of nginx", "CPU s"], rows(figures))
    print(f"private memory of the node: {memory[0] / 2**20:.0f} MiB, {memory[1] / 2**20:.0f} with the slow ones")
    missed = judge(figures, memory)
    print("\n".join(missed) or "all within their limits")
    told = {name: {"rates": of.rates, "cpu": of.cpu} for name, of in figures.items()}
    report.finish(size=chosen.size, slow=chosen.slow, memory=memory, missed=missed, results=told)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
