"""Two logs side by side: who was interested, who was not any more, and who was unchoked for it."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from p2pshare.course.check.findings import Findings, Weight
from p2pshare.course.check.known import Known
from p2pshare.course.check.reading import SLACK, Entry
from p2pshare.course.sentences import (
    ChangedOptimistic,
    ChangedPreferred,
    ReceivedHave,
    ReceivedInterested,
    Sentence,
    WasChoked,
    WasUnchoked,
)

# Lines of several neighbors may be written in another order than that in which things happened; this many pieces, each
# asked for after the one before, are more than such a moment.
MOMENT = 3


def check_unchokes(me: Known, other: Known, findings: Findings) -> None:
    """
    Find a line missing in which a neighbor names us: each time it unchokes us, it has chosen us anew.

    What it may not have written down is counted in its favour. Where times do not tell, its own haves of us do: what
    we got from it after an unchoke, it cannot hear of before the choice.
    """
    peer, name = me.peer, other.peer
    named = other.named.get(peer)
    if not named:  # told with the first unchoke
        return
    lead = me.lead_over(other)
    unchokes = me.unchokes.get(name, [])
    for unchoke, choice in zip(unchokes, named, strict=False):
        if unchoke.time is None or choice.time is None:
            continue
        late = choice.time + lead - unchoke.time
        if late > 2 * SLACK:
            text = f"is unchoked by {name}, which by its own log names it as preferred or optimistic neighbor"
            findings.add(Weight.ERROR, f"unnamed {name}", me.log.file, unchoke.line, f"{text} {late:.0f} s later")
            return
    if len(unchokes) > len(named):
        line = unchokes[len(named)].line
        text = f"is unchoked by {name} more often than that names it as newly preferred or optimistic neighbor"
        numbers = f"{len(unchokes)} times and {len(named)} times"
        findings.add(Weight.ERROR, f"unnamed {name}", me.log.file, line, f"{text}: {numbers}")
        return
    early = [entry for piece, entry in other.heard.get(peer, {}).items() if _is_early(me, piece, entry, other)]
    if len(early) >= MOMENT:
        text = f"hears that {peer} has pieces it sent, before it names it as preferred or optimistic neighbor"
        findings.add(Weight.ERROR, f"named late {peer}", other.log.file, early[0].line, text)


def _is_early(me: Known, piece: int, heard: Entry, other: Known) -> bool:
    source, number = me.rounds.get(piece, (None, 0))
    named = other.named[me.peer]
    return source == other.peer and 1 <= number <= len(named) and heard.line < named[number - 1].line


def check_interest(me: Known, other: Known, findings: Findings, *, is_seed: bool, slots: int) -> None:
    """
    Look at what a neighbor told of its interest, knowing what it had.

    :param is_seed: it is configured to have the file from the start.
    :param slots: how many preferred neighbors there may be; 0: that is not known.
    """
    peer, name = me.peer, other.peer

    def add(kind: str, line: int | None, text: str) -> None:
        findings.add(Weight.ERROR, f"{kind} {name}", me.log.file, line, text)

    if name in me.named and name not in me.interested and peer not in other.sources:
        line = me.named[name][0].line
        add("wanted", line, f"has {name} as preferred or optimistic neighbor, which never says that it is interested")
    lead, end = me.lead_over(other), _end_of_download(me, other)
    wishes = me.wishes.get(name, [])
    for entry in wishes:
        if not isinstance(entry.sentence, ReceivedInterested):
            continue
        if is_seed:
            add("sated", entry.line, f"hears that {name} is interested, which had the file from the start")
        elif (end is not None and entry.line > end) or _is_later(entry, other.completed, lead):
            add("sated", entry.line, f"hears that {name} is interested, which has the complete file")
            return
    if wishes and isinstance(wishes[-1].sentence, ReceivedInterested):
        overdue = _when_overdue(me, other, wishes[-1].line, end, slots)
        if overdue is not None:
            add("sating", overdue, f"has not heard before that {name} is not interested, though it was, and is not now")


def _when_overdue(me: Known, other: Known, since: int, end: int | None, slots: int) -> int | None:
    """
    Find the first line that shows that a neighbor is not interested any more; None: the log may just have ended.

    :param since: the line in which it said last that it was.
    :param end: the line in which it told of its last piece.
    """
    name, lead = other.peer, me.lead_over(other)
    stayed = other.is_whole and me.meetings.get(name) == 1  # nobody leaves before all have the file
    preferred: tuple[int, ...] = ()
    optimistic: int | None = None
    after = _After(name)
    for entry in me.log.own:
        is_over = _is_later(entry, other.completed, lead)
        if end is not None and entry.line > end:
            is_over = after.shows(entry) or is_over
        match entry.sentence:
            case ChangedPreferred(neighbors=chosen):
                dropped = name in preferred and name not in chosen and name != optimistic and len(chosen) < slots
                is_over = is_over or (dropped and stayed)
                preferred = chosen
            case ChangedOptimistic(other=who):
                optimistic = who
            case _:
                pass
        if is_over and entry.line > since:
            return entry.line
    return None


def _end_of_download(me: Known, other: Known) -> int | None:
    """Find the line in which we hear of the last piece that a neighbor lacked; None: there is none."""
    if other.completed is None or not other.got:
        return None
    piece, came = max(other.got.items(), key=lambda item: item[1].line)
    heard = me.heard.get(other.peer, {}).get(piece)
    return None if heard is None or came.line > other.completed.line else heard.line


def _is_later(entry: Entry, completed: Entry | None, lead: float) -> bool:
    if completed is None or completed.time is None or entry.time is None:
        return False
    return entry.time > completed.time + lead + SLACK


@define(eq=False)
class _After:
    """
    What happens after a neighbor told of its last piece.

    “not interested” comes in the same moment, so it can be missing only if the log ends in that moment.
    """

    _name: int
    _haves: Counter[int] = field(init=False, factory=Counter)  # by neighbor: each gets them one after the other
    _choices: Counter[type[Sentence]] = field(init=False, factory=Counter)  # between two of a kind lies an interval

    def shows(self, entry: Entry) -> bool:
        """Whether that moment is over, when this has happened, too."""
        match entry.sentence:
            case WasUnchoked(other=other) | WasChoked(other=other) if other == self._name:
                return True
            case ReceivedHave(other=other) if other != self._name:
                self._haves[other] += 1
                return self._haves[other] >= MOMENT
            case ChangedPreferred() | ChangedOptimistic():
                self._choices[type(entry.sentence)] += 1
                return self._choices[type(entry.sentence)] > 1
        return False
