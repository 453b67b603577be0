"""Who may use a private tracker, and for which torrents: lists in files that may change while it runs."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import ConfigError, RequestRefused
from p2pshare.tracker.settings import TrackerSettings

LOOK_EVERY = 5.0  # seconds between two looks at the files' times
MAX_FILE = 256 * 1024**2  # bytes: some millions of lines

_PASSKEY = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_INFO_HASH = re.compile(rb"[0-9A-Fa-f]{40}")

Run = Callable[..., "Deferred[Any]"]  # (function, *args): calls it in a thread
Stamp = tuple[int, int, int]  # what changes when a file does: its time, its size, and which file it is


@frozen
class Lists:
    """Who is let in: holders of these passkeys, for these torrents. None: no such list, so everybody and everything."""

    passkeys: frozenset[bytes] | None = None
    torrents: frozenset[bytes] | None = None


OPEN = Lists()


@define(eq=False)
class Admission:
    """
    Refuses whoever and whatever is not on the lists, which may be replaced at any time.

    Set members are found by a hash that is keyed anew in each process, so the time that takes tells nothing of them.
    """

    lists: Lists = OPEN

    def check_passkey(self, passkey: bytes) -> None:
        """
        Let a holder of a passkey pass; empty: none was shown.

        :raise RequestRefused: there is a list of them, and it is not on that.
        """
        passkeys = self.lists.passkeys
        if passkeys is not None and passkey not in passkeys:
            raise RequestRefused(
                "this passkey is not known"
                if passkey
                else "this tracker is private: use the announce URL with your passkey in it, /PASSKEY/announce"
            )

    def check_torrent(self, info_hash: bytes) -> None:
        """
        Let a torrent pass.

        :raise RequestRefused: there is a list of them, and it is not on that.
        """
        torrents = self.lists.torrents
        if torrents is not None and info_hash not in torrents:
            raise RequestRefused("this torrent is not on the list of this tracker")


class ListKeeper(Service):
    """Reads the lists of a private tracker when it starts, and again whenever the files have changed."""

    log = Logger()

    def __init__(self, settings: TrackerSettings, admission: Admission, run: Run, clock: IReactorTime) -> None:
        """Keep the lists of ``admission`` as the files say; nothing is done for a tracker that is not private."""
        self._is_private = settings.private
        self._paths = (settings.passkey_file, settings.torrent_file)
        self._admission = admission
        self._run = run
        self._stamps: list[Stamp | None] = []
        self._round = LoopingCall(self.look)
        self._round.clock = clock

    def startService(self) -> None:
        """
        Read the lists.

        :raise ConfigError: a file cannot be read, or has a line that makes no sense.
        """
        super().startService()
        if not self._is_private:
            return
        if self._paths == (None, None):
            raise ConfigError("private is true: expected passkey_file or torrent_file, or both")
        self._stamps = self._look_at_files()
        self._use(read_lists(*self._paths))
        self._round.start(LOOK_EVERY, now=False).addErrback(
            lambda failure: self.log.failure("the lists are no longer looked after", failure)
        )

    def stopService(self) -> None:
        """Look no more."""
        if self._round.running:
            self._round.stop()
        super().stopService()

    def look(self) -> Deferred[None] | None:
        """Read the lists again if a file has changed; fires when that is done."""
        stamps = self._look_at_files()
        return None if stamps == self._stamps else self._read(stamps)

    def reread(self) -> Deferred[None] | None:
        """Read the lists again, changed or not: somebody asked for it."""
        return self._read(self._look_at_files()) if self._is_private else None

    def _read(self, stamps: list[Stamp | None]) -> Deferred[None]:
        self._stamps = stamps
        reading: Deferred[Lists] = self._run(read_lists, *self._paths)
        return reading.addCallbacks(self._use, self._keep)

    def _use(self, lists: Lists) -> None:
        self._admission.lists = lists
        self.log.info(
            "private tracker: {passkeys} passkeys, {torrents} torrents",
            passkeys="no list of" if lists.passkeys is None else len(lists.passkeys),
            torrents="no list of" if lists.torrents is None else len(lists.torrents),
        )

    def _keep(self, failure: Failure) -> None:
        failure.trap(ConfigError)
        self.log.error("the lists stay as they were: {reason}", reason=failure.getErrorMessage())

    def _look_at_files(self) -> list[Stamp | None]:
        return [None if path is None else _stamp(path) for path in self._paths]


def read_lists(passkey_file: str | None, torrent_file: str | None) -> Lists:
    """
    Read the files; blocks.

    :raise ConfigError: one cannot be read, or has a line that makes no sense, which is named by its number only: the
        rest of it may be somebody's passkey.
    """
    return Lists(
        None if passkey_file is None else frozenset(_read(passkey_file, _PASSKEY, "a passkey of 8 to 64 characters")),
        None
        if torrent_file is None
        else frozenset(map(unhexlify, _read(torrent_file, _INFO_HASH, "an info_hash in 40 hexadecimal digits"))),
    )


def _read(path: str, entry: re.Pattern[bytes], expected: str) -> list[bytes]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise ConfigError(f"{path} is larger than {MAX_FILE} bytes")
    entries = []
    for number, line in enumerate(content.splitlines(), 1):
        said = line.partition(b"#")[0].strip()
        if said:
            if entry.fullmatch(said) is None:
                raise ConfigError(f"{path}, line {number}: expected {expected}")
            entries.append(said)
    return entries


def _stamp(path: str) -> Stamp | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
