"""``p2pshare demo``: a whole swarm on this machine, with real processes and real sockets."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
from attrs import evolve

from p2pshare.cli.demo_view import DemoView
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.leaving import told_to_stop
from p2pshare.cli.options import examples
from p2pshare.cli.stage import Interruption, Stage
from p2pshare.cli.terminal import printable
from p2pshare.errors import DiskFull, VerificationFailed
from p2pshare.metainfo import Metainfo, dump
from p2pshare.rates import format_rate, format_size
from p2pshare.storage.content import found_at
from p2pshare.storage.create import CreateSettings, create

GENERATED = 64 * 1024 * 1024  # bytes of the file we make when none is given
LEECHES = 3

_ANNOUNCE_URL = re.compile(r"listening at (http://\S+)")
_READ_AT_ONCE = 1 << 20


@click.command(
    name="demo",
    short_help="Show a whole swarm on this machine.",
    epilog=examples("p2pshare demo", "p2pshare demo ~/photos   # it is copied, and only ever read"),
)
@click.argument("content", required=False)
def command(content: str | None) -> None:
    """
    Share CONTENT (or 64 MiB of random bytes) from one peer to three others, and show it.

    Starts a tracker, a seed and three downloading peers as processes of this machine, on free loopback ports, compares
    the SHA-256 of every copy, and leaves nothing behind.
    """
    interruption = Interruption()
    with told_to_stop(interruption.signalled), ExitStack() as stack:
        try:
            with interruption.held():
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pshare-demo-")))
            stage = Stage(folder, interruption)
            stack.callback(stage.stop)
            _run(stage, _something(folder) if content is None else Path(content).resolve())
        finally:
            interruption.ignore()  # cleaning up takes a few seconds at most, and is not left half done


def _something(folder: Path) -> Path:
    """Make a file to share."""
    source = folder / "source" / "demo.bin"
    source.parent.mkdir()
    source.write_bytes(os.urandom(GENERATED))
    click.echo(f"Made {format_size(GENERATED)} of random bytes to share.")
    return source


def _run(stage: Stage, source: Path) -> None:
    started = time.monotonic()
    folder = stage.folder
    tracker = stage.child("tracker", "tracker", "--port", "0", "--bind", "127.0.0.1", "--no-state")
    metainfo = create(source, CreateSettings())
    _insist_on_room(folder, metainfo)
    stage.wait(lambda: _ANNOUNCE_URL.search(tracker.said()) is not None, "the tracker did not start")
    found = _ANNOUNCE_URL.search(tracker.said())
    assert found is not None
    torrent = folder / "demo.torrent"
    torrent.write_bytes(dump(evolve(metainfo, announce_tiers=((found[1],),))))
    click.echo(f"Tracker at {found[1]}")
    click.echo(f"Torrent {metainfo.info_hash.hex()}, {metainfo.num_pieces} pieces of {metainfo.piece_length} bytes")

    common = ("--bind", "127.0.0.1", "--port", "0", "--json")
    seed = stage.child("seed", "seed", str(torrent), "--data", str(source), *common)
    leeches = []
    for number in range(1, LEECHES + 1):
        output = str(folder / f"peer{number}")
        leeches.append(
            stage.child(f"peer{number}", "download", str(torrent), "-o", output, "--seed-until", "forever", *common)
        )
    with DemoView(leeches, sys.stdout) as view:
        stage.wait(lambda: all("complete" in leech.events for leech in leeches), "not complete", view.show)
        view.show()
    seconds = time.monotonic() - started

    stage.stop()
    for child in (seed, *leeches):
        if child.exit_code:
            raise Ended(f"{child.name} ended with {child.exit_code}: {child.last_words()}", ExitCode.ERROR)
    _compare(metainfo, source, {leech.name: folder / leech.name / metainfo.name for leech in leeches})
    total = metainfo.total_length * len(leeches)
    click.echo(
        f"Done: {len(leeches)} peers have {printable(metainfo.name)} ({format_size(metainfo.total_length)} each), "
        f"{seconds:.1f} s from the first process to the last byte, {format_rate(total / seconds)} in all."
    )


def _insist_on_room(folder: Path, metainfo: Metainfo) -> None:
    free, needed = shutil.disk_usage(folder).free, LEECHES * metainfo.total_length
    if free < needed:
        raise DiskFull(
            f"{folder.parent}: {LEECHES} copies take {format_size(needed)}, and {format_size(free)} is free; "
            "set TMPDIR to a folder with more room"
        )


def _compare(metainfo: Metainfo, source: Path, copies: dict[str, Path]) -> None:
    """Hash every copy independently of the code that moved it."""
    expected = _digest(found_at(metainfo, source), source)
    click.echo(f"SHA-256 {expected}  {printable(source.name)} (source)")
    for peer, copy in copies.items():
        found = _digest(metainfo, copy)
        click.echo(f"SHA-256 {found}  {peer}/{printable(copy.name)}")
        if found != expected:
            raise VerificationFailed(f"{peer}'s copy differs from the source")


def _digest(metainfo: Metainfo, root: Path) -> str:
    """SHA-256 of a file, as sha256sum prints it; of a folder, that of all its files one behind the other."""
    whole = hashlib.sha256()
    for entry in metainfo.files:
        if not entry.pad:
            with (root if metainfo.is_single else root.joinpath(*entry.path)).open("rb") as opened:
                while some := opened.read(_READ_AT_ONCE):
                    whole.update(some)
    return whole.hexdigest()
