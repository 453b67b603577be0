"""Snapshot and journal of one torrent while it runs: what is written is told, made safe, and told to be safe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from threading import Lock

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.errors import DiskFull
from p2pshare.storage.disk import Disk
from p2pshare.storage.failpoints import FailPoint
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.journal import Journal, Kind, Record
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.signatures import Signature
from p2pshare.storage.snapshot import Snapshot
from p2pshare.storage.state_files import StateFiles


@define(eq=False)
class ResumeLog:
    """
    The one order that keeps promises: bytes, then their record, then (for all since the last time) bytes made safe,
    then the record of that, made safe. Knows no hash, no clock and no Deferred.

    :meth:`append` may be called from any thread, everything else from one at a time. All of it blocks.
    """

    _disk: Disk
    _state: StateFiles
    _files: ContentFiles
    _info_hash: bytes
    _target: str  # where the content lies
    _mount: str
    _certain: Bitfield  # pieces that are safe; what the next snapshot says
    _generation: int  # the highest that was ever used
    _floor: int = field(kw_only=True)  # bytes of disk that are left alone, so that snapshots always fit
    _failpoint: FailPoint | None = field(kw_only=True, default=None)
    counters: dict[str, int] = field(kw_only=True, factory=dict)
    _safe: SafeFiles = field(init=False)
    _signatures: dict[int, Signature] = field(init=False)
    _journal: Journal | None = field(init=False, default=None)
    _is_sound: bool = field(init=False, default=True)  # False: the journal's disk failed, it is used no more
    _lock: Lock = field(init=False, factory=Lock)  # guards the journal's end and the list of what is not safe yet
    _pending: list[Record] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._safe = SafeFiles(self._files)
        self._signatures = dict(self._files.signatures)

    def begin(self, found: Iterable[int]) -> None:
        """
        Start a snapshot and a journal for this run.

        :param found: pieces that were just seen to be right, but may not be safe.
        :raise StorageError: the state folder refuses.
        """
        self._pending = [Record(Kind.PIECE, piece, 0, self._disk.now()) for piece in found]
        self._turn_over()

    def append(self, piece: int) -> None:
        """
        Tell that every byte of a piece was written. Only then may anybody be told that we have it.

        :raise StorageError: the state folder refuses; the piece does not count.
        """
        self._reached("after_pwrite")
        self._note(Record(Kind.PIECE, piece, 0, self._disk.now()))
        self._reached("after_append")

    def lost(self, piece: int) -> None:
        """
        Tell that a piece turned out wrong.

        :raise StorageError: the state folder refuses.
        """
        self._note(Record(Kind.LOST, piece))

    def unsafe(self) -> list[int]:
        """Name the pieces that a power cut could still take."""
        with self._lock:
            pieces: dict[int, bool] = {}
            for record in self._pending:
                pieces[record.number] = record.kind is Kind.PIECE
        return [piece for piece, written in pieces.items() if written]

    def commit(self, whole: Collection[int] = (), *, save: bool = False) -> list[int]:
        """
        Make safe what was appended before this call. Data first, always.

        :param whole: files that lack nothing: they get their final names.
        :param save: write a snapshot, too.
        :return: the pieces that this made safe.
        :raise StorageError: some of it cannot be done. If it was data or records, nothing is safe that was not before:
            whoever had :meth:`unsafe` pieces hashes them again.
        """
        if not self._is_sound:
            self._turn_over()
        with self._lock:
            assert self._journal is not None
            batch, covered = tuple(self._pending), self._journal.length
        if batch or whole:
            self._make_safe(batch, whole, covered)
        with self._lock:
            del self._pending[: len(batch)]
        for record in batch:
            (self._certain.add if record.kind is Kind.PIECE else self._certain.discard)(record.number)
        self._reached("after_commit")
        if whole:
            self._safe.finish(whole, self._reached)
        if save:
            self._turn_over()
        self._keep_room()
        return [record.number for record in batch if record.kind is Kind.PIECE]

    def end(self) -> None:
        """
        Write the last snapshot of a run that left nothing undone; a commit must have come before.

        :raise StorageError: the state folder refuses.
        """
        unfinished = [file for file, place in enumerate(self._files.places) if place is Place.PART]
        self._safe.sync(unfinished, unfinished)  # with their times, which nobody has asked for so far
        self._signatures.update({file: self._files.signatures[file] for file in unfinished})
        self._generation += 1
        try:
            self._state.save(self._snapshot(in_order=True))
            self._state.sweep(self._generation - 1)
        except OSError as error:
            raise self._state.refusal(error) from error

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _make_safe(self, batch: Collection[Record], whole: Collection[int], covered: int) -> None:
        pieces = {record.number for record in batch if record.kind is Kind.PIECE}
        touched = sorted({file for piece in pieces for file in self._files.written_in(piece)} | set(whole))
        for file in whole:
            self._files.fit(file)
        self._safe.sync(touched, whole)
        self._reached("after_data_sync")
        signatures = {file: self._signature(file) for file in touched}
        records = [Record(Kind.FILE, file, s.inode, s.mtime) for file, s in signatures.items()]
        records.append(Record(Kind.DURABLE, 0, covered, self._disk.now()))
        assert self._journal is not None
        try:
            with self._lock:
                self._journal.append(records)
            self._reached("after_record")
            self._journal.sync()
        except OSError as error:
            self._is_sound = False  # what it holds is not known any more
            raise self._state.refusal(error) from error
        self._signatures.update(signatures)

    def _signature(self, file: int) -> Signature:
        """What to expect of a file: its looks now while only we write to it, afterwards those it had then."""
        known = self._signatures.get(file) if self._files.places[file] is Place.FINAL else None
        return known or self._files.signatures[file]

    def _turn_over(self) -> None:
        """Begin a journal with what is not safe yet, save all that is, and forget the journal before the last."""
        try:
            generation = self._generation + 1
            fd = self._state.create(self._state.journal(generation))
            journal = Journal.begin(self._disk, fd, generation, self._info_hash)
            try:
                journal.sync()
                self._state.sync()  # before the snapshot that is worth nothing without this journal
                with self._lock:
                    journal.append(self._pending)
                    last, self._journal = self._journal, journal
                    self._generation = generation
                    self._is_sound = True
            except OSError:
                journal.close()
                raise
            if last is not None:
                last.close()
            self._state.save(self._snapshot(in_order=False))
            self._state.sweep(generation - 1)
        except OSError as error:
            raise self._state.refusal(error) from error

    def _snapshot(self, *, in_order: bool) -> bytes:
        signatures: Mapping[int, Signature] = self._signatures
        snapshot = Snapshot(
            self._generation,
            self._certain,
            signatures,
            self._mount,
            in_order,
            dict(self.counters),
            self._target,
            self._certain.is_full,
        )
        return snapshot.encode(self._info_hash)

    def _note(self, record: Record) -> None:
        try:
            with self._lock:
                assert self._journal is not None
                self._journal.append([record])
                self._pending.append(record)
        except OSError as error:
            raise self._state.refusal(error) from error

    def _keep_room(self) -> None:
        """Stop before the content itself takes the last room that its state needs."""
        try:
            shared = self._state.device() == self._files.device()
            room = self._state.room() if shared else self._floor
        except OSError:
            return  # the next write tells
        if room < self._floor:
            raise DiskFull(
                f"{self._files.folder.path}: {room} bytes are left on its disk, and {self._floor} are kept free there "
                "for the state of downloads; make room"
            )

    def _reached(self, name: str) -> None:
        if self._failpoint is not None:
            self._failpoint.reached(name)
