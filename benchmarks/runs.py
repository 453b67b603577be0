"""One transfer: a seed, one or more leeches, and what it took them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import define, evolve, field, frozen

from benchmarks.clients import CLIENTS, Place
from benchmarks.contents import difference
from benchmarks.network import Network, free_ports, loopback_bytes
from benchmarks.processes import ProgramFailed, Programs, Running, programs
from benchmarks.report import Bystanders
from benchmarks.tracker import Tracker

SLOWEST = 4_000_000  # bytes/second: whoever is slower is not waited for
PATIENCE = 60.0  # s for all the rest, checking included
SETTLE = 0.3  # s between the seed's first announce and the leeches
BEGUN = 256 * 1024  # bytes on the wire that count as begun: handshakes and haves are less
POLL_EVERY = 0.002  # s
LOOK_EVERY = 0.02  # s between two looks at memory

Pair = tuple[str, str]  # seed, leech


@frozen
class Job:
    """What is transferred."""

    content: Path
    torrent: Path
    size: int  # bytes


@frozen
class Figures:
    """What one transfer took. Times in seconds, memory in bytes."""

    first_s: float  # from the start of the leeches to the first byte, announce and all
    transfer_s: float  # from there to the last one's word that everything is verified and on disk
    MBps: float  # 10^6 bytes/second in that time, all leeches together
    cpu_seed_s: float  # while the leeches ran
    cpu_leech_s: float  # from its start; all leeches together
    memory_seed: int
    memory_leech: int  # the largest one
    others_cpu_s: float
    disturbed: bool
    copies: float | None = None  # that the seed says it gave; None when it did not say goodbye

    @property
    def wall_s(self) -> float:
        """From the start of the leeches to the end."""
        return self.first_s + self.transfer_s


@define(eq=False)
class Course:
    """Where transfers are run, one after the other."""

    _network: Network
    _tracker: Tracker
    _folder: Path
    _number: int = field(init=False, default=0)

    def run(self, pair: Pair, job: Job, leeches: int = 1) -> Figures:
        """
        Run one from scratch.

        :raise ProgramFailed: a client ended or was too slow, or a copy differs.
        """
        self._number += 1
        work = self._folder / f"run-{self._number}"
        try:
            seed, *others = self._places(job, leeches, work)
            with programs() as started:
                figures = self._race(pair, seed, others, job, started)
            for place in others:
                wrong = difference(job.content, place.content)
                if wrong is not None:
                    raise ProgramFailed(f"the copy of {pair[1]}: {wrong}")
        finally:
            shutil.rmtree(work, ignore_errors=True)
        given = self._tracker.given_by(seed.port)
        return figures if given is None else evolve(figures, copies=given / job.size)

    def _places(self, job: Job, leeches: int, work: Path) -> list[Place]:
        self._tracker.forget()
        places = []
        for number, port in enumerate(free_ports(1 + leeches)):
            folder = work / str(number)
            folder.mkdir(parents=True)
            content = job.content if number == 0 else folder / "content" / job.content.name
            content.parent.mkdir(exist_ok=True)
            host = self._network.host(2 + number)
            self._tracker.hosts[port] = host
            places.append(Place(host, port, job.torrent, content, folder, number == 0))
        return places

    def _race(self, pair: Pair, place: Place, others: Sequence[Place], job: Job, started: Programs) -> Figures:
        seed = _start(pair[0], place, started)
        self._wait_for_seed(seed, place, PATIENCE + job.size / SLOWEST)
        time.sleep(SETTLE)
        bystanders = Bystanders(started.user_cpu)
        spent, base, begin = seed.cpu, loopback_bytes(), time.monotonic()
        leeches = [_start(pair[1], other, started) for other in others]
        patience = PATIENCE + job.size * len(others) / SLOWEST
        first = watch([seed, *leeches], [other.done for other in others], base + min(BEGUN, job.size // 2), patience)
        end = time.monotonic()
        for running in (seed, *leeches):
            running.look()
        transfer = end - first
        return Figures(
            first_s=first - begin,
            transfer_s=transfer,
            MBps=job.size * len(others) / transfer / 1e6,
            cpu_seed_s=seed.cpu - spent,
            cpu_leech_s=sum(leech.cpu for leech in leeches),
            memory_seed=seed.private,
            memory_leech=max(leech.private for leech in leeches),
            others_cpu_s=bystanders.taken,
            disturbed=bystanders.disturbed,
        )

    def _wait_for_seed(self, seed: Running, place: Place, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self._tracker.has_seed(place.port):
            seed.look()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{seed.name} did not seed within {patience:.0f} s")
            time.sleep(LOOK_EVERY)
        seed.private = 0  # what it needed to check its content is another matter


def _start(client: str, place: Place, started: Programs) -> Running:
    role = "seed" if place.is_seed else "leech"
    known = CLIENTS[client]
    return started.start(f"{client} as {role}", known.command(place), place.work, known.stop_within)


def watch(running: Sequence[Running], awaited: Sequence[Path], begun: int, patience: float) -> float:
    """
    Look until all these files are there.

    :param begun: when the loopback interface has carried so much, the first byte has come.
    :return: when that was.
    """
    start = looked = time.monotonic()
    first: float | None = None
    while True:
        now = time.monotonic()
        if first is None and loopback_bytes() >= begun:
            first = now
        if all(file.exists() for file in awaited):
            return start if first is None else first
        if now - looked >= LOOK_EVERY:
            looked = now
            for one in running:
                one.look()
        if now - start > patience:
            raise ProgramFailed(f"not complete within {patience:.0f} s")
        time.sleep(POLL_EVERY)
