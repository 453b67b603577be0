"""Tests of p2pshare.tracker.private."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import ConfigError, RequestRefused
from p2pshare.tracker import private
from p2pshare.tracker.private import LOOK_EVERY, Admission, ListKeeper, Lists, read_lists
from p2pshare.tracker.settings import TrackerSettings

HASH = bytes(range(20))
KEY, OTHER_KEY = b"0123456789abcdef", b"another_key-1"


class AdmissionTests(SynchronousTestCase):
    """Admission"""

    def test_open(self) -> None:
        """Without lists everybody and everything passes."""
        admission = Admission()
        admission.check_passkey(b"")
        admission.check_torrent(HASH)

    def test_passkeys(self) -> None:
        """Only who is on the list passes; who shows no passkey is told how to."""
        admission = Admission(Lists(passkeys=frozenset([KEY])))
        admission.check_passkey(KEY)
        self.assertIn("not known", str(self.assertRaises(RequestRefused, admission.check_passkey, OTHER_KEY)))
        self.assertIn("/PASSKEY/announce", str(self.assertRaises(RequestRefused, admission.check_passkey, b"")))
        admission.check_torrent(HASH)

    def test_torrents(self) -> None:
        """Only torrents on the list pass."""
        admission = Admission(Lists(torrents=frozenset([HASH])))
        admission.check_torrent(HASH)
        self.assertIn("list", str(self.assertRaises(RequestRefused, admission.check_torrent, bytes(20))))
        admission.check_passkey(b"")


class ReadListsTests(SynchronousTestCase):
    """read_lists"""

    def write(self, content: bytes) -> str:
        """Write a file."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_lines(self) -> None:
        """One entry a line; comments, empty lines and spaces around do not matter, nor the case of digits."""
        passkeys = self.write(b"# friends\n\n  0123456789abcdef  # Ann\r\nanother_key-1\n")
        torrents = self.write(HASH.hex().upper().encode())
        self.assertEqual(read_lists(passkeys, torrents), Lists(frozenset([KEY, OTHER_KEY]), frozenset([HASH])))
        self.assertEqual(read_lists(None, torrents), Lists(None, frozenset([HASH])))
        self.assertEqual(read_lists(self.write(b""), None), Lists(frozenset(), None))

    def test_mistakes(self) -> None:
        """A line that makes no sense is named by its number, and not shown."""
        for passkeys, torrents, number in (
            (b"0123456789abcdef\nshort\n", None, 2),
            (b"with/slash1\n", None, 1),
            (b"a" * 65, None, 1),
            (None, b"\n" + b"ab" * 19, 2),
            (None, b"zz" * 20, 1),
        ):
            paths = [None if content is None else self.write(content) for content in (passkeys, torrents)]
            error = str(self.assertRaises(ConfigError, read_lists, *paths))
            self.assertIn(f"line {number}: expected", error)
            self.assertNotIn("short", error)

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        self.assertIn("cannot read /nonexistent", str(self.assertRaises(ConfigError, read_lists, "/nonexistent", None)))

    def test_size(self) -> None:
        """There is a limit on what is read."""
        path = self.write(b"0123456789abcdef")
        self.patch(private, "MAX_FILE", 15)
        self.assertIn("larger than 15 bytes", str(self.assertRaises(ConfigError, read_lists, path, None)))
        self.patch(private, "MAX_FILE", 16)
        read_lists(path, None)


class ListKeeperTests(SynchronousTestCase):
    """ListKeeper"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.admission = Admission()
        self.reads = 0
        self.write(KEY)

    def write(self, *passkeys: bytes) -> None:
        """Replace the file, as an editor does."""
        aside = self.path.with_suffix(".new")
        aside.write_bytes(b"\n".join(passkeys))
        os.replace(aside, self.path)

    def run_now(self, function: Any, *args: Any) -> Deferred[Any]:
        """Call a function instead of having a thread do it."""
        self.reads += 1
        result: Deferred[Any] = Deferred()
        try:
            result.callback(function(*args))
        except ConfigError:
            result.errback()
        return result

    def start(self, **settings: Any) -> ListKeeper:
        """Start with these settings."""
        changed = evolve(TrackerSettings(private=True, passkey_file=str(self.path)), **settings)
        keeper = ListKeeper(changed, self.admission, self.run_now, self.clock)
        keeper.startService()
        self.addCleanup(keeper.stopService)
        return keeper

    def test_start(self) -> None:
        """The lists are there as soon as the tracker listens."""
        self.start()
        self.assertEqual(self.admission.lists, Lists(frozenset([KEY])))

    def test_change(self) -> None:
        """A changed file is read within seconds, an unchanged one never again."""
        self.start()
        self.clock.pump([LOOK_EVERY] * 3)
        self.assertEqual(self.reads, 0)
        self.write(KEY, OTHER_KEY)
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.admission.lists, Lists(frozenset([KEY, OTHER_KEY])))
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.reads, 1)

    def test_f109_mistake_in_a_change(self) -> None:
        """A mistake, or a file that is gone, changes nothing and is in the log, once; the next good file counts."""
        self.start()
        with capturedLogs() as events:
            self.write(b"short")
            self.clock.pump([LOOK_EVERY] * 3)
            self.path.unlink()
            self.clock.pump([LOOK_EVERY] * 3)
        self.assertEqual([event["log_level"].name for event in events], ["error", "error"])
        self.assertEqual(self.admission.lists, Lists(frozenset([KEY])))
        self.write(OTHER_KEY)
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.admission.lists, Lists(frozenset([OTHER_KEY])))

    def test_asked_to_read(self) -> None:
        """Asked for it, it reads at once; a tracker that is not private has nothing to read."""
        keeper = self.start()
        self.write(OTHER_KEY)
        keeper.reread()
        self.assertEqual(self.admission.lists, Lists(frozenset([OTHER_KEY])))
        self.assertIsNone(self.start(private=False).reread())

    def test_f109_nothing_named(self) -> None:
        """A private tracker without any list is a mistake, and so is a file that cannot be used."""
        error = self.assertRaises(ConfigError, self.start, passkey_file=None)
        self.assertIn("expected passkey_file or torrent_file", str(error))
        self.assertRaises(ConfigError, self.start, passkey_file="/nonexistent")

    def test_not_private(self) -> None:
        """Files that are named do not matter as long as the tracker is not private."""
        keeper = self.start(private=False)
        self.assertEqual(self.admission.lists, Lists())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(keeper.stopService())
