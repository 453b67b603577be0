"""A course project's peer as a service of twistd."""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.dialect_settings import CourseSettings, TextSettings
from p2pshare.course.init import find_sample, init_swarm
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

    def test_alone(self) -> None:
        """They say which peer of which swarm, from wherever twistd goes to; with nothing else, that is all."""
        folder = Path(self.mktemp())
        folder.mkdir()
        init_swarm(find_sample("local"), folder, Random(0))
        options = self.parsed("--course", str(folder), "--peer-id", "1001")
        self.assertEqual(options.settings.course, CourseSettings(str(folder.absolute()), 1001))
        self.assertTrue(options.is_course_alone)
        wrong = ("--course", str(folder), "--peer-id", "1001", "--port", "7")
        self.assertIn("at port 6001", str(self.assertRaises(UsageError, self.parsed, *wrong)))

    def test_f109_mistakes(self) -> None:
        """One without the other, or an id that is no number, is wrong usage."""
        for arguments in (["--course", "."], ["--peer-id", "1"], ["--course", ".", "--peer-id", "one"]):
            self.assertRaises(UsageError, self.parsed, *arguments)

    def test_one_port(self) -> None:
        """Beside others it listens where its neighbors look for it; another port is wrong usage."""
        folder = Path(self.mktemp())
        folder.mkdir()
        init_swarm(find_sample("local"), folder, Random(0))
        words = ("--share", ".", "--state-dir", "/nowhere", "--course", str(folder), "--peer-id", "1002")
        options = self.parsed(*words)
        self.assertEqual((options.settings.port, options.is_course_alone), (6002, False))
        self.assertEqual(self.parsed(*words, "--port", "6002").settings.port, 6002)
        for wrong, said in (
            ((*words, "--port", "6003"), "at port 6002, and there is one port for all"),
            ((*words[:-1], "7"), "7"),
            ((*words[:-4], "--course", "/nowhere", "--peer-id", "1"), "/nowhere"),
        ):
            self.assertIn(said, str(self.assertRaises(UsageError, self.parsed, *wrong)))


class TextOptionTests(SynchronousTestCase):
    """--text and --text-tracker"""

    def test_files(self) -> None:
        """Files are shared besides those of the settings, all by their full paths."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for name in ("one", "two"):
            (folder / name).write_bytes(b"text")
        config = folder / "peer.toml"
        config.write_text(f'[peer.text]\nseed = ["{folder / "one"}"]\ntracker = "http://a.test"\n')
        options = Options()
        options.parseOptions(["--text", str(folder / "two"), "-c", str(config), "--text-tracker", "http://b.test:1"])
        both = (str(folder / "one"), str(folder / "two"))
        self.assertEqual(options.settings.text, TextSettings(both, "http://b.test:1"))
        self.assertFalse(options.is_course_alone)

    def test_f109_mistakes(self) -> None:
        """A file that is not there, and a tracker that is none, are wrong usage."""
        for arguments, said in (
            (["--text", "/nowhere/x"], "cannot share /nowhere/x in a text swarm: there is no such file"),
            (["--text", "x", "--text-tracker", "udp://a.test"], 'tracker is "udp://a.test": expected an address'),
        ):
            self.assertIn(said, str(self.assertRaises(UsageError, Options().parseOptions, arguments)))


class ServiceTests(SynchronousTestCase):
    """What can be wrong at the start."""

    def test_no_configuration(self) -> None:
        """A folder without the files of a swarm is told, and nothing is left to be stopped."""
        folder = Path(self.mktemp())
        folder.mkdir()
        service = CourseService(folder, 1001, MemoryReactorClock(), CourseSettings())
        error = self.assertRaises(ConfigError, service.startService)
        self.assertIn("Common.cfg", str(error))
        self.successResultOf(service.stopService())
        self.assertEqual(list(folder.iterdir()), [])
