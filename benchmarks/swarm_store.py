"""
What a tracker remembers, and what it takes: bytes per peer, microseconds per sample, seconds until a restart is over.

Run ``python -m benchmarks.swarm_store`` from the project's folder. A million peers in 10,000 swarms, most of them with
IPv4 addresses, some with IPv6 ones and some with names, may take 200 bytes each, and no more after they have been
replaced by others three times over; so every peer is gone again that fell silent. A sample for a reply may cost in a
swarm of 100,000 twice what it costs in one of 50. A snapshot of everything is read in 5 seconds.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

from benchmarks.report import Report, options, print_table
from p2pshare.addresses import Address
from p2pshare.tracker import snapshot
from p2pshare.tracker.snapshot_file import read_snapshot, write_snapshot
from p2pshare.tracker.swarm import Contact
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.wire.announce import AnnounceRequest

PEERS, SWARMS = 1_000_000, 10_000
GENERATIONS = 4
EXPIRY = 3600.0  # seconds; one generation takes as long
SIZES = (50, 1000, 100_000)
WANTED = 50
SAMPLES = 2000
REPEATS = 9
BYTES, GROWTH, SPREAD, SECONDS = 200.0, 1.05, 2.0, 5.0  # the limits
_PAGE = 4096


def contact_of(number: int) -> Contact:
    """Give the place of a peer: every tenth is reached by IPv6, every hundredth by a name."""
    if number % 100 == 7:
        return Address(f"peer-{number}.example", 6881)
    if number % 10 == 3:
        return b"\x20\x01\x0d\xb8" + number.to_bytes(12, "big") + b"\x1a\xe1"
    return (0x0B000000 + number).to_bytes(4, "big") + b"\x1a\xe1"


def announce(store: MemorySwarms, number: int, torrent: int, now: float) -> None:
    """Let a peer announce for the first time; a third of them have everything."""
    request = AnnounceRequest(
        b"t" * 16 + torrent.to_bytes(4, "big"), b"-XX0001-" + number.to_bytes(12, "big"), 6881, left=number % 3
    )
    store.announce(request, contact_of(number), 0, None, now)


def grow(store: MemorySwarms, generation: int, peers: int, swarms: int) -> None:
    """Let a generation of peers arrive, evenly in time, while those of the one before fall silent."""
    sweeps = 30
    for step in range(sweeps):
        now = EXPIRY * (generation + step / sweeps)
        first, last = peers * step // sweeps, peers * (step + 1) // sweeps
        for number in range(first, last):
            announce(store, generation * peers + number, number % swarms, now)
        for _ in store.forget_silent(now - EXPIRY):
            pass


def resident() -> int:
    """Tell this process's memory, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def members(store: MemorySwarms) -> int:
    """Count everybody."""
    return sum(map(len, store.swarms.values()))


def sample_cost(size: int) -> float:
    """Measure the announce of a member that wants others, in microseconds of CPU."""
    store, random = MemorySwarms(Random(0).random), Random(1)
    for number in range(size):
        request = AnnounceRequest(b"t" * 20, b"-XX0001-" + number.to_bytes(12, "big"), 6881, left=1, compact=True)
        store.announce(request, (0x0B000000 + number).to_bytes(4, "big") + b"\x1a\xe1", 0, None, 0.0)
    asked = [(0x0B000000 + random.randrange(size)).to_bytes(4, "big") + b"\x1a\xe1" for _ in range(SAMPLES)]
    request = AnnounceRequest(b"t" * 20, b"-XX0001-abcdefghijkl", 6881, left=1, compact=True)
    took = []
    for _ in range(REPEATS):
        start = process_time()
        for contact in asked:
            store.announce(request, contact, WANTED, None, 1.0)
        took.append(process_time() - start)
    return median(took) / SAMPLES * 1e6


def restart_time(store: MemorySwarms) -> float:
    """Save everything, and measure how long reading it takes, in seconds of CPU."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "swarms"
        chunks = [snapshot.encode_swarm(*swarm) for swarm in store.swarms.items()]
        write_snapshot(path, [snapshot.encode_head(0.0), *chunks])
        del chunks
        start = process_time()
        body = read_snapshot(path)
        assert body is not None, "just written"
        restored = list(snapshot.decode(body, Random(0).random, 0.0))
        took = process_time() - start
    if sum(len(swarm) for _, swarm in restored) != members(store):
        raise AssertionError("not everybody is back")
    return took


def judge(per_peer: list[float], samples: dict[int, float], seconds: float) -> list[str]:
    """Say what takes too much; ``per_peer`` are bytes after each generation."""
    wrong = []
    if max(per_peer) > BYTES:
        wrong.append(f"{max(per_peer):.0f} bytes a peer, not {BYTES:g} at most")
    if per_peer[-1] > GROWTH * per_peer[1]:
        wrong.append(f"memory grows: {per_peer[1]:.0f} bytes a peer became {per_peer[-1]:.0f}")
    if samples[max(samples)] > SPREAD * samples[min(samples)]:
        wrong.append(
            f"a sample of {max(samples)} costs {samples[max(samples)]:.1f} microseconds, in a small swarm less"
        )
    if seconds > SECONDS:
        wrong.append(f"{seconds:.1f} s until a restart is over, not {SECONDS:g} at most")
    return wrong


def main() -> int:
    """Measure and print a table; 1 when something takes too much."""
    parser = options(__doc__)
    parser.add_argument("--peers", type=int, default=PEERS, help=f"alive at any time ({PEERS})")
    parser.add_argument("--swarms", type=int, default=SWARMS, help=f"they are in ({SWARMS})")
    chosen = parser.parse_args()
    report = Report("swarm_store", chosen.json)
    empty = resident()
    store = MemorySwarms(Random(0).random)
    per_peer = []
    for generation in range(GENERATIONS):
        grow(store, generation, chosen.peers, chosen.swarms)
        per_peer.append(round((resident() - empty) / members(store), 1))
    seconds = round(restart_time(store), 2)
    del store
    samples = {size: round(sample_cost(size), 2) for size in SIZES}
    rows = [["bytes a peer", *map(str, per_peer)], ["read back, s", str(seconds)]]
    rows += [[f"announce in a swarm of {size}, us", str(cost)] for size, cost in samples.items()]
    width = max(map(len, rows))
    print_table(
        [f"{chosen.peers} peers, {chosen.swarms} swarms", *(f"generation {n + 1}" for n in range(GENERATIONS))],
        [row + [""] * (width - len(row)) for row in rows],
    )
    wrong = judge(per_peer, samples, seconds)
    print("\n".join(wrong) or "all within their limits")
    report.finish(bytes_per_peer=per_peer, read_back_s=seconds, announce_us=samples, wrong=wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
