"""The command line as a whole: help, exit codes, and the edge where errors end."""

from __future__ import annotations

import errno

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import __version__, errors
from p2pshare.cli import command_line
from p2pshare.cli.exits import ABOUT, Ended, ExitCode, explain, interrupted
from p2pshare.cli.options import json_option
from p2pshare.cli.signals import Terminated
from tests.cli.sample import objects, run


def run_failing(error: BaseException, *arguments: str) -> Result:
    """Run a command line of one command, ``fail``, that raises ``error``."""

    @click.command("fail")
    @json_option("Speak JSON.")
    @click.pass_context
    def fail(ctx: click.Context, as_json: bool) -> None:
        ctx.meta[ABOUT] = {"name": "big.iso", "percent": 42.0, "event": "progress"}
        raise error

    line = command_line.CommandLine("p2pshare")
    line.get_command = lambda ctx, name: fail  # type: ignore[method-assign]
    return CliRunner().invoke(line, ["fail", *arguments], prog_name="p2pshare")


class EdgeTests(SynchronousTestCase):
    """Errors of commands become one line and an exit code."""

    def test_exit_codes(self) -> None:
        """Every kind of error that can be foreseen has its exit code."""
        for error, code in (
            (errors.MetainfoError("x"), 1),
            (errors.StorageError("x"), 1),
            (errors.RemoteWireError("x"), 1),
            (errors.ConfigError("x"), 2),
            (Ended("x", ExitCode.TIMED_OUT), 3),
            (errors.TrackerUnreachable("x"), 4),
            (errors.TrackerFailure("x"), 4),
            (errors.DiskFull("x"), 5),
            (OSError(errno.ENOSPC, "No space left on device"), 5),
            (errors.VerificationFailed("x"), 6),
            (interrupted(15), 7),
            (PermissionError(errno.EACCES, "Permission denied", "/x"), 1),
            (KeyboardInterrupt(), 130),
            (Terminated(), 7),
            (interrupted(2), 130),
        ):
            result = run_failing(error)
            self.assertEqual(result.exit_code, code, error)
            self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
            self.assertEqual(result.stdout, "")

    def test_every_error_has_a_sentence(self) -> None:
        """No type of errors.py reaches a user as a traceback."""
        for kind in vars(errors).values():
            if isinstance(kind, type) and issubclass(kind, errors.P2PShareError):
                more = {"status": 404} if kind is errors.IndexRefused else {}
                self.assertEqual(explain(kind("what happened", **more))[0], "what happened")

    def test_system_errors_name_their_file(self) -> None:
        """An error of the system names the file it is about, escaped."""
        result = run_failing(FileNotFoundError(errno.ENOENT, "No such file or directory", "a\x1bb"))
        self.assertEqual(result.stderr, "p2pshare: a\\x1bb: No such file or directory\n")

    def test_bugs_keep_their_traceback(self) -> None:
        """What nobody foresaw is our bug, and is not dressed up as the user's mistake."""
        self.assertIsInstance(run_failing(ZeroDivisionError()).exception, ZeroDivisionError)

    def test_json(self) -> None:
        """A command that speaks JSON reports its error as the last object, with the latest figures."""
        result = run_failing(errors.DiskFull("the disk is full"), "--json")
        self.assertEqual(result.exit_code, 5)
        self.assertEqual(
            objects(result),
            [{"event": "error", "error": "the disk is full", "exit_code": 5, "name": "big.iso", "percent": 42.0}],
        )
        self.assertEqual(result.stderr, "p2pshare: the disk is full\n")

    def test_f110_closed_output(self) -> None:
        """If whoever reads our output has gone, the command ends with 1 and without a word."""
        result = run_failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        self.assertEqual((result.exit_code, result.output), (1, ""))


class HelpTests(SynchronousTestCase):
    """Help is good enough to learn from."""

    def test_version(self) -> None:
        """--version says name and version."""
        self.assertEqual(run("--version").output, f"p2pshare {__version__}\n")

    def test_overview(self) -> None:
        """-h and --help list all commands and the exit codes."""
        overview = run("-h").output
        self.assertEqual(overview, run("--help").output)
        for word in ("create", "seed", "download", "show", "verify", "scrape", "tracker", "demo", "130 Ctrl-C"):
            self.assertIn(word, overview)

    def test_each_command(self) -> None:
        """Each command answers -h, says what it does and shows an example."""
        for name in command_line.cli.list_commands(click.Context(command_line.cli)):
            result = run(name, "-h")
            self.assertEqual(result.exit_code, 0, name)
            self.assertIn("Examples:", result.output, name)
            self.assertIn(f"p2pshare {name}", result.output, name)

    def test_get_takes_what_download_takes(self) -> None:
        """A torrent may be given to get with the same options as to download; a hook is for download alone."""
        context = click.Context(command_line.cli)
        of_get, of_download = (
            {option for parameter in command_line.cli.get_command(context, name).params for option in parameter.opts}
            for name in ("get", "download")
        )
        self.assertEqual(of_download - of_get, {"torrent", "--on-complete"})

    def test_unknown_command(self) -> None:
        """An unknown command is wrong usage."""
        result = run("dance")
        self.assertEqual(result.exit_code, ExitCode.USAGE)
        self.assertIn("No such command 'dance'", result.stderr)
