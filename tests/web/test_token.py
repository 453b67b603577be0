"""Tests of p2pshare.web.token."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import ConfigError
from p2pshare.web.token import check_token, make_or_read_token


class TokenFileTests(SynchronousTestCase):
    """The file that keeps a token."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "state"
        self.path = self.folder / "token"

    def put(self, text: str, mode: int = 0o600) -> None:
        """Put a file there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text)
        self.path.chmod(mode)

    def test_made_once(self) -> None:
        """The first time a token is made, then it is read; only its owner can."""
        token, is_new = make_or_read_token(self.folder)
        self.assertTrue(is_new)
        self.assertGreaterEqual(len(token), 43)
        self.assertEqual(make_or_read_token(self.folder), (token, False))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["token"])

    def test_never_open_to_others(self) -> None:
        """Not even for a moment, and whatever the umask, can others read it."""
        modes = []
        real = os.link

        def link(source: Path, target: Path) -> None:
            modes.append(source.stat().st_mode & 0o777)
            real(source, target)

        before = os.umask(0)
        try:
            with mock.patch("p2pshare.web.token.os.link", link):
                make_or_read_token(self.folder)
        finally:
            os.umask(before)
        self.assertEqual(modes, [0o600])
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)

    def test_two_at_once(self) -> None:
        """Of two processes that make one at the same time, the second takes that of the first."""

        def make() -> str:
            self.put("of-the-other-process\n")
            return "never-to-be-seen-by-anybody"

        self.assertEqual(make_or_read_token(self.folder, make), ("of-the-other-process", False))
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["token"])

    def test_readable_by_others(self) -> None:
        """A file that others can read is refused, with what to do about it."""
        self.put("a-token-that-everybody-knows", 0o644)
        with self.assertRaisesRegex(ConfigError, r"token: others may read it \(mode 644\); chmod 600 it"):
            make_or_read_token(self.folder)

    def test_no_token_in_it(self) -> None:
        """A file that is empty, too short or not a token is refused, and not shown."""
        for text in ("", "short", "with spaces in between it", "é" * 20):
            self.put(text)
            with self.assertRaises(ConfigError) as caught:
                make_or_read_token(self.folder)
            self.assertIn("expected 16 to 512 letters, digits", str(caught.exception))
            if text:
                self.assertNotIn(text, str(caught.exception))

    def test_not_a_file(self) -> None:
        """A link or a folder in its place is refused."""
        self.folder.mkdir(parents=True)
        self.path.symlink_to("/dev/zero")
        with self.assertRaisesRegex(ConfigError, "token file"):
            make_or_read_token(self.folder)
        self.path.unlink()
        os.mkfifo(self.path, 0o600)
        with self.assertRaisesRegex(ConfigError, "no ordinary file"):
            make_or_read_token(self.folder)

    def test_no_folder(self) -> None:
        """A folder that cannot be made is one clear error."""
        self.folder.parent.mkdir(parents=True)
        self.folder.write_text("in the way")
        with self.assertRaisesRegex(ConfigError, r"^token file .*state/token: "):
            make_or_read_token(self.folder)

    def test_configured(self) -> None:
        """A token from the settings has to be one, too; 16 characters are the shortest."""
        self.assertEqual(check_token("a" * 16, "setting token"), "a" * 16)
        for text in ("a" * 15, "a" * 513, "line\nline-and-some-more"):
            with self.assertRaisesRegex(ConfigError, "^setting token: a token of "):
                check_token(text, "setting token")
