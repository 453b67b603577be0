"""
How long a search takes in a running index: milliseconds from the question to its answer in the reactor.

Run ``python -m benchmarks.search`` from the project's folder. ``--idle`` leaves out the announces and registrations
that go on meanwhile, ``--at-once N`` asks N questions at the same time, ``--index FILE`` keeps the index there and
begins with it the next time. Of 100,000 files, 99 of 100 answers have to come within 50 milliseconds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from attrs import evolve
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, react

from benchmarks.report import Report, options, print_table
from p2pshare.index.catalogue import Catalogue, open_catalogue
from p2pshare.index.records import Member, NodeClaim, ShareClaim
from p2pshare.index.search import SearchQuery, Sort
from p2pshare.index.share_rows import content_of, put_share

FILES = 100_000
NODES = 300
QUESTIONS = 2000
ANNOUNCES = 50  # every tenth of a second: a tracker with a million peers has 555 a second
REGISTRATIONS = 0.1  # seconds between two

_SUBJECTS = """
annual report budget meeting notes summary invoice contract draft review proposal presentation schedule analysis thesis
chapter appendix manual guide tutorial handbook backup archive dataset training validation model weights checkpoint
corpus wikipedia genome satellite climate survey election census traffic weather sensor camera holiday wedding birthday
concert festival mountain river ocean forest island winter summer autumn spring garden kitchen music guitar piano drums
violin symphony sonata live acoustic remix original soundtrack trailer documentary interview lecture physics chemistry
biology history geography algebra calculus geometry statistics python rust kernel debian ubuntu fedora installer netinst
server desktop image release source package library driver firmware update patch security night city street light dark
shadow dragon secret journey return legend king queen star moon sun über café señor naïve zoë
"""
SUBJECTS = _SUBJECTS.split()
_CONSONANTS = "bdfghklmnrstv"
SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in "aeio"]
HAN = "音乐视频文档报告年度会议记录山水花鸟電影日本語東京写真"
CATEGORIES = {
    "jpg": "image",
    "mkv": "video",
    "mp4": "video",
    "mp3": "audio",
    "flac": "audio",
    "pdf": "document",
    "docx": "document",
    "xlsx": "document",
    "gz": "archive",
    "zip": "archive",
}


class Names:
    """Names as people give them: photographs, episodes, songs, papers, packages, and names of people and places."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def make(self) -> str:
        random = self._random
        kinds = (self._photograph, self._episode, self._song, self._paper, self._package, self._han)
        return random.choices(kinds, (20, 15, 20, 25, 15, 5))[0]()

    def proper(self) -> str:
        """Give a word that only a few files have."""
        return "".join(self._random.choices(SYLLABLES, k=self._random.randint(2, 4)))

    def word(self) -> str:
        return self.proper() if self._random.random() < 0.3 else self._random.choice(SUBJECTS)

    def _words(self, least: int, most: int) -> list[str]:
        return [self.word() for _ in range(self._random.randint(least, most))]

    def _photograph(self) -> str:
        random = self._random
        day = f"{random.randint(2005, 2026)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
        return f"IMG_{day}_{random.randint(0, 235959):06}.jpg"

    def _episode(self) -> str:
        random = self._random
        title = ".".join(word.title() for word in self._words(2, 4))
        which = f"S{random.randint(1, 9):02}E{random.randint(1, 24):02}.{random.choice(('720p', '1080p', '2160p'))}"
        return f"{title}.{which}.{random.choice(('WEB-DL', 'BluRay'))}.x{random.choice((264, 265))}.mkv"

    def _song(self) -> str:
        title = " ".join(word.title() for word in self._words(1, 4))
        artist = f"{self.proper().title()} {self.proper().title()}"
        return f"{self._random.randint(1, 20):02} - {artist} - {title}.{self._random.choice(('mp3', 'flac'))}"

    def _paper(self) -> str:
        kind = self._random.choice(("pdf", "docx", "xlsx"))
        return f"{'_'.join(self._words(2, 4))}_{self._random.choice(('final', 'draft', 'v2', '2024'))}.{kind}"

    def _package(self) -> str:
        random = self._random
        version = f"{random.randint(0, 9)}.{random.randint(0, 20)}.{random.randint(0, 9)}"
        return f"{'-'.join(self._words(1, 2))}-{version}.{random.choice(('tar.gz', 'zip', 'iso'))}"

    def _han(self) -> str:
        return "".join(self._random.choices(HAN, k=self._random.randint(3, 8))) + ".mp4"


