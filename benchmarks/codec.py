"""
What the peer wire costs: microseconds of one core per 16 KiB block, or per message, without any socket.

Run ``python -m benchmarks.codec`` from the project's folder. A block received has to cost 2.5 microseconds at most when
the transport reads 256 KiB and more at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter

from benchmarks.report import Report, options, print_table
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession

BLOCKS = [(number // 64, number % 64 * BLOCK_SIZE, BLOCK_SIZE) for number in range(2048)]  # 32 MiB, 1 MiB pieces
REPEATS = 25


def session() -> WireSession:
    """Start a conversation in which everything was negotiated."""
    return WireSession(bep3.DIALECT, num_pieces=1000, fast=True, extended=True)


def receive(stream: bytes, size: int) -> Callable[[], None]:
    """
    Read a stream in chunks of a size.

    Each chunk is its own object somewhere in a stream larger than the CPU's caches, as a transport delivers it.
    """
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]

    def run() -> None:
        wire = session()
        for chunk in chunks:
            for _ in wire.receive(chunk):
                pass

    return run


def cases() -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Name what is measured, how many blocks or messages it is about, and how to do it once."""
    block = bytes(BLOCK_SIZE)
    count = len(BLOCKS)
    stream = b"".join(bep3.piece_header(*place) + block for place in BLOCKS)
    for size in (64, 256, 1024):
        yield f"receive blocks, {size} KiB chunks", count, receive(stream, size * 1024)
    requests = bep3.encode_requests(BLOCKS)
    yield "receive requests, 64 KiB chunks", count, receive(requests, 65536)
    yield "receive haves, 64 KiB chunks", count, receive(bep3.encode_haves([7] * count), 65536)
    wire, batch = session(), BLOCKS[:500]
    yield "encode 500 requests at once", 500, lambda: wire.encode_blocks(messages.Request, batch)
    yield "encode 500 cancels at once", 500, lambda: wire.encode_blocks(messages.Cancel, batch)
    yield "encode 500 haves at once", 500, lambda: wire.encode_haves(range(500))
    yield "encode requests one by one", 500, lambda: [wire.encode(messages.Request(*place)) for place in batch]
    yield "encode block headers", 500, lambda: [bep3.piece_header(*place) for place in batch]


def measure(run: Callable[[], object], count: int) -> dict[str, float]:
    """Time a case again and again: microseconds per block or message, the best and the median run."""
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        run()
        times.append((perf_counter() - start) / count * 1e6)
    return {"best_us": round(min(times), 3), "median_us": round(median(times), 3)}


def main() -> None:
    """Measure every case, and print a table."""
    chosen = options(__doc__).parse_args()
    report = Report("codec", chosen.json)
    results = {name: measure(run, count) for name, count, run in cases()}
    rows = [[name, f"{figures['best_us']:.2f}", f"{figures['median_us']:.2f}"] for name, figures in results.items()]
    print_table(["microseconds per block or message", "best", "median"], rows)
    report.finish(results=results)


if __name__ == "__main__":
    main()
