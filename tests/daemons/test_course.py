"""A course project's peer as a service of twistd."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons.course import CourseService
from p2pshare.daemons.peer import Options
from p2pshare.errors import ConfigError


class OptionTests(SynchronousTestCase):
    """--course and --peer-id"""

    def parsed(self, *arguments: str) -> Options:
        """Read a command line."""
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_both(self) -> None:
        """They say which peer of which swarm, from wherever twistd goes to."""
        self.assertEqual(self.parsed("--course", "swarm", "--peer-id", "1001").course, (Path("swarm").absolute(), 1001))
        self.assertIsNone(self.parsed("--share", ".", "--state-dir", "/nowhere").course)

    def test_f109_mistakes(self) -> None:
        """One without the other, or an id that is no number, is wrong usage."""
        for arguments in (["--course", "."], ["--peer-id", "1"], ["--course", ".", "--peer-id", "one"]):
            self.assertRaises(UsageError, self.parsed, *arguments)


class ServiceTests(SynchronousTestCase):
    """What can be wrong at the start."""

    def test_no_configuration(self) -> None:
        """A folder without the files of a swarm is told, and nothing is left to be stopped."""
        folder = Path(self.mktemp())
        folder.mkdir()
        service = CourseService(folder, 1001, MemoryReactorClock())
        error = self.assertRaises(ConfigError, service.startService)
        self.assertIn("Common.cfg", str(error))
        self.successResultOf(service.stopService())
        self.assertEqual(list(folder.iterdir()), [])
