"""Functions by their names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

from twisted.trial.unittest import SynchronousTestCase

from p2pshare import plugins
from p2pshare.errors import ConfigError
from p2pshare.plugins import find_function, group
from p2pshare.policy.strategies import STRATEGIES, lowest, rarest


class FindTests(SynchronousTestCase):
    """find_function()"""

    def offer(self, **values: str) -> None:
        """Let packages bring pickers."""
        offered = EntryPoints([EntryPoint(name, value, group("picker")) for name, value in values.items()])
        self.patch(plugins, "_offered", lambda name: offered.select(group=name))

    def test_ours(self) -> None:
        """Ours go by their names, whatever packages bring."""
        self.offer(rarest="p2pshare.policy.strategies:lowest")
        self.assertIs(find_function("picker", STRATEGIES, "rarest"), rarest)

    def test_others(self) -> None:
        """A package's picker is found by the name of its entry point."""
        self.offer(mine="p2pshare.policy.strategies:lowest")
        self.assertIs(find_function("picker", STRATEGIES, "mine"), lowest)

    def test_wrong(self) -> None:
        """What cannot be used is told in one line that says what could be."""
        self.offer(broken="no.such.module:x", number="sys:maxsize", good="p2pshare.policy.strategies:lowest")
        for name, words in (
            ("broken", "cannot be loaded"),
            ("number", "is int"),
            ("none", "rarest, first, random, sequential, broken, good, number"),
        ):
            self.assertIn(words, str(self.assertRaises(ConfigError, find_function, "picker", STRATEGIES, name)))

    def test_kinds(self) -> None:
        """What is offered as one kind is not found as another."""
        self.offer(mine="p2pshare.policy.strategies:lowest")
        self.assertRaises(ConfigError, find_function, "choker", STRATEGIES, "mine")
