"""One log by itself: does it tell a story that can have happened in this order?"""

from __future__ import annotations

from attrs import define, field

from p2pshare.course.check.findings import Findings, Weight
from p2pshare.course.check.reading import SLACK, Entry, Logs, PeerLog
from p2pshare.course.check.words import in_words
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
    meant,
)


def check_log(log: PeerLog, logs: Logs, findings: Findings) -> None:
    """
    Go through one log from its first line to its last.

    :param logs: where the configuration is known from.
    """
    for line, text in log.strange:
        kind = meant(text)
        hint = f"; is it to be “{in_words(kind)}”?" if kind else ""
        findings.add(Weight.ERROR, "strange", log.file, line, f"{text!r} is none of the eleven sentences{hint}")
    story = _Story(log, logs, findings)
    for entry in log.entries:
        story.go_on(entry)
    story.end()


@define(eq=False)
class _Story:
    """Where a peer stands, as far as its own log tells."""

    _log: PeerLog
    _logs: Logs
    _findings: Findings
    _started_with_file: bool = field(init=False)
    _total: int | None = field(init=False)  # pieces of the file
    _connected: set[int] = field(init=False, factory=set)
    _strangers: set[int] = field(init=False, factory=set)
    _unchoked_by: set[int] = field(init=False, factory=set)
    _choked: dict[int, Entry] = field(init=False, factory=dict)  # by whom, since when
    _pieces: set[int] = field(init=False, factory=set)
    _haves: set[tuple[int, int]] = field(init=False, factory=set)
    _interested: dict[int, bool] = field(init=False, factory=dict)  # what each neighbor said last
    _preferred: tuple[int, ...] = field(init=False, default=())
    _complete: bool = field(init=False, default=False)
    _time: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._started_with_file = self._logs.started_with_file(self._log.peer)
        self._total = self._logs.num_pieces

    def go_on(self, entry: Entry) -> None:
        """Take the next line."""
        said = entry.sentence
        if said.peer != self._log.peer:
            self._note(entry, "subject", f"speaks of peer {said.peer}, in the log of {self._log.peer}")
            return
        self._check_time(entry)
        match said:
            case MadeConnection() | WasConnected():
                self._met(entry, said)
            case ChangedPreferred():
                self._chose(entry, said)
            case ChangedOptimistic():
                self._known(entry, said.other)
                self._check_wish(entry, said.other, "the optimistically unchoked")
            case DownloadedPiece():
                self._known(entry, said.other)
                self._got_piece(entry, said)
            case DownloadedFile():
                self._got_file(entry)
            case _:
                self._known(entry, said.other)
                self._heard(entry, said)

    def end(self) -> None:
        """There are no more lines."""
        total = self._total
        if self._complete or self._started_with_file:
            return
        missing = "" if total is None else f", with {len(self._pieces)} of {total} pieces"
        self._findings.add(Weight.ERROR, "incomplete", self._log.file, None, f"never has the complete file{missing}")

    def _note(self, entry: Entry, kind: str, text: str, weight: Weight = Weight.ERROR) -> None:
        self._findings.add(weight, kind, self._log.file, entry.line, text)

    def _check_time(self, entry: Entry) -> None:
        if entry.time is not None:
            if self._time is not None and entry.time < self._time:
                self._note(entry, "time", "is older than the line before it", Weight.WARNING)
            self._time = entry.time

    def _met(self, entry: Entry, said: MadeConnection | WasConnected) -> None:
        other, info = said.other, self._logs.info
        if other == said.peer:
            self._note(entry, "itself", "is connected to itself")
        elif other in self._connected:
            self._note(entry, "again", f"is connected to {other} a second time", Weight.WARNING)
        self._connected.add(other)
        if info is None or other == said.peer or not (other in info and said.peer in info):
            return
        earlier = any(peer.id == other for peer in info.before(said.peer))
        if earlier != isinstance(said, MadeConnection):
            who = said.peer if earlier else other
            self._note(entry, "direction", f"{who} has to dial, as it comes later in PeerInfo.cfg")

    def _known(self, entry: Entry, other: int) -> None:
        if other not in self._connected and other not in self._strangers:
            self._note(entry, "stranger", f"names {other} before there is a connection to it")
            self._strangers.add(other)  # once is enough

    def _chose(self, entry: Entry, said: ChangedPreferred) -> None:
        chosen, common = said.neighbors, self._logs.common
        if len(set(chosen)) < len(chosen):
            self._note(entry, "twice", "names a preferred neighbor twice")
        if set(chosen) == set(self._preferred):
            self._note(entry, "unchanged", "has the same preferred neighbors as before", Weight.WARNING)
        if common is not None and len(chosen) > common.preferred_neighbors:
            self._note(
                entry, "slots", f"has {len(chosen)} preferred neighbors, not at most {common.preferred_neighbors}"
            )
        for other in chosen:
            self._known(entry, other)
        for other in chosen:
            if other not in self._preferred:
                self._check_wish(entry, other, "a preferred")
        self._preferred = chosen

    def _check_wish(self, entry: Entry, other: int, what: str) -> None:
        """Who is unchoked wants something. Who never said so is looked at with the log of the other side."""
        if self._interested.get(other) is False:
            self._note(entry, "wish", f"has {other} as {what} neighbor, which is not interested")

    def _got_piece(self, entry: Entry, said: DownloadedPiece) -> None:
        piece, total = said.piece, self._total
        if self._started_with_file:
            self._note(entry, "seed", "downloads a piece, and had the file from the start")
        elif self._complete:
            self._note(entry, "after", f"downloads piece {piece} after the complete file")
        if piece in self._pieces:
            self._note(entry, "repeat", f"downloads piece {piece} again")
        self._pieces.add(piece)
        if said.count != len(self._pieces):
            self._note(entry, "count", f"counts {said.count} pieces, and has downloaded {len(self._pieces)}")
        if self._logs.common is not None and total is not None and piece >= total:
            self._note(entry, "range", f"downloads piece {piece} of {total}")
        if said.other not in self._unchoked_by and not self._was_under_way(entry, said.other):
            self._note(entry, "choked", f"gets piece {piece} from {said.other}, which does not unchoke it")

    def _was_under_way(self, entry: Entry, other: int) -> bool:
        """
        Whether a piece can have been asked for before a choke, and written down after it: it had to be stored first.

        Within some seconds any may be, as the next was asked for while the last was being stored; so any may be where
        times are not known.
        """
        choke = self._choked.get(other)
        if choke is None:
            return False
        return choke.time is None or entry.time is None or entry.time <= choke.time + SLACK

    def _got_file(self, entry: Entry) -> None:
        total = self._total
        if self._started_with_file:
            self._note(entry, "seed", "completes the file, and had it from the start")
        elif self._complete:
            self._note(entry, "complete", "completes the file a second time")
        elif total is not None and len(self._pieces) != total:
            self._note(entry, "early", f"completes the file with {len(self._pieces)} of {total} pieces")
        self._complete = True

    def _heard(
        self,
        entry: Entry,
        said: WasUnchoked | WasChoked | ReceivedHave | ReceivedInterested | ReceivedNotInterested,
    ) -> None:
        other = said.other
        match said:
            case WasUnchoked():
                if other in self._unchoked_by:
                    self._note(entry, "unchoke", f"is unchoked by {other}, and was not choked", Weight.WARNING)
                self._unchoked_by.add(other)
                self._choked.pop(other, None)
            case WasChoked():
                if other not in self._unchoked_by:
                    self._note(entry, "choke", f"is choked by {other}, and was not unchoked", Weight.WARNING)
                else:
                    self._choked[other] = entry
                self._unchoked_by.discard(other)
            case ReceivedHave(piece=piece):
                if (other, piece) in self._haves:
                    self._note(entry, "have", f"hears of piece {piece} from {other} again", Weight.WARNING)
                self._haves.add((other, piece))
            case ReceivedInterested() | ReceivedNotInterested():
                interested = isinstance(said, ReceivedInterested)
                if self._interested.get(other) == interested:
                    self._note(entry, "interest", f"hears the same interest of {other} again", Weight.NOTE)
                self._interested[other] = interested
