"""A download in a world whose power fails: what it promised is compared with what is found afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.storage.resume import Durability
from p2pshare.storage.snapshot import decode_snapshot
from p2pshare.storage.store import PieceStore
from tests.storage.fakes import put_piece, some_bytes, torrent
from tests.storage.sim_disk import PowerCut, SimDisk
from tests.storage.sim_files import PAGE, SimFile, SimFolder

PIECE = 4096
FILES = {"a": some_bytes(5 * PIECE + 700, 1), "sub/b": some_bytes(3000, 2), "sub/c": some_bytes(7 * PIECE, 3)}
CONTENT = b"".join(FILES.values())
THING = torrent(FILES, PIECE)
SLACK = 4 * PIECE  # what one write of a piece across files, page by page, may touch besides itself


class Violation(AssertionError):
    """A promise was broken."""


@define(eq=False)
class Run:
    """One process: a store over the disk, whose threads do one job at a time in an order that chance decides."""

    disk: SimDisk
    random: Random
    strict: bool
    dropping: bool = False  # half of the pieces leave memory once they are safe
    jobs: list[tuple[bool, Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = field(factory=list)
    clock: Clock = field(factory=Clock)
    vouched: set[int] = field(factory=set)  # pieces somebody was told that we have
    store: PieceStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        durability = Durability(
            Path("/state"),
            self.clock,
            self._queue(True),
            strict=self.strict,
            amount=6 * PIECE,
            save_every=3.0,
            floor=0,
            worth_forgetting=1,
            failpoint=None,
        )
        self.store = PieceStore(THING, Path("/data"), self._queue(False), durability=durability, disk=self.disk)
        self.store.is_wanted = lambda piece: not self.dropping or piece % 2 == 0

    def _queue(self, sync: bool) -> Callable[..., Deferred[Any]]:
        def run(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            self.jobs.append((sync, done, function, args))
            return done

        return run

    def step(self) -> None:
        """Do the oldest job of one kind of threads."""
        kind = self.random.choice([job[0] for job in self.jobs])
        job = next(job for job in self.jobs if job[0] == kind)
        self.jobs.remove(job)
        _, done, function, args = job
        try:
            result = function(*args)
        except Exception:
            result = Failure()
        (done.errback if isinstance(result, Failure) else done.callback)(result)

    def finish(self, work: Deferred[Any] | None = None) -> None:
        """Do all jobs and what they lead to; raise what the work raised."""
        failures: list[Failure] = []
        if work is not None:
            work.addErrback(failures.append)
        while self.jobs:
            self.step()
        if failures:
            failures[0].raiseException()

    def check(self) -> None:
        """Start."""
        self.finish(self.store.check())
        self.vouched.update(self.store.have)

    def fetch(self, count: int) -> None:
        """Download up to so many missing pieces, with pauses."""
        missing = list(self.store.have.missing())
        self.random.shuffle(missing)
        for piece in missing[:count]:
            put_piece(self.store, CONTENT, piece)
            sealing = self.store.seal(piece)
            sealing.addCallback(lambda sealed: self.vouched.add(sealed.piece))
            sealing.addErrback(lambda failure: failure.trap(StorageError))
            for _ in range(self.random.randint(0, 4)):
                if self.jobs:
                    self.step()
            if self.random.random() < 0.4:
                self.clock.advance(self.random.choice((0.3, 1.0, 2.0)))


def written_bytes(run: Run) -> int:
    """Count the bytes of pieces that are not certain, and of which something may have been written."""
    log = run.store._resume._log if run.store._resume is not None else None
    found = dict(content_files(run.disk))
    written = 0
    for piece in range(THING.num_pieces):
        if log is not None and piece in log._certain:
            continue
        for span in THING.geometry.spans(piece, 0, THING.geometry.piece_size(piece)):
            path = list(FILES)[span.file]
            file = found.get(path) or found.get(path + ".part")
            pages = range(span.offset // PAGE, (span.offset + span.length - 1) // PAGE + 1)
            if file is not None and not file.written.isdisjoint(pages):
                written += PIECE
                break
    return written


def content_files(disk: SimDisk) -> Iterator[tuple[str, SimFile]]:
    """Walk the content: path below its root, file."""

    def walk(folder: SimFolder, above: str) -> Iterator[tuple[str, SimFile]]:
        for name, node in folder.names.items():
            if isinstance(node, SimFolder):
                yield from walk(node, f"{above}{name}/")
            else:
                yield above + name, node

    thing = disk.folder("data").names.get("thing")
    if isinstance(thing, SimFolder):
        yield from walk(thing, "")


def on_disk(disk: SimDisk) -> bytes:
    """Put together the content as it lies there, zeros where there is nothing."""
    found = dict(content_files(disk))
    parts = []
    for path, expected in FILES.items():
        file = found.get(path) or found.get(path + ".part")
        parts.append((b"" if file is None else bytes(file.content))[: len(expected)].ljust(len(expected), b"\0"))
    return b"".join(parts)


def inspect(disk: SimDisk) -> None:
    """Look at a disk before anything is started on it."""
    for path, file in content_files(disk):
        if path in FILES and bytes(file.content) != FILES[path]:
            raise Violation(f"{path} has its final name and is not right")
    for name, node in disk.folder("state").names.items():
        if name.endswith((".resume", ".resume.bak")):
            assert isinstance(node, SimFile)
            snapshot = decode_snapshot(bytes(node.content), THING.info_hash, THING.num_pieces, len(FILES))
            if snapshot is None:
                raise Violation(f"I5: {name} is torn")


def recover(
    disk: SimDisk, random: Random, strict: bool, dropping: bool, promised: set[int], most_read: int | None
) -> Run:
    """Start again on what is left, and compare."""
    unnamed = set(FILES) - dict(content_files(disk)).keys()
    for _, file in content_files(disk):
        file.bytes_read = 0
    run = Run(disk, random, strict, dropping)
    try:
        run.check()
    except StorageError as error:
        raise Violation(f"does not start: {error}") from error
    lying = on_disk(disk)
    for piece in run.store.have:
        if lying[piece * PIECE :][:PIECE] != CONTENT[piece * PIECE :][:PIECE]:
            raise Violation(f"I2: piece {piece} is had and wrong")
    lost = promised - set(run.store.have)
    if lost:
        raise Violation(f"I1: pieces {sorted(lost)} were vouched for and are lost")
    read = sum(file.bytes_read for _, file in content_files(disk))
    # Those that turned out whole got their names now, when nothing in them was in doubt any more.
    read -= sum(file.bytes_read for path, file in content_files(disk) if path in unnamed)
    if most_read is not None and read > most_read + SLACK:
        raise Violation(f"I4: {read} bytes were read, {most_read} not committed")
    litter = [name for name in disk.folder("state").names if name.endswith(".tmp")]
    if litter:
        raise Violation(f"I5: {litter} left behind")
    return run


def live(seed: int, *, strict: bool, lives: int = 3, refusals: bool = False, dropping: bool = False) -> None:
    """
    Download in several lives, each ended by a power cut, a kill or in order, and check what each finds of the last.

    :raise Violation: something that was promised is not so.
    """
    random = Random(seed)
    disk = SimDisk(random)
    disk.folder("data")
    disk.folder("state")
    promised: set[int] = set()
    most_read: int | None = None
    has_failed = False
    for _ in range(lives):
        inspect(disk)
        run = recover(disk, random, strict, dropping, promised, most_read)
        end = random.choice(("cut", "cut", "kill", "close"))
        disk.cut_at = disk.calls + random.randint(1, 400) if end != "close" else None
        if refusals and random.random() < 0.5:
            disk.refusals.append((random.choice(("fdatasync", "sync_all")), 5))
        wholesale_refused = ("sync_all", 5) in disk.refusals
        try:
            run.fetch(random.randint(0, THING.num_pieces))
            run.finish()
            run.clock.advance(random.choice((0.5, 2)))
            run.finish()
            if end == "close":
                run.finish(run.store.close())
            disk.cut_at = disk.calls + 1
            disk.now()
        except PowerCut:
            pass
        disk.cut_at, disk.is_dead = None, False
        # The last sync of an orderly end may be the one that failed: then nobody is told, and the next start looks.
        has_failed = has_failed or (wholesale_refused and not disk.refusals)
        failed = run.store.failed is not None
        had = run.vouched & set(run.store.have)  # what it found lost itself, it has taken back
        if end == "close" and not failed:
            promised, most_read = had, 0
            disk = disk.after_the_cut() if random.random() < 0.5 else disk.after_a_kill()
        elif end == "kill":
            promised, most_read = had, written_bytes(run)
            disk = disk.after_a_kill()
        else:
            promised, most_read = had if strict else set(), written_bytes(run)
            disk = disk.after_the_cut()
        has_failed = has_failed or failed
        if has_failed:
            most_read = None  # a disk that did not do as told leaves files that look changed
    disk.refusals.clear()
    inspect(disk)
    run = recover(disk, random, strict, dropping, promised, most_read)
    run.fetch(THING.num_pieces)
    run.finish()
    if not run.store.is_complete or dict(content_files(disk)).keys() != FILES.keys() or on_disk(disk) != CONTENT:
        raise Violation("the download does not end well")
