"""Which token opens a service."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons.access import Key, choose_key
from p2pshare.errors import ConfigError

TOKEN = "correct-horse-battery"


class KeyTests(SynchronousTestCase):
    """Where the token comes from."""

    def choose(self, configured: str | None = None, bind: str = "0.0.0.0", **options: object) -> Key:
        """Choose, with nothing given that is not named."""
        given: dict[str, object] = {"required": False, "folder": None, "environment": {}, **options}
        return choose_key(configured, bind=bind, **given)  # type: ignore[arg-type]

    def test_none_on_loopback(self) -> None:
        """Who can only be reached from this machine needs none."""
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            self.assertEqual(self.choose(bind=host), Key(None))

    def test_order(self) -> None:
        """The settings go before the environment, on loopback too."""
        environment = {"P2PSHARE_TOKEN": TOKEN + "-2"}
        self.assertEqual(self.choose(TOKEN, environment=environment), Key(TOKEN))
        self.assertEqual(self.choose(bind="127.0.0.1", environment=environment), Key(TOKEN + "-2"))

    def test_made_once(self) -> None:
        """Without either one is made and kept where only its owner reads it; the next start finds it."""
        folder = Path(self.mktemp()) / "deep"
        first = self.choose(folder=folder)
        self.assertTrue(first.is_new)
        self.assertGreaterEqual(len(first.token or ""), 32)
        self.assertEqual(self.choose(bind="::", folder=folder), Key(first.token))
        (kept,) = folder.iterdir()
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)

    def test_without_folder(self) -> None:
        """Who keeps nothing gets a new one each time."""
        self.assertNotEqual(self.choose().token, self.choose().token)

    def test_required(self) -> None:
        """Who wants it given gets none made."""
        error = self.assertRaises(ConfigError, self.choose, required=True)
        self.assertIn("P2PSHARE_TOKEN", str(error))
        self.assertEqual(self.choose(TOKEN, required=True), Key(TOKEN))

    def test_bad(self) -> None:
        """A token that could be guessed is refused, and not shown."""
        error = self.assertRaises(ConfigError, self.choose, "short")
        self.assertNotIn("short", str(error).replace("too short", ""))

    def test_secret(self) -> None:
        """It does not get into logs by chance."""
        self.assertNotIn(TOKEN, repr(self.choose(TOKEN)))
