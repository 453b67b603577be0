"""Pickers by their names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client import pickers
from p2pshare.client.pickers import GROUP, find_picker
from p2pshare.errors import ConfigError
from p2pshare.policy.strategies import lowest, rarest


class FindTests(SynchronousTestCase):
    """find_picker()"""

    def offer(self, **values: str) -> None:
        """Let packages bring pickers."""
        offered = EntryPoints([EntryPoint(name, value, GROUP) for name, value in values.items()])
        self.patch(pickers, "_offered", lambda: offered)

    def test_ours(self) -> None:
        """Ours go by their names, whatever packages bring."""
        self.offer(rarest="p2pshare.policy.strategies:lowest")
        self.assertIs(find_picker("rarest"), rarest)

    def test_others(self) -> None:
        """A package's picker is found by the name of its entry point."""
        self.offer(mine="p2pshare.policy.strategies:lowest")
        self.assertIs(find_picker("mine"), lowest)

    def test_wrong(self) -> None:
        """What cannot be used is told in one line that says what could be."""
        self.offer(broken="no.such.module:x", number="sys:maxsize", good="p2pshare.policy.strategies:lowest")
        for name, words in (
            ("broken", "cannot be loaded"),
            ("number", "is int"),
            ("none", "rarest, first, random, sequential, broken, good, number"),
        ):
            self.assertIn(words, str(self.assertRaises(ConfigError, find_picker, name)))
