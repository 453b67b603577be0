"""What a node offers: the files of its shared folder, by every name that people and programs know them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from attrs import define, field, frozen

from p2pshare.faces.times import rfc3339


class Stamp(Protocol):
    """How a file was when it was read; any difference is another file."""

    @property
    def size(self) -> int: ...

    @property
    def modified(self) -> int:
        """Nanoseconds since 1970."""

    @property
    def changed(self) -> int:
        """The same, of its inode."""

    @property
    def inode(self) -> int: ...


class Digest(Protocol):
    """What a file held when it was read."""

    @property
    def stamp(self) -> Stamp: ...

    @property
    def sha256(self) -> str:
        """Hexadecimal digits."""


class Shared(Protocol):
    """One shared file; a SharedFile of a Library."""

    @property
    def name(self) -> str:
        """Its path below the shared folder, with slashes."""

    @property
    def digest(self) -> Digest: ...

    @property
    def size(self) -> int: ...

    @property
    def category(self) -> str: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def shared_at(self) -> float:
        """Seconds since 1970."""

    @property
    def downloads(self) -> int: ...


class Elsewhere(Protocol):
    """How others call our files."""

    def index_id(self, file: Shared) -> str | None:
        """Under which id the index lists a file; None: it does not, or has not said."""

    def name_of(self, index_id: str) -> str | None:
        """Which of our names stands behind an id of the index."""

    def info_hash(self, file: Shared) -> str | None:
        """Which torrent has this file as its only one, in hex; None: there is none."""


@define
class Nowhere:
    """Nobody else knows our files."""

    def index_id(self, file: Shared) -> str | None:
        """No index lists it."""
        return None

    def name_of(self, index_id: str) -> str | None:
        """No index has ids."""
        return None

    def info_hash(self, file: Shared) -> str | None:
        """No torrent has it."""
        return None


@frozen
class NodeFile:
    """A file of the shared folder. Its id stays as long as its name does."""

    id: str
    filename: str  # with the folders below the shared one: by it alone a file can be fetched
    file_path: str
    size: int
    hash: str  # SHA-256
    category: str
    tags: tuple[str, ...]
    shared_at: str
    downloads: int
    is_available: bool
    index_id: str | None  # under which the index lists it
    info_hash: str | None  # of a torrent with this file


@define(eq=False)
class Offer:
    """
    Finds shared files. It has to be told what is shared and what is not any more; how a file is now, it looks up.

    :ivar size: bytes of all files.
    """

    _files: Mapping[str, Shared]  # by name; a Library's, which changes
    _id_of: Callable[[str], str]  # of a file, by its name
    _elsewhere: Elsewhere = field(factory=Nowhere)
    size: int = field(init=False, default=0)
    _names: dict[str, str] = field(init=False, factory=dict)  # by id, those shared last at the end
    _sizes: dict[str, int] = field(init=False, factory=dict)  # by name, as they were told
    _by_hash: dict[str, str] = field(init=False, factory=dict)  # one name for each content

    def __attrs_post_init__(self) -> None:
        for file in sorted(self._files.values(), key=lambda file: file.shared_at):
            self.added(file)

    def __len__(self) -> int:
        return len(self._names)

    def added(self, file: Shared) -> None:
        """A file is shared from now on."""
        self._forget(file.name)
        self._names[self._id_of(file.name)] = file.name
        self._sizes[file.name] = file.size
        self.size += file.size
        self._by_hash[file.digest.sha256] = file.name

    def removed(self, file: Shared) -> None:
        """A file is not shared any more."""
        self._forget(file.name)
        if self._by_hash.get(file.digest.sha256) == file.name:
            del self._by_hash[file.digest.sha256]

    def changed(self, old: Shared, file: Shared) -> None:
        """A file has another content than before."""
        self.removed(old)
        self.added(file)

    def find(self, key: str) -> Shared | None:
        """Find a file by its id here, by its id at the index, or by its exact name; nothing else leads to a file."""
        name = self._names.get(key) or self._elsewhere.name_of(key) or key
        return self._files.get(name)

    def named(self, name: str) -> Shared | None:
        """Find a file by its exact name."""
        return self._files.get(name)

    def with_content(self, sha256: str) -> Shared | None:
        """Find a file that holds this."""
        name = self._by_hash.get(sha256)
        file = None if name is None else self._files.get(name)
        return file if file is not None and file.digest.sha256 == sha256 else None

    def newest(self) -> Iterator[Shared]:
        """Go through all files, those shared last first."""
        for name in reversed(self._names.values()):
            file = self._files.get(name)
            if file is not None:
                yield file

    def id_of(self, file: Shared) -> str:
        """Give the id of a file."""
        return self._id_of(file.name)

    def describe(self, file: Shared) -> NodeFile:
        """Say all there is to say about a file."""
        return NodeFile(
            id=self._id_of(file.name),
            filename=file.name,
            file_path=file.name,
            size=file.size,
            hash=file.digest.sha256,
            category=file.category,
            tags=file.tags,
            shared_at=rfc3339(file.shared_at),
            downloads=file.downloads,
            is_available=file.name in self._files,
            index_id=self._elsewhere.index_id(file),
            info_hash=self._elsewhere.info_hash(file),
        )

    def describe_all(self, files: Iterable[Shared]) -> list[NodeFile]:
        """Say it of several."""
        return [self.describe(file) for file in files]

    def _forget(self, name: str) -> None:
        self._names.pop(self._id_of(name), None)
        self.size -= self._sizes.pop(name, 0)
