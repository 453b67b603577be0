"""Simulated power cuts, and mistakes made on purpose that the same check must find."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.storage import resume_log, safe_files
from p2pshare.storage.exact import write_exactly
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.folder import ContentFolder
from p2pshare.storage.group_commit import GroupCommit
from p2pshare.storage.journal import Kind, Record
from p2pshare.storage.layout import Parts
from p2pshare.storage.resume_log import ResumeLog
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.signatures import Signature
from p2pshare.storage.state_files import BACKUP, SNAPSHOT, StateFiles
from tests.storage.power import Violation, live
from tests.storage.sim_disk import SimDisk

TRIES = 600  # seeds until a mistake must have been found


class PowerLossTests(SynchronousTestCase):
    """Every life ends by a power cut, a kill or in order; the next must find what the last promised."""

    @settings(max_examples=120, deadline=None)
    @given(st.integers(min_value=0), st.integers(min_value=2, max_value=5), st.booleans())
    def test_f102_fast(self, seed: int, lives: int, dropping: bool) -> None:
        """No piece is had with wrong bytes, kills lose nothing, little is read again, no state file is torn."""
        live(seed, strict=False, lives=lives, dropping=dropping)

    @settings(max_examples=120, deadline=None)
    @given(st.integers(min_value=0), st.integers(min_value=2, max_value=5), st.booleans())
    def test_f102_strict(self, seed: int, lives: int, dropping: bool) -> None:
        """In strict mode power cuts lose nothing either that anybody was told of."""
        live(seed, strict=True, lives=lives, dropping=dropping)

    @settings(max_examples=120, deadline=None)
    @given(st.integers(min_value=0), st.booleans(), st.booleans())
    def test_f92_disk_that_fails_to_keep(self, seed: int, strict: bool, dropping: bool) -> None:
        """The same with a disk that fails once to keep what it was given, and forgets that it did."""
        live(seed, strict=strict, refusals=True, dropping=dropping)


class WholeVolumeTests(SynchronousTestCase):
    """The same, where every commit is of so many files that all of the disk is made safe at once."""

    def setUp(self) -> None:
        self.patch(safe_files, "MANY", 1)

    @settings(max_examples=120, deadline=None)
    @given(st.integers(min_value=0), st.booleans(), st.booleans())
    def test_f102_many_files(self, seed: int, strict: bool, dropping: bool) -> None:
        """What was promised holds."""
        live(seed, strict=strict, dropping=dropping)

    @settings(max_examples=120, deadline=None)
    @given(st.integers(min_value=0), st.booleans(), st.booleans())
    def test_f92_many_files(self, seed: int, strict: bool, dropping: bool) -> None:
        """Also with a disk that fails once to keep what it was given."""
        live(seed, strict=strict, refusals=True, dropping=dropping)


class MutantTests(SynchronousTestCase):
    """Each mistake that the order of writing guards against, made on purpose, is found."""

    def assert_found(self, promise: str, *, strict: bool, refusals: bool = False) -> None:
        """Try seed after seed until the check objects to the right thing."""
        for seed in range(TRIES):
            try:
                live(seed, strict=strict, refusals=refusals)
            except Violation as violation:
                if promise in str(violation):
                    return
        self.fail(f"not found in {TRIES} tries")

    def test_record_before_data(self) -> None:
        """Told to be safe, and only then made safe."""
        real = SafeFiles.sync
        late: list[Callable[[], None]] = []
        self.patch(SafeFiles, "sync", lambda *args: late.append(lambda: real(*args)) or sign(*args))
        safe = resume_log.Journal.sync

        def swapped(journal: resume_log.Journal) -> None:
            safe(journal)
            while late:
                late.pop(0)()

        self.patch(resume_log.Journal, "sync", swapped)
        self.assert_found("I2", strict=False)

    def test_data_is_not_synced(self) -> None:
        """The sync of data files is left out."""
        self.patch(SafeFiles, "sync", sign)
        self.assert_found("I2", strict=False)

    def test_all_of_the_disk_is_not_synced(self) -> None:
        """The sync of all of the disk, which stands for that of many files, is left out."""
        self.patch(safe_files, "MANY", 1)
        self.patch(SimDisk, "sync_all", lambda disk, fd: None)
        self.assert_found("I2", strict=False)

    def test_record_is_not_synced(self) -> None:
        """The sync of the journal is left out."""
        self.patch(resume_log.Journal, "sync", lambda journal: None)
        self.assert_found("I", strict=True)

    def test_snapshot_is_not_synced(self) -> None:
        """The sync of a new snapshot before it gets its name is left out."""

        def save(state: StateFiles, data: bytes) -> None:
            fd = state.create("1.tmp")
            write_exactly(fd, memoryview(data), 0, pwrite=state._disk.pwrite)
            state._disk.close(fd)
            stem, folder = state._stem, state._fd
            if state._stem + SNAPSHOT in state._disk.listdir(folder):
                state._disk.rename(stem + SNAPSHOT, stem + BACKUP, folder)
            state._disk.rename(stem + "1.tmp", stem + SNAPSHOT, folder)
            state.sync()

        self.patch(StateFiles, "save", save)
        self.assert_found("I5", strict=False)

    def test_state_folder_is_not_synced(self) -> None:
        """The sync of the state folder, which keeps the names of journal and snapshot, is left out."""
        self.patch(StateFiles, "sync", lambda state: None)
        self.assert_found("I4", strict=False)

    def test_content_folders_are_not_synced(self) -> None:
        """The sync of the folders, which keeps the names of data files, is left out."""
        self.patch(ContentFolder, "sync", lambda folder, folders: None)
        self.assert_found("I1", strict=True)

    def test_old_name_goes_before_the_new_is_safe(self) -> None:
        """A whole file loses its old name at once."""

        def hasty(safe: SafeFiles, whole: Collection[int], passed: Callable[[str], None]) -> None:
            files = safe._files
            for file in whole:
                if files.places[file] is Place.PART:
                    with files.descriptors.renaming(file):
                        files.folder.rename(files.names[file].part, files.names[file].final)
                        files.places[file] = Place.FINAL

        self.patch(SafeFiles, "finish", hasty)
        self.assert_found("I1", strict=True)

    def test_final_name_before_the_data_is_safe(self) -> None:
        """A whole file gets its final name before its data is synced."""
        real = ResumeLog.commit

        def hasty(log: ResumeLog, whole: Collection[int] = (), *, save: bool = False) -> list[int]:
            sign(log._safe, whole, ())
            log._safe.finish(whole, lambda name: None)
            return real(log, whole, save=save)

        self.patch(ResumeLog, "commit", hasty)
        self.assert_found("final name and is not right", strict=False)

    def test_new_journal_forgets_what_is_pending(self) -> None:
        """A new journal starts empty although pieces are not safe yet."""
        real = ResumeLog._turn_over

        def forgetful(log: ResumeLog) -> None:
            pending, log._pending = log._pending, []
            real(log)
            log._pending = pending

        self.patch(ResumeLog, "_turn_over", forgetful)
        self.assert_found("I1", strict=False)

    def test_piece_is_told_before_its_record(self) -> None:
        """A piece is had although the journal does not know it."""

        def lazy(log: ResumeLog, piece: int) -> None:
            log._pending.append(Record(Kind.PIECE, piece))

        self.patch(ResumeLog, "append", lazy)
        self.assert_found("I1", strict=False)

    def test_failed_sync_is_tried_again_and_believed(self) -> None:
        """After an error the next sync, which succeeds, is taken for proof."""
        real = SafeFiles.sync

        def stubborn(files: SafeFiles, touched: Collection[int], whole: Collection[int]) -> None:
            try:
                real(files, touched, whole)
            except Exception:
                real(files, touched, whole)

        self.patch(SafeFiles, "sync", stubborn)
        self.assert_found("I2", strict=False, refusals=True)

    def test_memory_is_taken_for_proof(self) -> None:
        """After an error pieces are hashed as memory holds them."""
        self.patch(SafeFiles, "forget", lambda files, pieces, *, least=0: None)
        self.assert_found("I2", strict=False, refusals=True)

    def test_commits_go_on_during_the_proof(self) -> None:
        """After an error the next commit does not wait until it is known what was lost."""
        real = GroupCommit._refused

        def hasty(commits: GroupCommit, *args: Any) -> None:
            real(commits, *args)
            commits._held = False
            commits._start()

        self.patch(GroupCommit, "_refused", hasty)
        self.assert_found("I2", strict=False, refusals=True)

    def test_restart_takes_an_old_name_that_another_run_replaced(self) -> None:
        """After a kill between two names the old one goes, although the new one was never made safe."""
        real = ContentFolder.sync

        def hasty(folder: ContentFolder, folders: Collection[Parts]) -> None:
            if not isinstance(folders, list):  # as only the survey gives it
                real(folder, folders)

        self.patch(ContentFolder, "sync", hasty)
        self.patch(ContentFiles, "found", found)
        self.assert_found("I1", strict=True)


def sign(safe: SafeFiles, touched: Collection[int], whole: Collection[int]) -> None:
    """Do what a sync does besides syncing."""
    for file in touched:
        safe._files.sign(file)


def found(files: ContentFiles, file: int, place: Place, signature: Signature) -> None:
    """Take note of a file without having its name made safe."""
    files.places[file] = place
    files.signatures[file] = signature
