"""The command that is run when a torrent is complete."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.hook import Hook
from p2pshare.metainfo import parse
from tests.client.fakes import torrent_file


class HookTests(SynchronousTestCase):
    """Commands of a shell that end at once."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.content = parse(torrent_file("a b's", b"content"))

    def run_to_end(self, command: str, *, to_errors: bool = False) -> tuple[str, str, list[str]]:
        """Run it; give what it wrote to our output and our error stream, and what was logged."""
        hook = Hook(command, self.content, "/srv/a b's", to_errors=to_errors)
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            streams = mock.patch.multiple(sys, __stdout__=out, __stderr__=err)
            with streams, capturedLogs() as events:
                hook.start()
                if hook._process is not None:
                    hook._process.wait(60)
                self.assertFalse(hook.still_runs())
                self.assertFalse(hook.still_runs())  # what there is to say is said once
        warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        return (self.folder / "out").read_text(), (self.folder / "err").read_text(), warnings

    def test_environment(self) -> None:
        """It finds what it is about in its environment; names need no quoting by us."""
        out, err, warnings = self.run_to_end('echo "$P2P_NAME, $P2P_INFO_HASH, $P2P_PATH"; echo trouble >&2')
        self.assertEqual(out, f"a b's, {self.content.info_hash.hex()}, /srv/a b's\n")
        self.assertEqual((err, warnings), ("trouble\n", []))

    def test_output_of_programs(self) -> None:
        """Where our output is for programs, its goes to the errors."""
        self.assertEqual(self.run_to_end("echo said", to_errors=True), ("", "said\n", []))

    def test_no_input(self) -> None:
        """It has no input, so it does not wait for any."""
        self.assertEqual(self.run_to_end("cat; echo done")[0], "done\n")

    def test_failed(self) -> None:
        """That it failed, or was killed, is told."""
        self.assertEqual(self.run_to_end("exit 3")[2], ["the command 'exit 3' ended with 3"])
        self.assertEqual(self.run_to_end("kill -9 $$")[2], ["the command 'kill -9 $$' was killed by signal 9"])

    def test_cannot_run(self) -> None:
        """What cannot even be started is told, too."""
        (warning,) = self.run_to_end("echo \0")[2]
        self.assertIn("cannot run", warning)

    def test_closed_streams(self) -> None:
        """If our streams were closed when we started, it gets none of our other files for them."""
        hook = Hook("echo said; echo trouble >&2", self.content, "")
        with mock.patch.multiple(sys, __stdout__=None, __stderr__=None):
            hook.start()
        assert hook._process is not None
        self.assertEqual(hook._process.wait(60), 0)
