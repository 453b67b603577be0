"""``p2pshare demo``: a whole swarm on this machine, with real processes and real sockets."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from p2pshare.cli.children import Child
from p2pshare.cli.demo_view import DemoView
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.options import examples
from p2pshare.cli.terminal import printable
from p2pshare.errors import VerificationFailed
from p2pshare.metainfo import Metainfo, dump
from p2pshare.rates import format_rate, format_size
from p2pshare.storage.create import CreateSettings, create

GENERATED = 64 * 1024 * 1024  # bytes of the file we make when none is given
LEECHES = 3
PATIENCE = 120.0  # s for any one step, on the slowest of machines
LOOK_EVERY = 0.05  # s


@click.command(
    name="demo", epilog=examples("p2pshare demo", "p2pshare demo ~/photos   # it is copied, and only ever read")
)
@click.argument("content", type=click.Path(exists=True), required=False)
def command(content: str | None) -> None:
    """
    Share CONTENT (or 64 MiB of random bytes) from one peer to three others, and show it.

    Starts a tracker, a seed and three downloading peers as processes of this machine, on free loopback ports, compares
    the SHA-256 of every copy, and leaves nothing behind.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pshare-demo-")))
        if content is None:
            source = folder / "source" / "demo.bin"
            source.parent.mkdir()
            source.write_bytes(os.urandom(GENERATED))
            click.echo(f"Made {format_size(GENERATED)} of random bytes to share.")
        else:
            source = Path(content).resolve()
        _run(stack, folder, source)


def _run(stack: ExitStack, folder: Path, source: Path) -> None:
    started = time.monotonic()
    port = _free_port()
    announce = f"http://127.0.0.1:{port}/announce"
    tracker = ["tracker", "--port", str(port), "--bind", "127.0.0.1", "--state-dir", str(folder / "tracker")]
    stack.enter_context(_child(folder, "tracker", tracker))
    torrent = folder / "demo.torrent"
    metainfo = create(source, CreateSettings(announce_tiers=((announce,),)))
    torrent.write_bytes(dump(metainfo))
    _wait(lambda: _answers(port), [], "the tracker did not start")
    click.echo(f"Tracker at {announce}")
    click.echo(f"Torrent {metainfo.info_hash.hex()}, {metainfo.num_pieces} pieces of {metainfo.piece_length} bytes")

    common = ["--bind", "127.0.0.1", "--port", "0", "--json"]
    seed = stack.enter_context(_child(folder, "seed", ["seed", str(torrent), "--data", str(source), *common]))
    leeches: list[Child] = []
    for number in range(1, LEECHES + 1):
        output = folder / f"peer{number}"
        download = ["download", str(torrent), "-o", str(output), "--seed-until", "forever", *common]
        leeches.append(stack.enter_context(_child(folder, output.name, download)))
    everybody = [seed, *leeches]
    with DemoView(leeches, sys.stdout) as view:
        _wait(lambda: all("complete" in leech.events for leech in leeches), everybody, "not complete", view.show)
        view.show()
    seconds = time.monotonic() - started

    for child in reversed(everybody):
        code = child.stop()
        if code:
            raise Ended(f"{child.name} ended with {code}: {child.last_words()}", ExitCode.ERROR)
    _compare(source, [folder / leech.name / metainfo.name for leech in leeches])
    _tell(metainfo, leeches, seconds)


def _tell(metainfo: Metainfo, leeches: Sequence[Child], seconds: float) -> None:
    total = metainfo.total_length * len(leeches)
    click.echo(
        f"Done: {len(leeches)} peers have {printable(metainfo.name)} ({format_size(metainfo.total_length)} each), "
        f"{seconds:.1f} s from the first process to the last byte, {format_rate(total / seconds)} in all."
    )


@contextmanager
def _child(folder: Path, name: str, arguments: Sequence[str]) -> Iterator[Child]:
    """Run a process as long as the block lasts, whatever happens in it."""
    child = Child(name, arguments, folder / f"{name}.log").start()
    try:
        yield child
    finally:
        child.stop()


def _wait(
    until: Callable[[], bool], children: Sequence[Child], problem: str, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Look again and again until something is so; complain when it takes too long, or a process has died."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        for child in children:
            if not child.is_running:
                raise Ended(f"{child.name} ended early: {child.last_words()}", ExitCode.ERROR)
        if time.monotonic() > deadline:
            raise Ended(f"{problem} within {PATIENCE:g} s", ExitCode.TIMED_OUT)
        meanwhile()
        time.sleep(LOOK_EVERY)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def _compare(source: Path, copies: Sequence[Path]) -> None:
    """Hash every copy independently of the code that moved it."""
    expected = _digest(source)
    click.echo(f"SHA-256 {expected}  {printable(source.name)} (source)")
    for copy in copies:
        found = _digest(copy)
        click.echo(f"SHA-256 {found}  {copy.parent.name}/{printable(copy.name)}")
        if found != expected:
            raise VerificationFailed(f"{copy.parent.name}'s copy differs from the source")


def _digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of all its files' names and digests in order."""
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_symlink():
            whole.update(f"{file.relative_to(path)}\0{_digest(file)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()
