"""The eleven sentences of a course peer's log, word by word: written by ours, read from anybody's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import frozen


@frozen
class MadeConnection:
    """The peer dialled."""

    peer: int
    other: int


@frozen
class WasConnected:
    """The peer was dialled."""

    peer: int
    other: int


@frozen
class ChangedPreferred:
    """The preferred neighbors of the peer are others now."""

    peer: int
    neighbors: tuple[int, ...]


@frozen
class ChangedOptimistic:
    """The optimistically unchoked neighbor of the peer is another one now."""

    peer: int
    other: int


@frozen
class WasUnchoked:
    """An ``unchoke`` came."""

    peer: int
    other: int


@frozen
class WasChoked:
    """A ``choke`` came."""

    peer: int
    other: int


@frozen
class ReceivedHave:
    """A ``have`` came."""

    peer: int
    other: int
    piece: int


@frozen
class ReceivedInterested:
    """An ``interested`` came."""

    peer: int
    other: int


@frozen
class ReceivedNotInterested:
    """A ``not interested`` came."""

    peer: int
    other: int


@frozen
class DownloadedPiece:
    """A whole piece came."""

    peer: int
    other: int
    piece: int
    count: int  # of the pieces it has now


@frozen
class DownloadedFile:
    """The peer has every piece, and had not when it started."""

    peer: int


Sentence = (
    MadeConnection
    | WasConnected
    | ChangedPreferred
    | ChangedOptimistic
    | WasUnchoked
    | WasChoked
    | ReceivedHave
    | ReceivedInterested
    | ReceivedNotInterested
    | DownloadedPiece
    | DownloadedFile
)

# Note where "Peer" stands before the second id, and where it does not.
TEMPLATES: Mapping[type[Sentence], str] = MappingProxyType(
    {
        MadeConnection: "Peer {peer} makes a connection to Peer {other}.",
        WasConnected: "Peer {peer} is connected from Peer {other}.",
        ChangedPreferred: "Peer {peer} has the preferred neighbors {neighbors}.",
        ChangedOptimistic: "Peer {peer} has the optimistically unchoked neighbor {other}.",
        WasUnchoked: "Peer {peer} is unchoked by {other}.",
        WasChoked: "Peer {peer} is choked by {other}.",
        ReceivedHave: "Peer {peer} received the 'have' message from {other} for the piece {piece}.",
        ReceivedInterested: "Peer {peer} received the 'interested' message from {other}.",
        ReceivedNotInterested: "Peer {peer} received the 'not interested' message from {other}.",
        DownloadedPiece: (
            "Peer {peer} has downloaded the piece {piece} from {other}. Now the number of pieces it has is {count}."
        ),
        DownloadedFile: "Peer {peer} has downloaded the complete file.",
    }
)
LONGEST = 16384  # characters of a line; a list of a thousand neighbors fits

_NUMBER = r"[0-9]{1,10}"
_FIELDS = {"neighbors": rf"(?P<neighbors>{_NUMBER}(?:, ?{_NUMBER})*)"}
# What only one of the sentences says, in the order in which to look for it: for lines that nearly say it.
_KEYWORDS: tuple[tuple[str, type[Sentence]], ...] = (
    ("makes a connection", MadeConnection),
    ("connected from", WasConnected),
    ("preferred", ChangedPreferred),
    ("optimistic", ChangedOptimistic),
    ("unchoked", WasUnchoked),
    ("choked", WasChoked),
    ("not interested", ReceivedNotInterested),
    ("interested", ReceivedInterested),
    ("complete file", DownloadedFile),
    ("downloaded", DownloadedPiece),
    ("have", ReceivedHave),
    ("connect", MadeConnection),
)


def write(sentence: Sentence) -> str:
    """Write a sentence as the assignment has it, with ASCII quotes and no blank after a comma."""
    match sentence:
        case ChangedPreferred(peer, neighbors):
            return TEMPLATES[ChangedPreferred].format(peer=peer, neighbors=",".join(map(str, neighbors)))
        case _:
            fields = {name: getattr(sentence, name) for name in sentence.__match_args__}
            return TEMPLATES[type(sentence)].format(**fields)


def read(line: str) -> tuple[str, Sentence] | None:
    """
    Read a line of a log: what stands before the sentence, which is a time in some form, and the sentence.

    The time ends in a colon and a blank; quotes may be typographic, and a blank may follow a comma.

    :return: None when it is none of the eleven.
    """
    found = _ANY.fullmatch(line) if len(line) <= LONGEST else None
    if found is None:
        return None
    time, text = found["time"], found["sentence"]
    for kind, pattern in _PATTERNS.items():
        if fields := pattern.fullmatch(text):
            return time, _MAKERS[kind](fields.groupdict())
    return None


def meant(line: str) -> type[Sentence] | None:
    """Guess which sentence a line that is none of them was meant to be."""
    line = line[:LONGEST].lower()
    return next((kind for keyword, kind in _KEYWORDS if keyword in line), None)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    for place in range(0, len(parts), 2):
        parts[place] = re.sub("'(.*?)'", "(?:'\\1'|‘\\1’)", parts[place].replace(".", "[.]"))
    for place in range(1, len(parts), 2):
        parts[place] = _FIELDS.get(parts[place], f"(?P<{parts[place]}>{_NUMBER})")
    return re.compile("".join(parts))


def _maker(kind: type[Sentence]) -> Callable[[Mapping[str, str]], Sentence]:
    def make(fields: Mapping[str, str]) -> Sentence:
        if kind is ChangedPreferred:
            return ChangedPreferred(int(fields["peer"]), tuple(map(int, fields["neighbors"].split(","))))
        return kind(**{name: int(value) for name, value in fields.items()})  # type: ignore[arg-type]

    return make


_ANY = re.compile(r"(?P<time>.*?): (?P<sentence>Peer [0-9].*)")
_PATTERNS = {kind: _pattern(template) for kind, template in TEMPLATES.items()}
_MAKERS = {kind: _maker(kind) for kind in TEMPLATES}
