"""Tests of p2pshare.index.users."""

from __future__ import annotations

from p2pshare.errors import RequestRefused
from tests.index.opened import TODAY, IndexTestCase


class UsersTests(IndexTestCase):
    """Users"""

    def test_s3_11_added_and_found(self) -> None:
        """A user gets an id and a peer_id of P2PY and 16 letters or digits, by which it is found."""
        user = self.successResultOf(self.catalogue.users.add("Zoë"))
        self.assertEqual((user.id, user.username, user.created_at), (1, "Zoë", TODAY))
        self.assertRegex(user.peer_id, "^P2PY[A-Za-z0-9]{16}$")
        self.assertEqual(self.successResultOf(self.catalogue.users.get(user.peer_id)), user)

    def test_s3_11_everybody_differs(self) -> None:
        """No two users have one peer_id."""
        added = [self.successResultOf(self.catalogue.users.add(f"user{number}")) for number in range(50)]
        self.assertEqual(len({user.peer_id for user in added}), 50)

    def test_s3_11_unknown(self) -> None:
        """Nobody is found under a peer_id that nobody got."""
        self.assertIsNone(self.successResultOf(self.catalogue.users.get("P2PY0000000000000000")))

    def test_s3_11_taken(self) -> None:
        """A name is given once; who wants it too is refused in the words of the API, and nothing is changed."""
        self.successResultOf(self.catalogue.users.add("ann"))
        failure = self.failureResultOf(self.catalogue.users.add("ann"), RequestRefused)
        self.assertEqual(str(failure.value), "Username already exists")
        self.assertEqual(self.rows("SELECT username FROM users"), [("ann",)])

    def test_names_that_cannot_be(self) -> None:
        """Empty, endless and unprintable names are refused."""
        for name in ("", "x" * 257, "a\nb", "a\0b", "\ud800", "\u202eevil"):
            failure = self.failureResultOf(self.catalogue.users.add(name), RequestRefused)
            self.assertEqual(str(failure.value), "username: expected 1 to 256 printable characters")
