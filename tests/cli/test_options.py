"""Options that commands share."""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.options import Defaults, Seconds, Size, Tier, WebSeed, effective_trackers


class TypeTests(SynchronousTestCase):
    """What is typed, and what the command gets."""

    def test_sizes(self) -> None:
        """Sizes and rates take K, M and G, times 1024."""
        self.assertEqual([Size().convert(text, None, None) for text in ("123", "64K", "1.5M")], [123, 65536, 1572864])
        self.assertEqual(Size().convert(5, None, None), 5)

    def test_times(self) -> None:
        """Times are seconds, or minutes, hours and days with their letter."""
        self.assertEqual([Seconds().convert(text, None, None) for text in ("90", "10m", "2h")], [90.0, 600.0, 7200.0])
        self.assertEqual(Seconds().convert(60, None, None), 60.0)

    def test_tiers(self) -> None:
        """A comma joins trackers to a tier."""
        self.assertEqual(
            Tier().convert("http://a/announce, udp://b:1,", None, None), ("http://a/announce", "udp://b:1")
        )

    def test_refusals(self) -> None:
        """What cannot be read is wrong usage."""
        for kind, text in (
            (Size(), "many"),
            (Seconds(), "soon"),
            (Tier(), "tracker"),
            (Tier(), "ftp://x/announce"),
            (Tier(), "http:///announce"),
            (WebSeed(), "udp://x:1"),
        ):
            with self.assertRaises(click.BadParameter, msg=text):
                kind.convert(text, None, None)


class TrackersTests(SynchronousTestCase):
    """Trackers stand in several places."""

    def test_nearest_wins(self) -> None:
        """The command's own come before those of the program and the environment."""
        context = click.Context(click.Command("x"), obj=Defaults(trackers=(("http://a/announce",),)))
        self.assertEqual(effective_trackers(context, (("udp://b:1",),)), (("udp://b:1",),))
        self.assertEqual(effective_trackers(context, ()), (("http://a/announce",),))
        self.assertEqual(effective_trackers(click.Context(click.Command("x")), ()), ())
