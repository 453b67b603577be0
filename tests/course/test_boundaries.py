"""Who knows what in a course peer: bytes, connections and decisions are three modules, each with a page."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course import process
from p2pshare.course.networking import Callbacks, Network
from p2pshare.course.process import CourseProcess

PROJECT = Path(__file__).parents[2]


def imports(module: str) -> set[str]:
    """Name what a module imports."""
    tree = ast.parse((PROJECT / module).read_text())
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return found | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


class BoundaryTests(SynchronousTestCase):
    def test_s4_20_names(self) -> None:
        """The calls and callbacks that the assignment's three parts agree on are there, with their arguments."""
        calls = {
            "start_server": ["self", "port"],
            "connect_to_peer": ["self", "id", "host", "port"],
            "send_message": ["self", "id", "message"],
            "broadcast_message": ["self", "message", "exclude"],
            "shutdown": ["self"],
        }
        for name, arguments in calls.items():
            self.assertEqual(list(inspect.signature(getattr(Network, name)).parameters), arguments)
        told = {name for name in vars(Callbacks) if name.startswith("on_")}
        self.assertLessEqual({"on_peer_connected", "on_message", "on_peer_disconnected"}, told)
        for name in told:
            expected = inspect.signature(getattr(Callbacks, name)).parameters
            self.assertEqual(list(inspect.signature(getattr(CourseProcess, name)).parameters), list(expected))

    def test_s4_20_who_knows_what(self) -> None:
        """The codec knows no connection, the network no decision, the process no socket and no bytes."""
        self.assertFalse([name for name in imports("p2pshare/wire/course.py") if name.startswith("twisted")])
        for module in ("networking", "connection"):
            known = imports(f"p2pshare/course/{module}.py")
            self.assertFalse([name for name in known if name.startswith(("p2pshare.swarm", "p2pshare.policy"))])
        sockets = (
            "twisted.internet.protocol",
            "twisted.internet.endpoints",
            "twisted.internet.tcp",
            "socket",
            "struct",
        )
        self.assertFalse(imports("p2pshare/course/process.py") & set(sockets))
        self.assertNotIn("encode", inspect.getsource(process))

    def test_s4_20_pages(self) -> None:
        """Each of the three has a page that says what it is for and what its interface is."""
        for page in ("protocol", "networking", "peer-process"):
            self.assertIn("## Interface", (PROJECT / "docs" / "course" / f"{page}.md").read_text())
