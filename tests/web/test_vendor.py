"""The front-end libraries that come with the package."""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = files("p2pshare.web")
FOLDER = PACKAGE.joinpath("pages/vendor")


class VendorTests(SynchronousTestCase):
    """What VENDOR.toml says of them."""

    def setUp(self) -> None:
        self.libraries = tomllib.loads(PACKAGE.joinpath("VENDOR.toml").read_text())["library"]

    def test_sums(self) -> None:
        """Each file is the one that was published."""
        found = {
            name: hashlib.sha256(FOLDER.joinpath(name).read_bytes()).hexdigest()
            for library in self.libraries
            for name in library["files"]
        }
        told = {name: digest for library in self.libraries for name, digest in library["files"].items()}
        self.assertEqual(found, told)

    def test_none_besides(self) -> None:
        """There is no other file: everything has a source, a version and a licence."""
        told = {name for library in self.libraries for name in library["files"]}
        self.assertEqual({entry.name for entry in FOLDER.iterdir()}, told)

    def test_licences(self) -> None:
        """Each library brings the text of every licence it names."""
        for library in self.libraries:
            self.assertTrue(library["version"] and library["source"], library["name"])
            for licence in library["licence"]:
                text = licence.partition("(")[2].rstrip(")")
                self.assertIn(text, library["files"])
