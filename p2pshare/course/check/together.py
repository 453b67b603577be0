"""The logs of a swarm side by side: what one peer says must be possible for the others."""

from __future__ import annotations

from collections.abc import Callable

from p2pshare.course.check.findings import Findings, Weight
from p2pshare.course.check.known import Known, learn
from p2pshare.course.check.reading import SLACK, Entry, Logs
from p2pshare.course.check.wishes import MOMENT, check_interest, check_unchokes
from p2pshare.course.check.words import in_words
from p2pshare.course.sentences import (
    TEMPLATES,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    Sentence,
    WasConnected,
    WasUnchoked,
)

Note = Callable[[str, str], None]  # takes the kind of a finding, and its text


def check_together(logs: Logs, findings: Findings) -> None:
    """Compare every log with those of its neighbors, as far as they are there."""
    known = {peer: learn(log, logs.started_with_file(peer)) for peer, log in logs.by_peer.items()}
    for peer in logs.peers:
        if peer not in known:
            findings.add(Weight.ERROR, f"no log {peer}", "", None, f"peer {peer} of PeerInfo.cfg has no log")
    slots = 0 if logs.common is None else logs.common.preferred_neighbors
    for me in known.values():
        for entry in me.log.own:
            other = known.get(getattr(entry.sentence, "other", me.peer))
            if other is not None and other is not me:
                _compare(me, entry, other, findings)
        for other in known.values():
            if other is not me:
                _check_pair(me, other, findings, all_meet=logs.info is not None)
                check_unchokes(me, other, findings)
                is_seed = logs.info is not None and other.started_with_file
                check_interest(me, other, findings, is_seed=is_seed, slots=slots)
    _check_vocabulary(logs, findings)


def _compare(me: Known, entry: Entry, other: Known, findings: Findings) -> None:
    """Look at one line about a neighbor whose log is there, too."""
    peer, name = me.peer, other.peer

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
            _check_source(me, entry, other, piece, f"hears from {name} that it has piece {piece}", note)
        case DownloadedPiece(piece=piece):
            _check_source(me, entry, other, piece, f"gets piece {piece} from {name}", note)


def _check_source(me: Known, entry: Entry, other: Known, piece: int, what: str, note: Note) -> None:
    """Whoever offers a piece, or sends it, must have had it by then."""
    if other.started_with_file:
        if isinstance(entry.sentence, ReceivedHave):
            note("seed", f"{what}, which had the file from the start and so gets no piece to tell of")
        return
    came = other.got.get(piece)
    if came is None:
        note("never", f"{what}, which by its own log it never got")
    elif came.time is not None and entry.time is not None:
        late = came.time + me.lead_over(other) - entry.time
        if late > SLACK:
            note("later", f"{what}, which by its own log it got {late:.0f} s later")


def _check_pair(me: Known, other: Known, findings: Findings, *, all_meet: bool) -> None:
    """Look for what the log of one lacks, by what the log of the other says."""
    peer, name = me.peer, other.peer
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


def _check_haves(me: Known, met: Entry, other: Known, findings: Findings) -> None:
    """
    Find pieces that a neighbor got while connected, and did not tell of.

    Its bitfield told of those before, and, as logs have whole seconds, perhaps of some right after; but of none that
    came when the bitfield was there for sure.
    """
    name = other.peer
    heard = me.heard.get(name, {})
    surely, lead = _when_informed(me, other), me.lead_over(other)
    last = max((other.got[piece].line for piece in heard if piece in other.got), default=0)
    for piece, came in other.got.items():
        if piece in heard or (not me.is_whole and came.line > last):  # a log that breaks off tells nothing of later
            continue
        since = None if came.time is None or met.time is None else came.time + lead - met.time  # s
        told = surely is not None and came.line > surely and (since is None or since >= -SLACK)
        if told or (since is not None and since > SLACK):
            text = f"never hears that {name} has piece {piece}, which it got in line {came.line} of its log"
            findings.add(Weight.ERROR, f"unheard {name}", me.log.file, None, text)


def _when_informed(me: Known, other: Known) -> int | None:
    """Find the line of a neighbor's log from which on its bitfield was with us; None: the logs do not tell."""
    joined = other.joined.get(me.peer)
    if joined is None:
        return None
    lines = [came.line for came in other.got.values() if came.line > joined]
    heard = me.heard.get(other.peer, {})
    told = [other.got[piece].line for piece in heard if piece in other.got and other.got[piece].line > joined]
    if me.peer in other.informed:
        told.append(other.informed[me.peer])
    if not heard and len(lines) >= MOMENT:
        told.append(joined)  # so many pieces cannot have come while they greeted each other
    return min(told, default=None)


def _check_vocabulary(logs: Logs, findings: Findings) -> None:
    """Name the sentences that nobody ever wrote."""
    said: set[type[Sentence]] = {type(entry.sentence) for log in logs.by_peer.values() for entry in log.entries}
    for kind in TEMPLATES:
        if kind not in said:
            findings.add(Weight.NOTE, kind.__name__, "", None, f"nobody ever says “{in_words(kind)}”")
