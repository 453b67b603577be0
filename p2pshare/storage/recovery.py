"""What the state files say when a torrent starts: which pieces are certain, and which were under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from p2pshare.bitfield import Bitfield
from p2pshare.storage.disk import Disk
from p2pshare.storage.exact import ShortRead
from p2pshare.storage.journal import Journaled, Kind, read_journal
from p2pshare.storage.signatures import Signature
from p2pshare.storage.snapshot import Snapshot, decode_snapshot
from p2pshare.storage.state_files import BACKUP, SNAPSHOT, StateFiles


@frozen
class Recovered:
    """What was known of a torrent when its last process ended, in order or not."""

    certain: Bitfield  # written and made safe; right as long as their files are as signed
    doubtful: frozenset[int]  # vouched for, but perhaps lost by a power cut: to be hashed
    signatures: Mapping[int, Signature]  # by file
    mount: str
    counters: Mapping[str, int]
    in_order: bool  # the last process said goodbye: signatures hold to the letter
    begun: int  # otherwise: our writes to files fell between these two times, in nanoseconds
    ended: int

    def explains(self, file: int, now: Signature, is_part: bool) -> bool | None:
        """
        Tell whether nobody but us has touched a file.

        After a crash an unfinished file is never more than explained: times of files advance in steps, so that the
        same one does not prove that no write came after ours.

        :return: True: it is as signed; None: our own last writes explain how it looks, no more; False: it changed.
        """
        signed = self.signatures.get(file)
        if signed is None:
            return False
        if is_part and not self.in_order:
            return None if signed == now or signed.is_ours(now, self.begun, self.ended) else False
        return signed == now


@define(eq=False)
class _Replay:
    """Follows records on from a snapshot."""

    certain: Bitfield
    signatures: dict[int, Signature]
    lengths: tuple[int, ...]
    doubtful: set[int] = field(init=False, factory=set)

    def follow(self, journal: Journaled) -> None:
        """Take in one journal."""
        when: dict[int, int] = {}  # piece -> number of its record
        for number, record in enumerate(journal.records):
            if record.kind is Kind.PIECE and record.number < len(self.certain):
                when[record.number] = number
                self.doubtful.add(record.number)
            elif record.kind is Kind.LOST and record.number < len(self.certain):
                when.pop(record.number, None)
                self.doubtful.discard(record.number)
                self.certain.discard(record.number)
            elif record.kind is Kind.FILE and record.number < len(self.lengths):
                size = self.lengths[record.number]  # files have their full size from the start
                self.signatures[record.number] = Signature(size, record.second, record.first)
            elif record.kind is Kind.DURABLE:
                for piece in [piece for piece, number in when.items() if number < record.first]:
                    del when[piece]
                    self.doubtful.discard(piece)
                    self.certain.add(piece)


def recover(disk: Disk, state: StateFiles, info_hash: bytes, lengths: tuple[int, ...], pieces: int) -> Recovered | None:
    """
    Read the snapshot, or else its backup, and the journals that go on from there. Only reads.

    :param lengths: of the files.
    :return: None when there is nothing that could be relied on.
    """
    for name in (SNAPSHOT, BACKUP):
        snapshot = decode_snapshot(state.read(name) or b"", info_hash, pieces, len(lengths))
        if snapshot is None:
            continue
        journals = list(_journals(disk, state, info_hash, snapshot.generation))
        if journals or snapshot.in_order:  # without, somebody took away what it said of lost pieces
            return _follow(snapshot, journals, lengths)
    return None


def _follow(snapshot: Snapshot, journals: list[Journaled], lengths: tuple[int, ...]) -> Recovered:
    replay = _Replay(snapshot.have.copy(), dict(snapshot.signatures), lengths)
    for journal in journals:
        replay.follow(journal)
    return Recovered(
        replay.certain,
        frozenset(replay.doubtful - set(replay.certain)),
        replay.signatures,
        snapshot.mount,
        snapshot.counters,
        snapshot.in_order and not journals,
        min((journal.begun for journal in journals), default=0),
        max((journal.ended for journal in journals), default=0),
    )


def newest_generation(state: StateFiles, info_hash: bytes, pieces: int, files: int) -> int:
    """Name the highest generation that left any trace, so that the next one is mistaken for none of them."""
    found = [0, *state.journals()]
    for name in (SNAPSHOT, BACKUP):
        snapshot = decode_snapshot(state.read(name) or b"", info_hash, pieces, files)
        if snapshot is not None:
            found.append(snapshot.generation)
    return max(found)


def _journals(disk: Disk, state: StateFiles, info_hash: bytes, first: int) -> Iterable[Journaled]:
    """Read the journals from a generation on, as long as one follows the other."""
    generation = first
    while True:
        try:
            fd = state.open_existing(state.journal(generation))
        except OSError:
            return
        try:
            journal = read_journal(disk, fd, info_hash)
        except (OSError, ShortRead):
            return
        finally:
            disk.close(fd)
        if journal is None or journal.generation != generation:
            return
        yield journal
        generation += 1
