"""Making what is in the files of a torrent safe from power cuts, and their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from itertools import groupby

from attrs import define

from p2pshare.errors import StorageError
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.signatures import Signature

MANY = 32  # files in one go, from where the whole filesystem is synced instead: others may have written to it, too


@define(eq=False)
class SafeFiles:
    """What a Disk promises, for the files of one torrent. Blocks its thread."""

    _files: ContentFiles

    def finish(self, files: Iterable[int], passed: Callable[[str], None]) -> None:
        """
        Give whole files, of which every byte is safe from power cuts, their final names, which are then safe, too.

        The old name goes only when the new one is sure to stay. As it is, so to say, for all files at once, many small
        ones cost no more than one.

        :param passed: told of the two moments at which a crash is most awkward.
        :raise StorageError: a name is taken; the files before it are done.
        """
        with self._files.folder.keeping():
            self._finish(sorted(files), passed)

    def _finish(self, files: Iterable[int], passed: Callable[[str], None]) -> None:
        linked, refusal = [], None
        for file in files:
            if self._files.places[file] is not Place.PART:
                continue
            names = self._files.names[file]
            try:
                with self._files.explained(file), self._files.descriptors.renaming(file):
                    if not self._files.folder.link(names.part, names.final):
                        self._files.places[file] = Place.FINAL
                linked.append(file)
            except StorageError as error:
                refusal = error
                break
        passed("after_link")
        with self._files.explained():
            self._files.folder.sync({self._files.names[file].final[:-1] for file in linked})
        for file in linked:
            if self._files.places[file] is Place.PART:
                with self._files.explained(file), self._files.descriptors.renaming(file):
                    self._files.folder.remove(self._files.names[file].part)
                    self._files.places[file] = Place.FINAL
        passed("after_rename")
        if refusal is not None:
            raise refusal

    def sync(self, files: Iterable[int], whole: Container[int]) -> None:
        """
        Make all bytes written to some files safe from power cuts, with the names of files and folders that were made.

        :param whole: those of them that are not written to any more: then their time is kept too.
        :raise StorageError: nothing is known of any byte that was written since this succeeded.
        """
        with self._files.folder.keeping():
            self._sync(sorted(files), whole)

    def _sync(self, files: Collection[int], whole: Container[int]) -> None:
        if len(files) < MANY or not self._sync_all(files):
            for file in files:
                self._sync_one(file, whole)
        made = set(self._files.made)
        with self._files.explained():
            self._files.folder.sync({self._files.names[file].final[:-1] for file in made})
        self._files.made -= made

    def _sync_one(self, file: int, whole: Container[int]) -> None:
        is_part = self._files.places[file] is Place.PART
        with self._files.explained(file), self._files.descriptors.borrowed(file, writable=is_part) as fd:
            (self._files.disk.fsync if file in whole else self._files.disk.fdatasync)(fd)
            if is_part:
                self._files.signatures[file] = Signature.of(self._files.disk.fstat(fd))

    def _sync_all(self, files: Collection[int]) -> bool:
        """Make many files safe at once; False: that is not possible, and nothing is known of any."""
        places, names = self._files.places, self._files.names
        with self._files.explained():
            device = self._files.volume.sync()
        if device is None:
            return False
        paths = {file: names[file].part if places[file] is Place.PART else names[file].final for file in files}
        signatures = {}
        for parent, group in groupby(files, lambda file: paths[file][:-1]):
            of_folder = list(group)
            with self._files.explained():
                found = self._files.folder.look(parent, [paths[file][-1] for file in of_folder])
            for file in of_folder:
                status = found.get(paths[file][-1])
                if status is None or status.st_dev != device:
                    return False  # gone, which is told when it is looked for; or on another disk
                if places[file] is Place.PART:
                    signatures[file] = Signature.of(status)
        self._files.signatures.update(signatures)
        return True

    def forget(self, pieces: Iterable[int], *, least: int = 0) -> None:
        """
        Have the next read of some pieces ask the device, not memory; what is not there counts as forgotten.

        :param least: leave alone what a piece has in files where it holds less than so many bytes.
        """
        for piece in pieces:
            for span in self._files.geometry.spans(piece, 0, self._files.geometry.piece_size(piece)):
                if span.length >= least and self._files.places[span.file] in (Place.PART, Place.FINAL):
                    with self._files.explained(span.file), self._files.descriptors.borrowed(span.file) as fd:
                        self._files.disk.forget(fd, span.offset, span.length)