def claim(names: Names, number: int, random: Random) -> ShareClaim:
    """Make up a file that some node shares."""
    name = names.make()
    owner = random.randrange(NODES)
    return ShareClaim(
        filename=name,
        size=int(min(random.paretovariate(0.5) * 1000, 1e12)),
        hash=f"{number:064x}",
        owner=f"node{owner}",
        peer_address=f"10.0.{owner // 256}.{owner % 256}:9001",
        category=CATEGORIES.get(name.rpartition(".")[2], "other"),
        tags=tuple({random.choice(SUBJECTS) for _ in range(random.randint(0, 3))}),
    )


def fill(connection: Connection, claims: list[ShareClaim], since: float) -> None:
    """Enter many files at once."""
    for number, one in enumerate(claims):
        put_share(connection, content_of(connection, [one.key], since), one, since + number)


def questions(names: Names, random: Random) -> dict[str, Callable[[], SearchQuery]]:
    """Make up what people ask, by kind; the sort and the page are drawn for each."""

    def ask(text: str = "", **said: Any) -> SearchQuery:
        offset = random.choice((0, 0, 0, 50, 500))
        return SearchQuery(text, sort=random.choice(list(Sort)), offset=offset, **said)

    def begun() -> SearchQuery:
        word = names.word()
        return ask(word[: random.randint(1, len(word))])

    return {
        "a word": lambda: ask(names.word()),
        "two words": lambda: ask(f"{names.word()} {names.word()}"),
        "a word as it is typed": begun,
        "one letter": lambda: ask(random.choice("abcdefghiklmnoprstuvwy0123456789")),
        "two letters": lambda: ask(random.choice(SUBJECTS)[:2]),
        "an extension": lambda: ask(random.choice(list(CATEGORIES))),
        "a whole name": lambda: ask(names.make()),
        "two Han characters": lambda: ask("".join(random.sample(HAN, 2))),
        "a word in a category, online": lambda: ask(names.word(), category="document", online=True),
        "an extension and a size": lambda: ask("jpg", min_size=5000, max_size=1_000_000, online=True),
        "two tags": lambda: ask(tags=tuple(random.sample(SUBJECTS, 2))),
        "a category": lambda: ask(category=random.choice(list(CATEGORIES.values()))),
        "an owner": lambda: ask(owner=f"node{random.randrange(NODES)}"),
        "everything": lambda: ask(),
        "everything online": lambda: ask(online=True),
        "a letter in a category": lambda: ask(random.choice("aeinrst"), category="document"),
        "a rare word in a category": lambda: ask(names.proper(), category="audio"),
        "nothing: jpg in documents": lambda: ask("jpg", category="document"),
        "a page far behind": lambda: evolve(ask(random.choice(("", "a", "mkv"))), offset=random.randrange(20_000)),
    }


