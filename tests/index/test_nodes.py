"""Tests of p2pshare.index.nodes: ids that stay, one live node at each place, and who is there."""

from __future__ import annotations

from typing import Any

from p2pshare.errors import RequestRefused
from p2pshare.index.records import Node
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, member, node_claim


class NodesTests(IndexTestCase):
    """Nodes"""

    def register(self, node_id: str | None = "ann", *args: Any, **said: Any) -> Node:
        """Have a node register."""
        return self.successResultOf(self.catalogue.nodes.register(node_claim(node_id, *args, **said)))

    def report(self, reporter: str, wire_peer_id: str, change: int) -> bool:
        """Let a node say something of another one."""
        return self.successResultOf(self.catalogue.nodes.report(reporter, {wire_peer_id: change}))

    def get(self, node_id: str) -> Node:
        """Look up a node that is known."""
        node = self.successResultOf(self.catalogue.nodes.get(node_id))
        assert node is not None
        return node

    def online(self) -> list[str]:
        """List who is there."""
        return [node.id for node in self.successResultOf(self.catalogue.nodes.all()) if node.online]

    def test_s2_1_keeps_its_id(self) -> None:
        """A node that brings a free id keeps it, and is listed online with all it said."""
        node = self.register("p1", region="eu", shared_files=3)
        self.assertEqual(
            node,
            Node(
                id="p1",
                address="10.0.0.1",
                port=9001,
                region="eu",
                shared_files=3,
                reputation=0,
                registered_at=TODAY,
                last_seen=TODAY,
                online=True,
                wire_peer_id=None,
            ),
        )
        self.assertEqual(self.successResultOf(self.catalogue.nodes.all()), [node])
        self.assertEqual(self.successResultOf(self.catalogue.nodes.heard_from("p1")), node)

    def test_s2_2_gets_an_id(self) -> None:
        """A node without an id gets one of 16 hexadecimal digits, and the same again from the same place."""
        node = self.register(None)
        self.assertRegex(node.id, "^[0-9a-f]{16}$")
        self.assertEqual(self.register(None).id, node.id)
        self.assertNotEqual(self.register(None, port=9002).id, node.id)
        self.assertEqual(len(self.online()), 2)

    def test_s2_2_same_place_under_another_id(self) -> None:
        """Of two ids at one address and port only the last to register is online; both stay listed."""
        self.register("old")
        self.register("new")
        self.assertEqual(self.online(), ["new"])
        self.assertFalse(self.get("old").online)

    def test_s2_2_same_place_without_an_id(self) -> None:
        """A node that forgot its id is given the one its place had last."""
        self.register("old")
        self.clock.advance(1)
        self.register("new")
        self.assertEqual(self.register(None).id, "new")

    def test_registers_again(self) -> None:
        """News about a node replace what was known; its reputation and its first day stay."""
        self.register("ann", region="eu", wire_peer_id="-XX0001-000000000001")
        self.register("bob", port=9003)
        self.report("bob", "-XX0001-000000000001", 5)
        self.clock.advance(10)
        node = self.register("ann", port=9002, region="us")
        self.assertEqual((node.port, node.region, node.reputation), (9002, "us", 5))
        self.assertEqual((node.registered_at, node.last_seen), (TODAY, TODAY + 10))

    def test_id_of_somebody_else(self) -> None:
        """The id of a node that is online on another host is not given away; the newcomer gets one of its own."""
        self.register("ann", "10.0.0.1")
        other = self.register("ann", "10.0.0.2")
        self.assertRegex(other.id, "^[0-9a-f]{16}$")
        self.assertEqual(self.get("ann").address, "10.0.0.1")
        self.assertEqual(set(self.online()), {"ann", other.id})

    def test_moved(self) -> None:
        """A node that was offline may come back under its id from another host."""
        self.register("ann", "10.0.0.1")
        self.clock.advance(121)
        self.successResultOf(self.catalogue.nodes.drop_silent(120))
        self.assertEqual(self.register("ann", "10.0.0.2").id, "ann")

    def test_own_id_that_is_taken(self) -> None:
        """An id made of a place that somebody else took as its own is not given twice."""
        made = self.register(None, "10.0.0.2").id
        self.catalogue = self.open()
        self.register(made, "10.0.0.9")
        other = self.register(None, "10.0.0.2")
        self.assertNotEqual(other.id, made)
        self.assertEqual(set(self.online()), {made, other.id})

    def test_s2_3_unknown(self) -> None:
        """A heartbeat of somebody unknown fires with None, and what it says of others is not taken."""
        self.assertIsNone(self.successResultOf(self.catalogue.nodes.heard_from("who")))
        self.assertIsNone(self.successResultOf(self.catalogue.nodes.get("who")))
        self.assertFalse(self.report("who", "-XX0001-000000000001", 1))

    def test_s2_4_silent(self) -> None:
        """After two minutes of silence, and not before, a node is offline; a heartbeat brings it back."""
        self.register("ann")
        self.register("bob", port=9002)
        self.clock.advance(60)
        self.successResultOf(self.catalogue.nodes.heard_from("bob"))
        self.clock.advance(60)
        self.assertEqual(self.successResultOf(self.catalogue.nodes.drop_silent(120)), [])
        self.clock.advance(1)
        gone = self.successResultOf(self.catalogue.nodes.drop_silent(120))
        self.assertEqual([(node.id, node.online) for node in gone], [("ann", False)])
        self.assertEqual(self.online(), ["bob"])
        self.assertEqual(self.successResultOf(self.catalogue.nodes.drop_silent(120)), [])
        self.successResultOf(self.catalogue.nodes.heard_from("ann"))
        self.assertEqual(self.online(), ["ann", "bob"])

    def test_listed(self) -> None:
        """Online nodes are listed first, then who was seen last."""
        for number, node_id in enumerate(("a", "b", "c")):
            self.register(node_id, port=number + 1)
            self.clock.advance(100)
        self.successResultOf(self.catalogue.nodes.drop_silent(150))
        listed = self.successResultOf(self.catalogue.nodes.all())
        self.assertEqual([(node.id, node.online) for node in listed], [("c", True), ("b", False), ("a", False)])

    def test_s2_18_reputation(self) -> None:
        """Reputation is 0 at first, and moves both ways, by what other nodes say and not by what it says itself."""
        peer_id = "-XX0001-000000000001"
        self.assertEqual(self.register("ann", wire_peer_id=peer_id).reputation, 0)
        self.register("bob", port=9002, wire_peer_id="-XX0001-000000000002")
        for reporter, change, expected in (("bob", 3, 3), ("bob", -5, -2), ("ann", 100, -2)):
            self.assertTrue(self.report(reporter, peer_id, change))
            self.assertEqual(self.get("ann").reputation, expected)
        self.assertTrue(self.report("bob", "-XX0001-nobody-we-know", 7))
        self.assertEqual([node.reputation for node in self.successResultOf(self.catalogue.nodes.all())], [-2, 0])

    def test_an_announce_is_a_sign_of_life(self) -> None:
        """A node that announces under its peer_id is there, also without heartbeats."""
        peer_id = "-XX0001-000000000001"
        self.register("ann", wire_peer_id=peer_id)
        self.clock.advance(121)
        self.successResultOf(self.catalogue.nodes.drop_silent(120))
        self.catalogue.memberships.joined(INFO_HASH, member(peer_id, at=self.now()))
        self.successResultOf(self.catalogue.memberships.flush())
        self.assertEqual((self.get("ann").online, self.get("ann").last_seen), (True, TODAY + 121))

    def test_refused(self) -> None:
        """What no node can be is refused, with the field and what may be there."""
        for said, reason in (
            ({"address": ""}, "address: 0 characters, expected 1 to 256"),
            ({"port": 0}, "port: 0, expected 1 to 65535"),
            ({"port": 65536}, "port: 65536, expected 1 to 65535"),
            ({"node_id": ""}, "id: 0 characters, expected 1 to 256"),
            ({"region": "x" * 257}, "region: 257 characters, expected 0 to 256"),
            ({"shared_files": -1}, "shared_files: -1, expected 0 to "),
        ):
            with self.assertRaisesRegex(RequestRefused, reason):
                node_claim(**said)  # type: ignore[arg-type]

    def test_goodbye_is_the_last_word(self) -> None:
        """What a node announced before its goodbye, and is written down after it, does not bring it back."""
        peer_id = "-XX0001-000000000001"
        self.register("ann", wire_peer_id=peer_id)
        self.clock.advance(5)
        self.catalogue.memberships.joined(INFO_HASH, member(peer_id, at=self.now()))
        self.clock.advance(1)
        self.successResultOf(self.catalogue.nodes.left("ann"))
        self.successResultOf(self.catalogue.memberships.flush())
        self.assertFalse(self.get("ann").online)
