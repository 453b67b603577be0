"""Making what is in the files of a torrent safe from power cuts, and their names."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from attrs import define

from p2pshare.errors import StorageError
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.signatures import Signature


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
        for file in files:
            is_part = self._files.places[file] is Place.PART
            with self._files.explained(file), self._files.descriptors.borrowed(file, writable=is_part) as fd:
                (self._files.disk.fsync if file in whole else self._files.disk.fdatasync)(fd)
                if is_part:
                    self._files.signatures[file] = Signature.of(self._files.disk.fstat(fd))
        made = set(self._files.made)
        with self._files.explained():
            self._files.folder.sync({self._files.names[file].final[:-1] for file in made})
        self._files.made -= made

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
