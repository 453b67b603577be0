"""Torrents that were added while the process ran, kept for its next start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from p2pshare.client.intake import Intake, take_in
from p2pshare.errors import MetainfoError
from p2pshare.metainfo import Metainfo, dump
from p2pshare.storage.small_file import write_whole

MOST = 100_000  # torrents; more than a process could bear

_SUFFIX = ".torrent"


@define(eq=False)
class KeptTorrents:
    """A folder with one torrent file for each, named by its info hash."""

    _folder: Path
    _run: Callable[..., Deferred[Any]]  # in a thread
    log = Logger()

    def remember(self, content: Metainfo) -> Deferred[None]:
        """Keep one. Fails with StorageError."""
        return self._run(write_whole, self._path(content.info_hash), dump(content))

    def forget(self, info_hash: bytes) -> Deferred[None]:
        """Keep one no more; one that was not kept is no error."""
        forgetting = self._run(self._path(info_hash).unlink, True)
        return forgetting.addErrback(
            lambda failure: self.log.warn("a removed torrent will be back: {error}", error=failure.value)
        )

    def load(self, data: Path) -> list[Intake]:
        """
        Read all of them; what cannot be read is complained of. Blocks.

        :param data: where content is, or goes to.
        """
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        except OSError as error:
            self.log.warn("{folder}: {reason}", folder=self._folder, reason=error.strerror)
            return []
        kept: list[Intake] = []
        for name in names[:MOST]:
            try:
                kept.append(take_in(self._folder / name, data))
            except MetainfoError as error:
                self.log.warn("a kept torrent is lost: {error}", error=error)
        return kept

    def _path(self, info_hash: bytes) -> Path:
        return self._folder / f"{info_hash.hex()}{_SUFFIX}"
