"""The check as a command runs it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import run_check
from p2pshare.course.config import write_peer_info
from p2pshare.errors import StorageError
from tests.course.check.runs import INFO, RUN, text_of


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        for peer in (1001, 1002, 1003):
            (self.folder / f"log_peer_{peer}.log").write_text(text_of(RUN, peer))
        self.said: list[str] = []

    def test_good_logs(self) -> None:
        """Logs in order are one line and exit code 0; no report is written unless asked for."""
        self.assertEqual(run_check(self.folder, None, self.said.append), 0)
        self.assertEqual(self.said, ["3 logs: 0 errors, 0 warnings"])
        self.assertEqual(len(list(self.folder.iterdir())), 3)

    def test_log_of_nobody(self) -> None:
        """A log of who is not in PeerInfo.cfg is one warning, and is not compared with the others."""
        (self.folder / "PeerInfo.cfg").write_text(write_peer_info(INFO))
        (self.folder / "log_peer_1099.log").write_text(text_of(RUN, 1002).replace("Peer 1002 ", "Peer 1099 "))
        report = self.folder / "report.html"
        self.assertEqual(run_check(self.folder, report, self.said.append), 0)
        text = "warning: log_peer_1099.log: peer 1099 is not in PeerInfo.cfg, so its log is not looked at"
        self.assertEqual(self.said, [text, "3 logs: 0 errors, 1 warnings"])
        self.assertIn("swarm of 3 peers", report.read_text())

    def test_times_that_cannot_be_read(self) -> None:
        """That times are in an unknown form is said in one note for each log."""
        (self.folder / "log_peer_1003.log").write_text(text_of(RUN, 1003, lambda seconds: "some time"))
        self.assertEqual(run_check(self.folder, None, self.said.append), 0)
        self.assertEqual(len(self.said), 2, self.said)
        self.assertTrue(self.said[0].startswith("note: log_peer_1003.log: 11 of its 11 times cannot be read"))

    def test_bad_logs(self) -> None:
        """Each finding is a line, and exit code 1 says that there was an error among them."""
        (self.folder / "log_peer_1003.log").write_text("hello\n")
        report = self.folder / "report.html"
        self.assertEqual(run_check(self.folder, report, self.said.append), 1)
        self.assertIn("error: log_peer_1003.log, line 1: 'hello' is none of the eleven sentences", self.said)
        self.assertIn("<svg", report.read_text())

    def test_report_that_cannot_be_written(self) -> None:
        """A report that finds no place is one error that names it."""
        error = self.assertRaises(StorageError, run_check, self.folder, self.folder / "no" / "r.html", self.said.append)
        self.assertIn("r.html: No such file", str(error))
