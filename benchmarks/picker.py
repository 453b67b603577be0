"""
What deciding costs: microseconds of CPU time per pick, per ``have``, per peer, and per block asked and received.

Run ``python -m benchmarks.picker`` from the project's folder; ``--json FILE`` also writes the results down. A pick has
to cost 20 microseconds at most whatever the peer offers, and a block asked and received 3 at most.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from time import process_time

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
    yield f"block asked and received, {BATCH} a read", block_case(fields, pieces, random)


def main() -> None:
    """Measure every case in every size of swarm, print a table and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description="Measure the picker and the ledger.")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    sizes = [(pieces, peers) for pieces in PIECES for peers in PEERS]
    results: dict[str, dict[str, float]] = {}
    for pieces, peers in sizes:
        for name, once in cases(peers, pieces):
            micros = median(once() for _ in range(REPEATS)) * 1e6
            results.setdefault(name, {})[f"{pieces} pieces x {peers} peers"] = round(micros, 3)
    print(f"{'microseconds, pieces':34}" + "".join(f"{pieces:>9}" for pieces, _ in sizes))
    print(f"{'peers':34}" + "".join(f"{peers:>9}" for _, peers in sizes))
    for name, row in results.items():
        print(f"{name:34}" + "".join(f"{micros:9.2f}" for micros in row.values()))
    if options.json is not None:
        report = {"benchmark": "picker", "python": platform.python_version(), "median_us": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
