"""What a node is told of its shared folder, and what it shows if there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from attrs import define, field

from p2pshare.faces.node_offer import Shared
from p2pshare.sharing.library import Event, FileAdded, FileChanged, FileRemoved
from p2pshare.web.replies import Refused


class Hears(Protocol):
    """Who is told of files; a Node."""

    def added(self, file: Shared) -> None:
        """A file is shared from now on."""

    def removed(self, file: Shared) -> None:
        """A file is not shared any more."""

    def changed(self, old: Shared, file: Shared) -> None:
        """A file has another content than before."""


def heard_by(node: Hears) -> Callable[[Event], None]:
    """Tell a node what its library tells."""

    def heard(event: Event) -> None:
        match event:
            case FileAdded(file):
                node.added(file)
            case FileRemoved(file):
                node.removed(file)
            case FileChanged(old, file):
                node.changed(old, file)

    return heard


@define(eq=False)
class NoFolder:
    """The shared folder of a peer that shares none: always empty, and nothing can be put there."""

    folder: Path  # where there is nothing of ours
    files: Mapping[str, Shared] = field(init=False, factory=dict)
    problems: Mapping[str, str] = field(init=False, factory=dict)
    withdrawn: frozenset[str] = field(init=False, default=frozenset())

    def poke(self) -> None:
        """Nothing changes."""

    def withdraw(self, name: str) -> None:
        """Nothing is shared."""

    def restore(self, name: str) -> None:
        """Nothing is there."""


def refuse_file(name: str) -> bool:
    """
    Say of every name that there is no place for it.

    :raise Refused: always.
    """
    raise Refused(409, f"{name}: this peer shares no folder; start it with --share DIR")
