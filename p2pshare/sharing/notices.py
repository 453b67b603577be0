"""What an index still has to be told: the difference between what is shared and what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from attrs import define, field, frozen

from p2pshare.sharing.shelf import SharedFile


@frozen
class Entry:
    """What an index lists: one content under one name."""

    name: str
    sha256: str

    @classmethod
    def of(cls, file: SharedFile) -> Entry:
        """Name the entry of a shared file."""
        return cls(file.name, file.digest.sha256)


@frozen
class Listed:
    """How an index may know an entry."""

    owner: str  # the id we had there
    file_id: str = ""  # empty: whatever was answered got lost


@frozen
class Withdrawal:
    """An entry that the index may list, and must not any more."""

    entry: Entry
    listed: Listed


@define(eq=False)
class Notices:
    """
    A queue of offers and withdrawals, the oldest first. Knows no index and no time.

    What becomes of an entry before its turn counts for nothing: looked at is only how things are when its turn comes.

    :ivar listed: what the index may list, whatever is shared; kept across runs by whoever wants to.
    """

    listed: dict[Entry, Listed] = field(init=False, factory=dict)
    _shared: dict[Entry, SharedFile] = field(init=False, factory=dict)
    _told: set[Entry] = field(init=False, factory=set)  # shared, and the index has had its say about it
    _due: dict[Entry, None] = field(init=False, factory=dict)  # each once; bounded by the files there are

    def __len__(self) -> int:
        """Count what may have to be told."""
        return len(self._due)

    def share(self, file: SharedFile) -> None:
        """A file is shared from now on."""
        entry = Entry.of(file)
        self._shared[entry] = file
        self._due[entry] = None

    def withdraw(self, file: SharedFile) -> None:
        """A file is not shared any more, or not with this content."""
        entry = Entry.of(file)
        self._shared.pop(entry, None)
        self._told.discard(entry)
        self._due[entry] = None

    def recall(self, listed: Mapping[Entry, Listed]) -> None:
        """Take over what the index may list from earlier runs; nothing is due for that yet."""
        self.listed = {**listed, **self.listed}

    def clear_away(self) -> None:
        """Everything shared is known by now: what is listed beside it has to go."""
        self._due.update(dict.fromkeys(entry for entry in self.listed if entry not in self._shared))

    def start_over(self) -> None:
        """The index may have forgotten everything."""
        self._told.clear()
        self._due.update(dict.fromkeys(self._shared))

    def next(self, most: int, largest: int) -> list[SharedFile] | Withdrawal | None:
        """
        Give what is to be told next; it stays in the queue until it is :meth:`offered`, :meth:`refused` or
        :meth:`withdrawn`.

        :param most: files to offer at once.
        :param largest: bytes of their names and a quarter of those of their hashes, together; a single one may have
            more. On their way names may become six times as long, hashes are a third longer.
        :return: files to offer, or one entry to withdraw; None: there is nothing to tell.
        """
        while self._due:
            files: list[SharedFile] = []
            room = largest
            for entry in list(islice(self._due, most)):
                file = self._shared.get(entry)
                if file is not None and entry not in self._told:
                    room -= len(entry.name.encode()) + len(file.digest.pieces) // 4
                    if files and room < 0:
                        break
                    files.append(file)
                elif file is None and entry in self.listed:
                    return files or Withdrawal(entry, self.listed[entry])
                else:
                    del self._due[entry]
            if files:
                return files
        return None

    def offering(self, file: SharedFile, owner: str) -> None:
        """A file is offered now: the index may list it from here on, even if no answer ever comes back."""
        entry = Entry.of(file)
        self.listed[entry] = Listed(owner, self.listed[entry].file_id if entry in self.listed else "")

    def offered(self, file: SharedFile, listed: Listed) -> None:
        """The index lists a file."""
        self.listed[Entry.of(file)] = listed
        self._settle(Entry.of(file))

    def refused(self, file: SharedFile) -> None:
        """The index does not want a file."""
        self.listed.pop(Entry.of(file), None)
        self._settle(Entry.of(file))

    def withdrawn(self, entry: Entry) -> None:
        """The index does not list an entry any more."""
        self.listed.pop(entry, None)
        if entry not in self._shared:
            self._due.pop(entry, None)

    def _settle(self, entry: Entry) -> None:
        if entry in self._shared:  # else it is due to be withdrawn again
            self._told.add(entry)
            self._due.pop(entry, None)
