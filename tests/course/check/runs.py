"""A short run of three peers that went well, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2pshare.course import sentences
from p2pshare.course.check.reading import Logs, PeerLog, parse_log
from p2pshare.course.check.run import check_logs
from p2pshare.course.config import Common, PeerInfo, PeerLine
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    ReceivedNotInterested,
    Sentence,
    WasChoked,
    WasConnected,
    WasUnchoked,
)

COMMON = Common(
    preferred_neighbors=1,
    unchoking_interval=5.0,
    optimistic_interval=10.0,
    file_name="two.dat",
    file_size=20,
    piece_size=10,
)
INFO = PeerInfo(
    (
        PeerLine(1001, "localhost", 6001, True),
        PeerLine(1002, "localhost", 6002, False),
        PeerLine(1003, "localhost", 6003, False),
    )
)
Said = tuple[int, Sentence]  # seconds since the start
RUN: list[Said] = [
    (0, MadeConnection(1002, 1001)),
    (0, WasConnected(1001, 1002)),
    (1, MadeConnection(1003, 1001)),
    (1, WasConnected(1001, 1003)),
    (1, MadeConnection(1003, 1002)),
    (1, WasConnected(1002, 1003)),
    (2, ReceivedInterested(1001, 1002)),
    (2, ReceivedInterested(1001, 1003)),
    (5, ChangedPreferred(1001, (1002,))),
    (5, ChangedOptimistic(1001, 1003)),
    (5, WasUnchoked(1002, 1001)),
    (5, WasUnchoked(1003, 1001)),
    (6, DownloadedPiece(1002, 1001, 0, 1)),
    (6, DownloadedPiece(1003, 1001, 1, 1)),
    (6, ReceivedHave(1001, 1002, 0)),
    (6, ReceivedHave(1003, 1002, 0)),
    (6, ReceivedHave(1001, 1003, 1)),
    (6, ReceivedHave(1002, 1003, 1)),
    (7, ReceivedInterested(1002, 1003)),
    (7, ReceivedInterested(1003, 1002)),
    (10, ChangedPreferred(1002, (1003,))),
    (10, ChangedPreferred(1003, (1002,))),
    (10, WasUnchoked(1003, 1002)),
    (10, WasUnchoked(1002, 1003)),
    (11, DownloadedPiece(1002, 1003, 1, 2)),
    (11, DownloadedPiece(1003, 1002, 0, 2)),
    (11, DownloadedFile(1002)),
    (11, DownloadedFile(1003)),
    (11, ReceivedHave(1001, 1002, 1)),
    (11, ReceivedHave(1003, 1002, 1)),
    (11, ReceivedHave(1001, 1003, 0)),
    (11, ReceivedHave(1002, 1003, 0)),
    (12, ReceivedNotInterested(1001, 1002)),
    (12, WasChoked(1002, 1001)),
]


def text_of(run: Iterable[Said], peer: int, time: Callable[[int], str] | None = None) -> str:
    """Write the log of one peer."""
    time = time or (lambda seconds: f"[2026-03-04 12:00:{seconds:02}]")
    return "".join(f"{time(when)}: {sentences.write(said)}\n" for when, said in run if said.peer == peer)


def logs_of(
    run: Iterable[Said] = RUN,
    *,
    common: Common | None = COMMON,
    info: PeerInfo | None = INFO,
    time: Callable[[int], str] | None = None,
    extra: str = "",
) -> Logs:
    """
    Write the logs of a run, and read them.

    :param extra: ends the log of 1002.
    """
    run = list(run)
    found: dict[int, PeerLog] = {}
    for peer in sorted({said.peer for _, said in run}):
        text = text_of(run, peer, time) + (extra if peer == 1002 else "")
        found[peer] = parse_log(peer, f"log_peer_{peer}.log", text)
    return Logs(found, common, info)


def without(*left_out: Sentence) -> list[Said]:
    """Leave sentences out of the run; each was in it."""
    assert all(any(said == gone for _, said in RUN) for gone in left_out)
    return [(when, said) for when, said in RUN if said not in left_out]


def after(place: Sentence, *more: Sentence) -> list[Said]:
    """Say more right after some sentence of the run."""
    at = next(number for number, (_, said) in enumerate(RUN) if said == place)
    return [*RUN[: at + 1], *((RUN[at][0], said) for said in more), *RUN[at + 1 :]]


def instead(old: Sentence, new: Sentence) -> list[Said]:
    """Say one sentence in the place of another."""
    assert any(said == old for _, said in RUN)
    return [(when, new if said == old else said) for when, said in RUN]


def found_in(logs: Logs) -> list[str]:
    """Check, and tell what is found, but for notes."""
    return [text for finding in check_logs(logs) if not (text := str(finding)).startswith("note")]
