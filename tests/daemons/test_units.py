"""The service files that come along."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons import peer, tracker

CONF = Path(__file__).parents[2] / "conf"


class UnitTests(SynchronousTestCase):
    """conf/systemd"""

    def unit(self, name: str) -> Any:
        """Read a unit; keys keep their case."""
        parser: Any = ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read(CONF / "systemd" / f"{name}.service")
        return parser

    def test_commands(self) -> None:
        """What they start is understood by the daemon, with the settings file that comes along."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, module in (("p2p-tracker", tracker), ("p2p-peer", peer)):
            words = shlex.split(self.unit(name)["Service"]["ExecStart"])
            self.assertEqual(words[1:4], ["--nodaemon", "--pidfile=", name])
            settings = f"/etc/p2pshare/{name.removeprefix('p2p-')}.toml"
            self.assertIn(settings, words)
            at_home = {settings: str(CONF / Path(settings).name), f"/var/lib/{name}/torrents": str(folder)}
            options = module.Options()
            options.parseOptions([at_home.get(word, word) for word in words[4:]])

    def test_guarded(self) -> None:
        """They run as nobody in particular, with nothing of the system to write to."""
        for name in ("p2p-tracker", "p2p-peer"):
            service = self.unit(name)["Service"]
            for key, value in (
                ("DynamicUser", "yes"),
                ("NoNewPrivileges", "yes"),
                ("ProtectSystem", "strict"),
                ("StateDirectory", name),
                ("CapabilityBoundingSet", ""),
            ):
                self.assertEqual(service[key], value, (name, key))
