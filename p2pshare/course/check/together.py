"""The logs of a swarm side by side: what one peer says must be possible for the others."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from p2pshare.course.check.findings import Findings, Weight
from p2pshare.course.check.reading import SLACK, Entry, Logs, PeerLog
from p2pshare.course.sentences import (
    TEMPLATES,
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    Sentence,
    WasConnected,
    WasUnchoked,
)

Note = Callable[[str, str], None]  # takes the kind of a finding, and its text


@define(eq=False)
class _Known:
    """What one peer's own log tells that others may refer to."""

    log: PeerLog
    started_with_file: bool
    got: dict[int, Entry] = field(factory=dict)  # piece -> when it came
    met: dict[int, Entry] = field(factory=dict)  # neighbor -> when they were connected
    dialled: set[int] = field(factory=set)
    answered: set[int] = field(factory=set)
    chosen: set[int] = field(factory=set)  # preferred or optimistically unchoked at some time
    interested: set[int] = field(factory=set)  # who told it so
    heard: dict[int, set[int]] = field(factory=dict)  # neighbor -> the pieces it said to have
    sources: dict[int, Entry] = field(factory=dict)  # neighbor -> the first piece from it


def check_together(logs: Logs, findings: Findings) -> None:
    """Compare every log with those of its neighbors, as far as they are there."""
    known = {peer: _learn(log, logs.started_with_file(peer)) for peer, log in logs.by_peer.items()}
    for peer in logs.peers:
        if peer not in known:
            findings.add(Weight.ERROR, f"no log {peer}", "", None, f"peer {peer} of PeerInfo.cfg has no log")
    for me in known.values():
        for entry in me.log.own:
            other = known.get(getattr(entry.sentence, "other", me.log.peer))
            if other is not None and other is not me:
                _compare(me, entry, other, findings)
        for other in known.values():
            if other is not me:
                _check_pair(me, other, findings, all_meet=logs.info is not None)
    _check_vocabulary(logs, findings)


def _learn(log: PeerLog, started_with_file: bool) -> _Known:
    me = _Known(log, started_with_file)
    for entry in log.own:
        match entry.sentence:
            case MadeConnection(other=other):
                me.dialled.add(other)
                me.met.setdefault(other, entry)
            case WasConnected(other=other):
                me.answered.add(other)
                me.met.setdefault(other, entry)
            case ChangedPreferred(neighbors=neighbors):
                me.chosen.update(neighbors)
            case ChangedOptimistic(other=other):
                me.chosen.add(other)
            case ReceivedInterested(other=other):
                me.interested.add(other)
            case ReceivedHave(other=other, piece=piece):
                me.heard.setdefault(other, set()).add(piece)
            case DownloadedPiece(other=other, piece=piece):
                me.got.setdefault(piece, entry)
                me.sources.setdefault(other, entry)
    return me


def _compare(me: _Known, entry: Entry, other: _Known, findings: Findings) -> None:
    """Look at one line about a neighbor whose log is there, too."""
    peer, name = me.log.peer, other.log.peer

    def note(kind: str, text: str) -> None:
        what = f"{type(entry.sentence).__name__} {kind} {name}"
        findings.add(Weight.ERROR, what, me.log.file, entry.line, text)

    match entry.sentence:
        case MadeConnection() if peer not in other.answered:
            note("answer", f"dials {name}, whose log does not say “is connected from Peer {peer}”")
        case WasConnected() if peer not in other.dialled:
            note("dial", f"is connected from {name}, whose log does not say “makes a connection to Peer {peer}”")
        case WasUnchoked() if peer not in other.chosen:
            note("chosen", f"is unchoked by {name}, which never has it as preferred or optimistic neighbor")
        case ReceivedHave(piece=piece):
            _check_source(entry, other, piece, f"hears from {name} that it has piece {piece}", note)
        case DownloadedPiece(piece=piece):
            _check_source(entry, other, piece, f"gets piece {piece} from {name}", note)


def _check_source(entry: Entry, other: _Known, piece: int, what: str, note: Note) -> None:
    """Whoever offers a piece, or sends it, must have had it by then."""
    if other.started_with_file:
        return
    came = other.got.get(piece)
    if came is None:
        note("never", f"{what}, which by its own log it never got")
    elif came.time is not None and entry.time is not None and came.time > entry.time + SLACK:
        note("later", f"{what}, which by its own log it got {came.time - entry.time:.0f} s later")


def _check_pair(me: _Known, other: _Known, findings: Findings, *, all_meet: bool) -> None:
    """Look for what the log of one lacks, by what the log of the other says."""
    peer, name = me.log.peer, other.log.peer
    if name in me.sources and peer not in other.interested:
        line = me.sources[name].line
        text = f"gets pieces from {name}, whose log never says that {peer} is interested"
        findings.add(Weight.ERROR, f"interest {name}", me.log.file, line, text)
    if all_meet and peer < name and name not in me.met and peer not in other.met:
        text = f"never is connected to {name}, as all peers of PeerInfo.cfg are with each other"
        findings.add(Weight.ERROR, f"unmet {name}", me.log.file, None, text)
    met = me.met.get(name)
    if met is not None:
        _check_haves(me, met, other, findings)


def _check_haves(me: _Known, met: Entry, other: _Known, findings: Findings) -> None:
    """Every piece that a neighbor got while connected was told to everybody."""
    heard = me.heard.get(other.log.peer, set())
    for piece, came in other.got.items():
        if piece in heard:
            continue
        weight = Weight.WARNING
        if came.time is not None and met.time is not None:
            if came.time <= met.time + SLACK:
                continue  # the bitfield told of it
            weight = Weight.ERROR
        text = f"never hears that {other.log.peer} has piece {piece}, which it got in line {came.line} of its log"
        findings.add(weight, f"unheard {other.log.peer}", me.log.file, None, text)


def _check_vocabulary(logs: Logs, findings: Findings) -> None:
    """Name the sentences that nobody ever wrote."""
    said: set[type[Sentence]] = {type(entry.sentence) for log in logs.by_peer.values() for entry in log.entries}
    for kind, template in TEMPLATES.items():
        if kind not in said:
            findings.add(Weight.NOTE, kind.__name__, "", None, f"nobody ever says “{template}”")
