"""What can be set about a peer, and the commented defaults in conf/."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client import settings as client
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.service_settings import ServiceSettings
from p2pshare.errors import ConfigError
from p2pshare.peer.limits import ConnectionLimits
from p2pshare.policy.rankings import proportional
from p2pshare.policy.strategies import lowest
from p2pshare.settings import load_settings, override
from p2pshare.swarm.settings import PeerLimits
from p2pshare.tracker import settings as tracker

CONF = Path(__file__).resolve().parents[2] / "conf"
FILES: dict[str, tuple[type[Any], str]] = {
    "peer.toml": (PeerSettings, client.SECTION),
    "tracker.toml": (ServiceSettings, tracker.SECTION),
}


def spelled_out(text: str) -> str:
    """Take the # off the values that show what could be set where the default is none."""
    return re.sub(r"(?m)^# *(?=\w+ = )", "", text)


def keys(cls: type[Any]) -> set[str]:
    """Name all keys of a section, those of the tables in it with a dot."""
    found = set()
    for field in attrs.fields(cls):
        below = getattr(field.default, "factory", None)
        found |= {f"{field.name}.{key}" for key in keys(below)} if attrs.has(below) else {field.name}
    return found


def keys_in(table: dict[str, Any]) -> set[str]:
    """Name all keys of a table that was read."""
    found = set()
    for key, value in table.items():
        found |= {f"{key}.{below}" for below in keys_in(value)} if isinstance(value, dict) else {key}
    return found


class DefaultFilesTests(SynchronousTestCase):
    """The files in conf/ are read by people, and must not lie."""

    def test_all_are_known(self) -> None:
        """Every file in conf/ is checked here."""
        self.assertEqual({path.name for path in CONF.glob("*.toml")}, FILES.keys())

    def test_say_the_defaults(self) -> None:
        """Each file, as it is, changes nothing."""
        for name, (cls, section) in FILES.items():
            self.assertEqual(load_settings(CONF / name, cls, section), cls(), name)

    def test_say_everything(self) -> None:
        """Each file mentions every key; those without a default show a value that can be used."""
        for name, (cls, section) in FILES.items():
            text = spelled_out((CONF / name).read_text())
            self.assertEqual(keys_in(tomllib.loads(text)[section]), keys(cls), name)
            full = Path(self.mktemp())
            full.write_text(text)
            load_settings(full, cls, section)


class PeerSettingsTests(SynchronousTestCase):
    def read(self, text: str) -> PeerSettings:
        """Read the lines of a section."""
        file = Path(self.mktemp())
        file.write_text(f"[peer]\n{text}\n")
        return load_settings(file, PeerSettings, client.SECTION)

    def test_texts(self) -> None:
        """Rates, sizes and times may be written as people write them."""
        read = self.read('limit_up = "5M"\nmemory_limit = "64M"\nrequest_timeout = "2m"\nwatch_interval = 3')
        self.assertEqual((read.limit_up, read.memory_limit), (5 << 20, 64 << 20))
        self.assertEqual((read.request_timeout, read.watch_interval), (120.0, 3.0))

    def test_strategies(self) -> None:
        """What is fetched first and who is served first are functions, chosen by their names."""
        swarm = self.read('picker = "sequential"\nchoker = "proportional"').swarm()
        self.assertEqual((swarm.picker, swarm.choker.rank), (lowest, proportional))

    def test_f109_mistakes(self) -> None:
        """An unknown key, a wrong type and a negative limit are refused, naming line, key and what it holds."""
        for line, said in (
            ("limit_upp = 3", "line 2: peer.limit_upp is unknown"),
            ('port = "http"', 'line 2: peer.port is "http": expected a whole number'),
            ("jitter = 1", "line 2: peer.jitter is 1: expected true or false"),
            ("limit_up = -5", "line 2: peer.limit_up is -5: expected 1 to"),
            ('limit_up = "fast"', 'line 2: peer.limit_up is "fast": '),
            ('picker = "best"', "line 2: peer.picker is 'best': expected rarest, first, "),
            ('choker = "best"', "line 2: peer.choker is 'best': expected fastest, proportional"),
        ):
            error = self.assertRaises(ConfigError, self.read, line)
            self.assertIn(said, str(error))

    def test_f109_limits(self) -> None:
        """Every limit has a range; what is out of it, or of another type, is refused by the limit's full name."""
        for table, cls in (("connections", ConnectionLimits), ("limits", PeerLimits)):
            for field in attrs.fields(cls):
                key = f"peer.{table}.{field.name}"
                for value in ("-1", "1e30", '"many"', "[]"):
                    error = self.assertRaises(ConfigError, self.read, f"[peer.{table}]\n{field.name} = {value}")
                    self.assertIn(f"line 3: {key} is ", str(error))
        error = self.assertRaises(ConfigError, self.read, "[peer.limits]\nhalf_open = 3")
        self.assertIn("line 3: peer.limits.half_open is unknown", str(error))

    def test_limits(self) -> None:
        """Limits are read as people write them, and reach each torrent."""
        read = self.read('[peer.connections]\nsend_buffer = "1M"\nidle_timeout = "3m"\n[peer.limits]\nban_time = "2h"')
        self.assertEqual((read.connections.send_buffer, read.connections.idle_timeout), (1 << 20, 180.0))
        self.assertEqual(read.swarm().limits, PeerLimits(ban_time=7200.0))

    def test_flags_go_first(self) -> None:
        """What the command line says replaces what the file says, and is checked alike."""
        read = self.read("port = 7000\nmax_peers = 9")
        self.assertEqual(override(read, port=7001, bind=None), attrs.evolve(read, port=7001))
        self.assertRaises(ConfigError, override, read, port=70_000)

    def test_swarm(self) -> None:
        """Each torrent gets its share of the knobs."""
        swarm = PeerSettings(max_peers=7, pipeline=5, upload_slots=2, choke_interval=3.0).swarm()
        self.assertEqual((swarm.max_peers, swarm.pipeline), (7, 5))
        self.assertEqual((swarm.choker.slots, swarm.choker.interval), (2, 3.0))
