"""The scripts that let shells complete commands and options."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.command_line import cli

COMPLETIONS = Path(__file__).resolve().parents[2] / "completions"
VARIABLE = "_P2PSHARE_COMPLETE"


class CompletionTests(SynchronousTestCase):
    """The scripts, and what the command line answers them."""

    def test_scripts(self) -> None:
        """Each shell's script asks the program through the variable it answers to, and is for this program."""
        for name, asks, registers in (
            ("p2pshare.bash", f"{VARIABLE}=bash_complete", "-F _p2pshare_completion p2pshare"),
            ("_p2pshare", f"{VARIABLE}=zsh_complete", "#compdef p2pshare"),
            ("p2pshare.fish", f"{VARIABLE}=fish_complete", "complete --no-files --command p2pshare"),
        ):
            script = (COMPLETIONS / name).read_text()
            self.assertIn(asks, script, name)
            self.assertIn(registers, script, name)

    def complete(self, line: str) -> list[str]:
        """Complete the last word of a line as bash asks for it."""
        words = line.split(" ")
        env = {VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        result = CliRunner(env=env).invoke(cli, prog_name="p2pshare")
        return [each.partition(",")[2] for each in result.output.splitlines()]

    def test_commands(self) -> None:
        """Every command is offered, and what begins as one."""
        self.assertEqual(set(self.complete("p2pshare ")), set(cli.list_commands(click.Context(cli))))
        self.assertEqual(self.complete("p2pshare sea"), ["search"])

    def test_options(self) -> None:
        """Options and their values are offered."""
        self.assertIn("--category", self.complete("p2pshare search --c"))
        self.assertEqual(self.complete("p2pshare search --sort ra"), ["rating"])
