"""Starting all peers of a swarm."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.config import PeerInfo, PeerLine
from p2pshare.course.remote import start_peers, working_folder
from p2pshare.errors import ConfigError

INFO = PeerInfo(
    (
        PeerLine(1001, "lin114-00.example.edu", 6001, True),
        PeerLine(1003, "lin114-02.example.edu", 6001, False),
        PeerLine(1002, "lin114-01.example.edu", 6001, False),
    )
)


class StartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.started: list[list[str]] = []

    def start(self, words: Sequence[str]) -> None:
        self.started.append(list(words))

    def test_s4_19_one_call_a_line(self) -> None:
        """Each line is one ssh, in the order of the file: into the folder, and the peer process with its id."""
        start_peers(INFO, "/home/me/project", ["peerProcess"], self.start)
        self.assertEqual(
            self.started,
            [
                ["ssh", "lin114-00.example.edu", "cd /home/me/project ; peerProcess 1001"],
                ["ssh", "lin114-02.example.edu", "cd /home/me/project ; peerProcess 1003"],
                ["ssh", "lin114-01.example.edu", "cd /home/me/project ; peerProcess 1002"],
            ],
        )

    def test_s4_19_local(self) -> None:
        """All can be processes of this machine."""
        start_peers(INFO, "/home/me/project", ["python", "-m", "peer"], self.start, local=True)
        self.assertEqual(self.started, [["python", "-m", "peer", id] for id in ("1001", "1003", "1002")])

    def test_words_stay_words(self) -> None:
        """A folder with blanks, or with more than a name in it, is one word to the other side's shell."""
        start_peers(INFO, "/tmp/a b; rm -rf", ["java", "peerProcess"], self.start, ssh="/usr/bin/ssh")
        expected = "cd '/tmp/a b; rm -rf' ; java peerProcess 1001"
        self.assertEqual(self.started[0], ["/usr/bin/ssh", "lin114-00.example.edu", expected])

    def test_host_that_is_an_option(self) -> None:
        """A host name that ssh would take for an option starts nothing at all."""
        info = PeerInfo((*INFO.peers, PeerLine(1004, "-oProxyCommand=reboot", 6001, False)))
        error = self.assertRaises(ConfigError, start_peers, info, "/", ["peerProcess"], self.start)
        self.assertIn("'-oProxyCommand=reboot' of peer 1004, expected a host name", str(error))
        self.assertEqual(self.started, [])


class FolderTests(SynchronousTestCase):
    def test_absolute(self) -> None:
        """The working directory is named from the root, and has to be there."""
        folder = Path(self.mktemp())
        self.assertIn("no such folder", str(self.assertRaises(ConfigError, working_folder, folder)))
        folder.mkdir()
        self.assertEqual(working_folder(folder), os.path.realpath(folder))
