"""Course swarms as processes on this machine: made in a folder, started one by one, read back when they are over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import run_check
from p2pshare.course.init import find_sample, init_swarm
from p2pshare.course.samples import Sample
from tests.system.commands import LIFETIME, PROJECT, WAIT, wait_until

PEER_PROCESS = (sys.executable, "-m", "p2pshare.course")


def free_ports(count: int) -> list[int]:
    """Find ports that nobody has just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def scaled(name: str, file_size: int, *, interval: float = 0.3, piece_size: int | None = None) -> Sample:
    """Take one of the course's swarms, on free ports, with a smaller file and faster clocks."""
    sample = find_sample(name)
    common = evolve(sample.common, unchoking_interval=interval, optimistic_interval=2 * interval, file_size=file_size)
    if piece_size is not None:
        common = evolve(common, piece_size=piece_size)
    ports = free_ports(len(sample.info.peers))
    peers = tuple(evolve(peer, port=port) for peer, port in zip(sample.info.peers, ports, strict=True))
    return evolve(sample, common=common, info=evolve(sample.info, peers=peers))


class PeerProcess:
    """One running ``peerProcess``; what it says goes to a file."""

    def __init__(self, folder: Path, id: int, *options: str) -> None:
        self.id, self.complaints = id, folder / f"said_{id}.txt"
        with self.complaints.open("wb") as said:
            self.process = subprocess.Popen(
                [*PEER_PROCESS, str(id), *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                preexec_fn=_limit_life,
            )

    def clean_up(self) -> None:
        """End it, if nothing else has."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """Give all it wrote on standard output and error."""
        return self.complaints.read_text()

    def ended(self, within: float = WAIT) -> int:
        """Wait for its end, and give the exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"peer {self.id} has not ended within {within:g} s: {self.said()}") from None


def _limit_life() -> None:
    signal.alarm(LIFETIME)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in a shell's background job, and so in its children


class CourseTestCase(SynchronousTestCase):
    """A folder with a swarm."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def make(self, sample: Sample) -> Sample:
        """Write a swarm into the folder."""
        init_swarm(sample, self.folder, Random(1))
        self.sample = sample
        return sample

    def start(self, id: int, *options: str) -> PeerProcess:
        """Start one peer; it is killed when the test is over."""
        peer = PeerProcess(self.folder, id, *options)
        self.addCleanup(peer.clean_up)
        return peer

    def start_all(self, *options: str) -> dict[int, PeerProcess]:
        """Start every peer, in order."""
        return {line.id: self.start(line.id, *options) for line in self.sample.info.peers}

    def log(self, id: int) -> str:
        """Read what a peer has logged up to now."""
        path = self.folder / f"log_peer_{id}.log"
        return path.read_text() if path.exists() else ""

    def await_log(self, id: int, words: str) -> None:
        """Wait until a peer has logged something."""
        wait_until(lambda: words in self.log(id), f"{words!r} in the log of {id}")

    def content(self, id: int) -> bytes:
        """Read the file of a peer."""
        return (self.folder / f"peer_{id}" / self.sample.common.file_name).read_bytes()

    def assert_ended(self, peer: PeerProcess, code: int = 0) -> None:
        """Wait for the end of a peer: this exit code, and no traceback."""
        self.assertEqual(peer.ended(), code, f"peer {peer.id}: {peer.said()}")
        self.assertNotIn("Traceback", peer.said())

    def assert_whole(self) -> None:
        """Everybody has the same file, the ports are free again, and the logs are without fault."""
        first, *others = (line.id for line in self.sample.info.peers)
        content = self.content(first)
        self.assertEqual(len(content), self.sample.common.file_size)
        for id in others:
            self.assertTrue(self.content(id) == content, f"peer {id} has another file")
        for line in self.sample.info.peers:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", line.port))
        said: list[str] = []
        self.assertEqual(run_check(self.folder, None, said.append), 0, said)
        self.assertTrue(said[-1].endswith("logs: 0 errors, 0 warnings"), said)

    def port(self, id: int) -> int:
        """Name the port of a peer."""
        return self.sample.info.of(id).port

    def dialled(self, id: int, within: float = WAIT) -> socket.socket:
        """Connect to a peer as soon as it is up."""
        deadline = time.monotonic() + within
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self.port(id)), timeout=WAIT)
                self.addCleanup(connection.close)
                return connection
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
