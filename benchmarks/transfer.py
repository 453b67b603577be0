"""
One seed to one leech over loopback, pair by pair: p2pshare and, where installed, libtorrent.

    python -m benchmarks.transfer [--size 1G] [--piece-length 1M] [--runs 5] [--json FILE]

Every client is a process of its own. Per run: MB/s (10^6) from the first to the last byte on the loopback interface,
seconds from the leech's start to completion, and CPU seconds of both ends. The pairs take turns, so that a machine
that gets slower slows all of them; compare medians within one run only. The content is compared after each run.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pshare.metainfo import dump
from p2pshare.rates import parse_size
from p2pshare.storage.create import CreateSettings, create

PATIENCE = 300.0  # s for one run
FIRST = 256 * 1024  # bytes on the wire that count as begun: handshakes and haves are less
NAME = "content"
PORT = 27181

OURS = [sys.executable, "-c", "from p2pshare.cli.main import main; main()"]
LIBTORRENT = """
import sys, time, libtorrent as lt
role, torrent, folder, port, other, done = sys.argv[1:7]
session = lt.session({'listen_interfaces': '127.0.0.1:' + port, 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False, 'enable_incoming_utp': False, 'enable_outgoing_utp': False,
    'allow_multiple_connections_per_ip': True, 'alert_mask': lt.alert.category_t.all_categories})
complete = False
wanted = lt.add_torrent_params()
wanted.ti, wanted.save_path = lt.torrent_info(torrent), folder
handle = session.add_torrent(wanted)
while True:
    status = handle.status()
    if role == 'leech' and not status.num_peers:
        handle.connect_peer(('127.0.0.1', int(other)))
    if status.is_seeding and not complete:
        complete = True
        handle.flush_cache()
    for alert in session.pop_alerts():
        if complete and (role == 'seed' or isinstance(alert, lt.cache_flushed_alert)):
            open(done, 'w').close()
    time.sleep(0.01)
"""


def loopback_bytes() -> int:
    """Bytes the loopback interface has received."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "lo":
            return int(figures.split()[0])
    return 0


def command(client: str, role: str, torrent: Path, folder: Path, port: int, other: int, done: Path) -> list[str]:
    """How a client is started as seed or leech."""
    if client == "libtorrent":
        return [sys.executable, "-c", LIBTORRENT, role, str(torrent), str(folder), str(port), str(other), str(done)]
    common = ["--bind", "127.0.0.1", "--port", str(port)]
    if role == "seed":
        return [*OURS, "seed", str(torrent), "--data", str(folder), "--json", *common]
    more = ["--peer", f"127.0.0.1:{other}", "--seed-until", "forever", "--on-complete", f"touch '{done}'", "--quiet"]
    return [*OURS, "download", str(torrent), "-o", str(folder), *more, *common]


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process as long as the block lasts."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(path: Path) -> None:
    """Wait for a file to appear."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"not complete within {PATIENCE:g} s")
        time.sleep(0.002)


def one_run(seed: str, leech: str, torrent: Path, source: Path, work: Path) -> dict[str, float]:
    """Transfer once, from scratch."""
    folder, done = work / "leech", work / "done"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with running(command(seed, "seed", torrent, source.parent, PORT, PORT + 1, work / "seed-done")):
        if seed == "libtorrent":
            wait_until(work / "seed-done")
        else:
            time.sleep(1.0 + source.stat().st_size / 1e9)  # it checks its content first
        start, base = time.monotonic(), loopback_bytes()
        first = None
        with running(command(leech, "leech", torrent, folder, PORT + 1, PORT, done)):
            while not done.exists():
                now = time.monotonic()
                if first is None and loopback_bytes() - base > FIRST:
                    first = now
                if now - start > PATIENCE:
                    raise SystemExit(f"{seed} -> {leech}: not complete within {PATIENCE:g} s")
                time.sleep(0.002)
            end = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if digest(folder / NAME) != digest(source):
        raise SystemExit(f"{seed} -> {leech}: the copy differs")
    return {
        "MBps": source.stat().st_size / 1e6 / (end - (first or start)),
        "wall_s": end - start,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def digest(path: Path) -> bytes:
    """SHA-1 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").digest()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, default=parse_size("256M"))
    parser.add_argument("--piece-length", type=parse_size, default=parse_size("1M"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args()
    clients = ["p2pshare"] + (["libtorrent"] if importlib.util.find_spec("libtorrent") else [])
    if len(clients) == 1:
        print("libtorrent is not installed (pip install libtorrent): nothing to compare with")
    pairs = [(seed, leech) for seed in clients for leech in clients]
    results: dict[str, list[dict[str, float]]] = {f"{seed} -> {leech}": [] for seed, leech in pairs}
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-") as temporary:
        base = Path(temporary)
        source = base / "source" / NAME
        source.parent.mkdir()
        with source.open("wb") as file:
            for left in range(options.size, 0, -(1 << 24)):
                file.write(os.urandom(min(left, 1 << 24)))
        torrent = base / "content.torrent"
        torrent.write_bytes(dump(create(source, CreateSettings(piece_length=options.piece_length))))
        for number in range(options.runs):
            for seed, leech in pairs:
                work = base / f"{number}-{seed}-{leech}"
                (work / "leech").mkdir(parents=True)
                results[f"{seed} -> {leech}"].append(one_run(seed, leech, torrent, source, work))
    print(f"{'pair':<28} {'MB/s':>8} {'wall s':>8} {'CPU s':>8}   (medians of {options.runs})")
    for pair, runs in results.items():
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(f"{pair:<28} {median['MBps']:8.0f} {median['wall_s']:8.2f} {median['cpu_s']:8.2f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
