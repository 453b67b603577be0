"""What one peer's own log tells that the logs of others must agree with."""

from __future__ import annotations

from attrs import define, field

from p2pshare.course.check.reading import SLACK, Entry, PeerLog
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    DownloadedFile,
    DownloadedPiece,
    MadeConnection,
    ReceivedHave,
    ReceivedInterested,
    ReceivedNotInterested,
    WasChoked,
    WasConnected,
    WasUnchoked,
)


@define(eq=False)
class Known:
    """
    One peer, in its own words.

    What belongs to a connection is that of the last one to a neighbor: who was started again has a new log.
    """

    log: PeerLog
    started_with_file: bool
    got: dict[int, Entry] = field(factory=dict)  # piece -> when it came
    completed: Entry | None = None
    met: dict[int, Entry] = field(factory=dict)  # neighbor -> when they were first connected
    joined: dict[int, int] = field(factory=dict)  # neighbor -> the line in which they were last connected
    meetings: dict[int, int] = field(factory=dict)  # neighbor -> how often they were connected
    # neighbor -> the first line that it caused when it had our bitfield: without it is no interest, and so no unchoke
    informed: dict[int, int] = field(factory=dict)
    dialled: set[int] = field(factory=set)
    answered: set[int] = field(factory=set)
    chosen: set[int] = field(factory=set)  # preferred or optimistically unchoked at some time
    # neighbor -> each moment at which it may have been unchoked: newly named, or interested again after it was named
    named: dict[int, list[Entry]] = field(factory=dict)
    interested: set[int] = field(factory=set)  # who told it so
    wishes: dict[int, list[Entry]] = field(factory=dict)  # neighbor -> each time it was interested, or not any more
    heard: dict[int, dict[int, Entry]] = field(factory=dict)  # neighbor -> the pieces it said to have
    unchokes: dict[int, list[Entry]] = field(factory=dict)  # neighbor -> each time it unchoked us and had choked us
    sources: dict[int, Entry] = field(factory=dict)  # neighbor -> the first piece from it
    rounds: dict[int, tuple[int, int]] = field(factory=dict)  # piece -> who sent it, after so many unchokes
    unchoked_by: set[int] = field(factory=set)

    @property
    def peer(self) -> int:
        """Its id."""
        return self.log.peer

    @property
    def is_whole(self) -> bool:
        """Whether it had the file in the end, and so its log tells of all the run."""
        return self.started_with_file or self.completed is not None

    def lead_over(self, other: Known) -> float:
        """
        Name the seconds to add to another's times, to have them by this one's clock.

        Zones and clocks may differ, and dates may be missing; but a connection begins for both at the same moment.
        """
        ours, theirs = self.met.get(other.peer), other.met.get(self.peer)
        if ours is None or theirs is None or ours.time is None or theirs.time is None:
            return 0.0
        lead = ours.time - theirs.time
        once = self.meetings[other.peer] == other.meetings[self.peer] == 1
        return lead if once and abs(lead) > SLACK else 0.0


def learn(log: PeerLog, started_with_file: bool) -> Known:
    """Go through a log once."""
    me = Known(log, started_with_file)
    preferred: set[int] = set()
    for entry in log.own:
        match entry.sentence:
            case MadeConnection(other=other):
                me.dialled.add(other)
                _meet(me, entry, other)
            case WasConnected(other=other):
                me.answered.add(other)
                _meet(me, entry, other)
            case ChangedPreferred(neighbors=neighbors):
                for other in set(neighbors) - preferred:
                    me.named.setdefault(other, []).append(entry)
                preferred = set(neighbors)
                me.chosen.update(neighbors)
            case ChangedOptimistic(other=other):
                me.named.setdefault(other, []).append(entry)
                me.chosen.add(other)
            case ReceivedInterested(other=other):
                me.interested.add(other)
                me.wishes.setdefault(other, []).append(entry)
                me.informed.setdefault(other, entry.line)
                if other in me.named:
                    me.named[other].append(entry)
            case ReceivedHave(other=other, piece=piece):
                me.heard.setdefault(other, {}).setdefault(piece, entry)
            case DownloadedPiece(other=other, piece=piece):
                me.got.setdefault(piece, entry)
                me.sources.setdefault(other, entry)
                me.completed = me.completed and entry  # it said so too early
                me.rounds.setdefault(piece, (other, len(me.unchokes.get(other, ()))))
            case WasUnchoked(other=other):
                me.informed.setdefault(other, entry.line)
                if other not in me.unchoked_by:
                    me.unchokes.setdefault(other, []).append(entry)
                me.unchoked_by.add(other)
            case WasChoked(other=other):
                me.unchoked_by.discard(other)
            case DownloadedFile():
                me.completed = me.completed or entry
            case ReceivedNotInterested(other=other):
                me.wishes.setdefault(other, []).append(entry)
    return me


def _meet(me: Known, entry: Entry, other: int) -> None:
    me.met.setdefault(other, entry)
    me.joined[other] = entry.line
    me.meetings[other] = me.meetings.get(other, 0) + 1
    me.informed.pop(other, None)
    me.unchokes.pop(other, None)
    me.unchoked_by.discard(other)
    for piece in [piece for piece, (source, _) in me.rounds.items() if source == other]:
        del me.rounds[piece]
