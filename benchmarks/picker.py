"""
What deciding costs: microseconds of CPU time per pick, per ``have``, per peer, and per block.

Run ``python -m benchmarks.picker`` from the project's folder. A pick has to cost 20 microseconds at most whatever the
peer offers, and a block asked and received in the ledger 3. The last row is a block in a whole swarm: from the message
through Swarm, Download and Ledger to the copy in its piece, with all requests, haves and looks of the ticker that go
with it; it has to cost 10 at most in a torrent of any size, whatever the number of peers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from statistics import median
from time import process_time

from benchmarks.report import Report, options, print_table
from benchmarks.whole_swarm import cost_of_a_block
from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.policy.ledger import Ledger, Receipt
from p2pshare.policy.picker import PiecePicker, make_picker
from p2pshare.policy.remote_peer import RemotePeer

PEERS = (1, 50, 200)
PIECES = (100, 10_000, 100_000)
BLOCKS_PER_PIECE = 16
BATCH = 16  # blocks that one read of a socket brings, and that are asked for after it
REPEATS = 15
TIMES = 200  # operations in a repeat
SWARM_BLOCKS = 8000  # in a repeat
LEDGER = f"block in the ledger, {BATCH} a read"
SWARM = f"block in a swarm, {BATCH} a read"
LIMITS = {"pick": 20.0, LEDGER: 3.0, SWARM: 10.0}  # microseconds, in a swarm of any size
Case = Callable[[], float]  # runs once, and tells the seconds an operation took


def some(pieces: int, share: float, random: Random) -> Bitfield:
    """Draw the pieces of a leech that has this share of all."""
    octets = bytearray((pieces + 7) // 8)
    for piece in range(pieces):
        if random.random() < share:
            octets[piece >> 3] |= 128 >> (piece & 7)
    return Bitfield.from_bytes(octets, pieces)


def crowd(peers: int, pieces: int, random: Random) -> list[Bitfield]:
    """Draw what the peers have: every tenth is a seed, the others have about half."""
    leeches = [some(pieces, 0.5, random) for _ in range(min(peers, 16))]
    return [Bitfield.full(pieces) if number % 10 == 0 else leeches[number % 16].copy() for number in range(peers)]


def timed(run: Callable[[], object], times: int = TIMES) -> Case:
    """Do the same again and again."""

    def once() -> float:
        start = process_time()
        for _ in range(times):
            run()
        return (process_time() - start) / times

    return once


def pick_cases(picker: PiecePicker, pieces: int, random: Random) -> Iterator[tuple[str, Case]]:
    """Pick for peers with all kinds of pieces."""
    for piece in range(4):  # held: past the first pieces, which are drawn without looking at copies
        picker.done(piece)
    everything, half, nothing = Bitfield.full(pieces), some(pieces, 0.5, random), Bitfield(pieces)
    nothing.add(0)
    few = Bitfield(pieces)
    for piece in random.sample(range(4, pieces), 3):
        few.add(piece)
    common = Bitfield(pieces)
    for piece in sorted(range(4, pieces), key=picker.copies)[-pieces // 3 :]:
        common.add(piece)
    offers = {"all": everything, "half": half, "common": common, "few": few, "nothing free": nothing}
    for name, offered in offers.items():
        yield f"pick, peer has {name}", timed(partial(picker.pick, offered))

    def after_a_have() -> float:  # its set is another one than at the last pick
        total = 0.0
        for _ in range(TIMES):
            common.discard(pieces - 1)
            common.add(pieces - 1)
            start = process_time()
            picker.pick(common)
            total += process_time() - start
        return total / TIMES

    yield "pick, after a have of the peer", after_a_have


def count_cases(picker: PiecePicker, pieces: int, random: Random) -> Iterator[tuple[str, Case]]:
    """Hear of pieces and peers."""
    order = [random.randrange(pieces) for _ in range(TIMES)]

    def haves() -> float:
        start = process_time()
        for piece in order:
            picker.got_have(piece)
        return (process_time() - start) / TIMES

    yield "have", haves

    def come_and_go(has: Bitfield) -> None:
        picker.joined(has)
        picker.left(has)

    for name, has in (("half", some(pieces, 0.5, random)), ("all", Bitfield.full(pieces))):
        yield f"peer with {name} comes and goes", timed(partial(come_and_go, has), 20)


def block_case(fields: list[Bitfield], pieces: int, random: Random) -> Case:
    """Ask and receive a thousand blocks of each of up to 16 peers in turn, in batches."""
    length = BLOCKS_PER_PIECE * BLOCK_SIZE
    geometry = Geometry(length, (pieces * length,))
    blocks = min(1000, pieces * BLOCKS_PER_PIECE // min(len(fields), 16))

    def once() -> float:
        picker = make_picker("rarest", pieces, random)
        ledger = Ledger(geometry, picker, max_started=512)
        peers = []
        for number, has in enumerate(fields):
            picker.joined(has)
            peers.append(RemotePeer(Address("127.0.0.1", number), b"-XX0001-%012d" % number, False, has, 0.0))
        turn = peers[:16]
        done = 0
        start = process_time()
        queues = [ledger.ask(peer, 4 * BATCH, 0.0) for peer in turn]
        for _ in range(blocks // BATCH):
            for place, peer in enumerate(turn):
                queue = queues[place]
                for piece, begin, size in queue[:BATCH]:
                    if ledger.received(peer, piece, begin, size, 1.0) is Receipt.COMPLETES:
                        ledger.verified(piece)
                taken = len(queue[:BATCH])
                done += taken
                queues[place] = queue[BATCH:] + ledger.ask(peer, taken, 1.0)
        return (process_time() - start) / max(done, 1)

    return once


def cases(peers: int, pieces: int) -> Iterator[tuple[str, Case]]:
    """Name and prepare what is measured in a swarm of this size."""
    random = Random(0)
    fields = crowd(peers, pieces, random)
    picker = make_picker("rarest", pieces, random)
    for has in fields:
        picker.joined(has)
    yield from pick_cases(picker, pieces, random)
    yield from count_cases(picker, pieces, random)
    yield LEDGER, block_case(fields, pieces, random)
    length = BLOCKS_PER_PIECE * BLOCK_SIZE
    yield SWARM, partial(cost_of_a_block, Geometry(length, (pieces * length,)), fields, SWARM_BLOCKS, random)


def judge(results: dict[str, list[float]]) -> list[str]:
    """Say what costs too much; ``results`` are microseconds by case, in the order of the sizes."""
    return [
        f"{name}: {max(row):.1f} microseconds, not {limit:g} at most"
        for name, row in results.items()
        for case, limit in LIMITS.items()
        if name.startswith(case) and max(row) > limit
    ]


def main() -> int:
    """Measure every case in every size of swarm and print a table; 1 when something costs too much."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of which the median counts ({REPEATS})")
    chosen = parser.parse_args()
    report = Report("picker", chosen.json)
    sizes = [(pieces, peers) for pieces in PIECES for peers in PEERS]
    results: dict[str, list[float]] = {}
    for pieces, peers in sizes:
        for name, once in cases(peers, pieces):
            micros = median(once() for _ in range(chosen.repeats)) * 1e6
            results.setdefault(name, []).append(round(micros, 3))
    rows = [["peers", *(str(peers) for _, peers in sizes)]]
    rows += [[name, *(f"{micros:.2f}" for micros in row)] for name, row in results.items()]
    print_table(["microseconds, pieces", *(str(pieces) for pieces, _ in sizes)], rows)
    wrong = judge(results)
    print("\n".join(wrong) or "all within their limits")
    labels = [f"{pieces} pieces x {peers} peers" for pieces, peers in sizes]
    report.finish(median_us={name: dict(zip(labels, row, strict=True)) for name, row in results.items()}, wrong=wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
