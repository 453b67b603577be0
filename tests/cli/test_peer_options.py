"""The options of ``seed`` and ``download``: what they take, and how they refuse the rest."""

from __future__ import annotations

from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.cli import download
from p2pshare.cli.download_options import PeerAddress, SeedUntil
from p2pshare.cli.exits import ABOUT, ExitCode
from p2pshare.cli.options import Defaults
from p2pshare.cli.peer_options import OwnAddress, Rate, tell_about, with_trackers
from p2pshare.client.goal import FOREVER, NOTHING, SeedGoal
from p2pshare.metainfo import parse
from tests.cli.sample import content, objects, run, torrent_of
from tests.client.fakes import torrent_file

OWN, TORRENTS, DEFAULT = "http://own.example/announce", "http://torrents.example/announce", "http://default.example/a"


class TypeTests(SynchronousTestCase):
    """The types of single options."""

    def assert_refused(self, kind: click.ParamType[object], *values: str) -> None:
        """Check that values are wrong usage, and are repeated in the message."""
        for value in values:
            with self.assertRaises(click.BadParameter) as refused:
                kind.convert(value, None, None)
            self.assertIn(value, str(refused.exception))

    def test_rate(self) -> None:
        """Rates are bytes/second with the letters of sizes; 0 is not the way to say "no limit"."""
        self.assertEqual(Rate().convert("1.5M", None, None), 1_572_864)
        self.assert_refused(Rate(), "0", "0.1", "-5", "fast", "2T")

    def test_own_address(self) -> None:
        """Addresses are numbers, IPv6 with brackets or without; names and ports are refused."""
        for value, address in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("0:0::1", "::1")):
            self.assertEqual(OwnAddress().convert(value, None, None), address)
        self.assert_refused(OwnAddress(), "", "localhost", "127.0.0.1:80", "[::1]:80", "300.1.1.1", "[]")

    def test_peer_address(self) -> None:
        """A peer is a host, by number or name, and a port that somebody can listen on."""
        self.assertEqual(PeerAddress().convert("localhost:6881", None, None), Address("localhost", 6881))
        self.assertEqual(PeerAddress().convert("[::1]:1", None, None), Address("::1", 1))
        self.assert_refused(
            PeerAddress(), "localhost", "127.0.0.1:0", "127.0.0.1:65536", "::1:6881", "a b:1", "0.0.0.0:1"
        )

    def test_seed_until(self) -> None:
        """Goals are none, forever, a ratio or a time."""
        for value, goal in (
            ("none", NOTHING),
            ("forever", FOREVER),
            ("ratio=1.5", SeedGoal(ratio=1.5)),
            ("time=2h", SeedGoal(seconds=7200.0)),
        ):
            self.assertEqual(SeedUntil().convert(value, None, None), goal)
        self.assert_refused(SeedUntil(), "ratio=-1", "ratio=nan", "ratio=inf", "time=", "time=soon", "always", "ratio")


class UsageTests(SynchronousTestCase):
    """The commands themselves, as far as they come without a torrent to work on."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.file, _ = torrent_of(content(self.folder))

    def test_wrong_usage(self) -> None:
        """Options that make no sense are exit code 2, and the message names the option."""
        for command, option, value in (
            ("download", "--peer", "nowhere"),
            ("download", "--seed-until", "tomorrow"),
            ("download", "--timeout", "-1"),
            ("download", "--port", "65536"),
            ("download", "--tracker", "localhost:8000"),
            ("seed", "--limit-up", "0"),
            ("seed", "--limit-down", "much"),
            ("seed", "--bind", "localhost"),
            ("seed", "--port", "-1"),
        ):
            result = run(command, self.file, option, value)
            self.assertEqual(result.exit_code, ExitCode.USAGE, result.output)
            self.assertIn(f"'{option}'", result.stderr.replace("'-t' / ", ""))

    def test_output_is_a_file(self) -> None:
        """A file cannot be the folder to download to."""
        result = run("download", self.file, "-o", self.file)
        self.assertEqual(result.exit_code, ExitCode.USAGE)
        self.assertIn("is a file", result.stderr)

    def test_no_torrent(self) -> None:
        """What is no torrent is named, whatever is wrong with it, also as JSON."""
        (self.folder / "text").write_text("hello")
        for command in ("seed", "download", "get"):
            for name in ("text", "nosuch", "."):
                result = run(command, self.folder / name)
                self.assertEqual(result.exit_code, ExitCode.ERROR, result.output)
                self.assertTrue(result.stderr.startswith(f"p2pshare: {self.folder / name}: "), result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1)
        (error,) = objects(run("seed", self.folder / "text", "--json"))
        self.assertEqual((error["event"], error["exit_code"]), ("error", 1))

    def test_seed_without_content(self) -> None:
        """A seed has to have something, named or found beside the torrent."""
        for where in (("--data", self.folder / "nosuch"), ("--data", self.file)):
            result = run("seed", self.file, *where)
            self.assertEqual(result.exit_code, ExitCode.ERROR)
            self.assertIn("neither the folder 'photos' nor one that holds it", result.stderr)

    def test_output_option(self) -> None:
        """The folder has three spellings."""
        (option,) = (each for each in download.command.params if each.name == "folder")
        self.assertEqual(option.opts, ["-o", "-d", "--output"])


class TrackerTests(SynchronousTestCase):
    """Which trackers are asked."""

    def tiers(self, named: str | None, own: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        """Tell the trackers for a torrent that names one or none, with a default in the environment."""
        context = click.Context(click.Command("download"), obj=Defaults(((DEFAULT,),)))
        metainfo = parse(torrent_file("blob", b"content", named))
        asked = with_trackers(context, metainfo, own)
        self.assertEqual(asked.info_hash, metainfo.info_hash)
        return asked.announce_tiers

    def test_torrents_own(self) -> None:
        """Those of the torrent come first; those of the command besides them."""
        self.assertEqual(self.tiers(TORRENTS, ()), ((TORRENTS,),))
        self.assertEqual(self.tiers(TORRENTS, ((OWN,),)), ((TORRENTS,), (OWN,)))

    def test_default(self) -> None:
        """The default is for torrents that name none, unless the command does."""
        self.assertEqual(self.tiers(None, ()), ((DEFAULT,),))
        self.assertEqual(self.tiers(None, ((OWN,),)), ((OWN,),))


class AboutTests(SynchronousTestCase):
    """What every object of --json says."""

    def test_about(self) -> None:
        """Even an error before the first progress names the torrent and the port."""
        context = click.Context(click.Command("seed"))
        metainfo = parse(torrent_file("blob", b"content"))
        tell_about(context, metainfo, 6881)
        about = {"name": "blob", "info_hash": metainfo.info_hash.hex(), "port": 6881}
        self.assertEqual(context.meta[ABOUT], about)