async def measure(catalogue: Catalogue, ask: Callable[[], SearchQuery], times: int, at_once: int) -> list[float]:
    """Ask, some questions at the same time; the milliseconds of each answer."""
    taken: list[float] = []

    def one() -> Deferred[None]:
        start = time.perf_counter()
        return catalogue.shares.search(ask()).addCallback(lambda _: taken.append((time.perf_counter() - start) * 1000))

    for _ in range(max(times // at_once, 1)):
        await gatherResults([one() for _ in range(at_once)])
    return taken


def keep_busy(catalogue: Catalogue, names: Names, random: Random) -> list[LoopingCall]:
    """Have peers announce and nodes register files, as they do in a service."""
    numbers = count(1 << 40)  # contents that nobody has yet

    def announce() -> None:
        for _ in range(ANNOUNCES):
            peer = random.randrange(100_000)
            member = Member(f"-XX0001-{peer:012}", "10.1.2.3", 6881, 0, 0, peer % 2, time.time())
            catalogue.memberships.joined(b"%020d" % (peer % 1000), member)

    def register() -> Deferred[Any]:
        return catalogue.shares.register(claim(names, next(numbers), random))

    rounds = [LoopingCall(announce), LoopingCall(register)]
    for task, period in zip(rounds, (0.1, REGISTRATIONS), strict=True):
        task.start(period)
    return rounds


def at_percent(values: list[float], percent: float) -> float:
    """Give the value that so many of a hundred do not exceed."""
    return sorted(values)[min(int(len(values) * percent / 100), len(values) - 1)]


@contextmanager
def place(file: Path | None) -> Iterator[str]:
    """Say where the index goes: into a file that stays, or one that does not."""
    if file is not None:
        yield str(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "index.db")


async def enter(catalogue: Catalogue, names: Names, random: Random, files: int) -> None:
    """Have nodes register, and enter their files."""
    for number in range(NODES):
        await catalogue.nodes.register(NodeClaim(f"10.0.{number // 256}.{number % 256}", 9001, f"node{number}"))
    start = time.perf_counter()
    for first in range(0, files, 1000):
        claims = [claim(names, first + number, random) for number in range(min(1000, files - first))]
        await catalogue._database.write(partial(fill, claims=claims, since=1.7e9 + first))
    took = time.perf_counter() - start
    print(f"{files} files entered in {took:.1f} s, {took / max(files, 1) * 1e6:.0f} us each")


def in_short(taken: list[float]) -> dict[str, float]:
    """Sum up milliseconds."""
    return {
        "median": round(median(taken), 2),
        "p99": round(at_percent(taken, 99), 2),
        "worst": round(max(taken), 2),
    }


async def run(reactor: Any, chosen: argparse.Namespace) -> None:
    """Fill a catalogue, ask it, and report."""
    random = Random(0)
    names = Names(random)
    report = Report("search", chosen.json)
    with place(chosen.index) as path:
        catalogue = open_catalogue(path, reactor, time.time, random)
        catalogue.startService()
        if not (await catalogue.network_figures()).total_files:
            await enter(catalogue, names, random, chosen.files)
        files = (await catalogue.network_figures()).total_files
        rounds = [] if chosen.idle else keep_busy(catalogue, names, random)
        kinds = questions(names, random)
        taken = {
            kind: await measure(catalogue, ask, chosen.questions // len(kinds), chosen.at_once)
            for kind, ask in kinds.items()
        }
        for task in rounds:
            task.stop()
        await catalogue.stopService()
    taken["all of these"] = [milliseconds for answers in taken.values() for milliseconds in answers]
    results = {kind: in_short(answers) for kind, answers in taken.items()}
    rows = [[kind, *(f"{value:.2f}" for value in row.values())] for kind, row in results.items()]
    print_table([f"milliseconds, {files} files", "median", "p99", "worst"], rows)
    report.finish(files=files, at_once=chosen.at_once, idle=chosen.idle, ms=results)


def main() -> None:
    """Measure every kind of question, and print a table."""
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=FILES, help="files in the index (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="questions in all (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="questions asked at the same time")
    parser.add_argument("--idle", action="store_true", help="nothing else happens meanwhile")
    parser.add_argument("--index", type=Path, metavar="FILE", help="keep the index there, and use it again")
    chosen = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, chosen)))


if __name__ == "__main__":
    main()
