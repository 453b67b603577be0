"""What an index needs of whoever seeds the files that were uploaded to it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from p2pshare.metainfo import Metainfo


class ContentServer(Protocol):
    """
    Seeds contents that lie at a path, so that whatever was uploaded can be had at once by any BitTorrent client.

    Its peers announce themselves like all others: who asks the index for members of a swarm finds them there.
    """

    async def serve(self, metainfo: Metainfo, path: Path) -> None:
        """
        Begin to seed a content; one that is seeded already stays as it is.

        :param path: the content itself, file or folder. It is read, never written to, and has to stay until
            :meth:`withdraw` has returned.
        :raise StorageError: it is not there, or not what the torrent describes.
        """

    async def withdraw(self, info_hash: bytes) -> None:
        """Stop to seed a content; afterwards nothing reads its files. One that is not seeded is no error."""

    def serves(self, info_hash: bytes) -> bool:
        """Tell whether :meth:`serve` was asked for a content, and :meth:`withdraw` not since."""
