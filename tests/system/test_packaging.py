"""What an installation offers: the console script and the plugins of twistd, from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import real_parts

BIN = Path(sys.executable).parent
PROJECT = Path(__file__).resolve().parents[2]


class InstallationTests(SynchronousTestCase):
    """The installation these tests run in."""

    def setUp(self) -> None:
        real_parts.distribution("p2pshare")
        self.elsewhere = Path(self.mktemp())
        self.elsewhere.mkdir()

    def output(self, program: str, *arguments: str) -> str:
        """Run an installed program in an empty folder and tell what it printed."""
        return subprocess.run(
            [BIN / program, *arguments], cwd=self.elsewhere, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def test_twistd_finds_the_plugins(self) -> None:
        """twistd lists our tracker (docs/adr/0001 says why that needs care)."""
        self.assertIn("p2p-tracker", self.output("twistd", "--help"))

    def test_console_script(self) -> None:
        """p2pshare is on the path."""
        self.assertIn("create", self.output("p2pshare", "--help"))


class PackageDataTests(SynchronousTestCase):
    """What is copied into an installation that is no checkout."""

    def test_everything_is_named(self) -> None:
        """Every file of the packages that is no Python is named in setup.cfg: pages, styles, licences of others."""
        settings = ConfigParser()
        settings.read(PROJECT / "setup.cfg")
        patterns = settings["options.package_data"]["p2pshare"].split()
        package = PROJECT / "p2pshare"
        named = {file for pattern in patterns for file in package.glob(pattern)}
        there = {
            Path(folder, name)
            for folder, _, names in os.walk(package)
            for name in names
            if "__pycache__" not in folder and not name.endswith((".py", ".pyc"))
        }
        self.assertEqual(sorted(there - named), [])
        self.assertEqual([pattern for pattern in patterns if not any(package.glob(pattern))], [])
