"""Times in the forms in which programs write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.run import check_logs, untimed
from p2pshare.course.check.times import read_times
from p2pshare.course.sentences import DownloadedPiece
from tests.course.check.runs import RUN, found_in, logs_of

MOMENT = datetime(2026, 11, 21, 20, 36, 5)
FORMS: tuple[Callable[[int], str], ...] = (
    lambda second: f"Sat Nov 21 20:36:{second:02} EST 2026",
    lambda second: f"2026/11/21 20:36:{second:02}",
    lambda second: f"11/21/2026 08:36:{second:02} PM",
    lambda second: f"[21-11-2026 20:36:{second:02}]",
    lambda second: f"20:36:{second:02}",
)


class TimesTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Dates with numbers and with names, in every usual order, clocks of 12 and 24 hours."""
        for text in (
            "2026-11-21 20:36:05",
            "[2026-11-21T20:36:05]",
            "20261121 203605",
            "2026/11/21 20:36:05",
            "11/21/2026 08:36:05 PM",
            "11/21/2026, 8:36:05 p.m.",
            "[21-11-2026 20:36:05]",
            "21.11.2026 20:36:05",
            "21/11/26 20:36:05",
            "Sat Nov 21 20:36:05 2026",
            "Nov 21, 2026 8:36:05 PM",
            "21 November 2026 20:36:05",
            "21-Nov-2026 20:36:05",
            "20:36:05 21-11-2026",
            "[2026-11-21 20:36:05] [INFO]",
        ):
            self.assertEqual(read_times([text]), [MOMENT.timestamp()], text)
        self.assertEqual(read_times(["2026-11-21 20:36:05,250"]), [MOMENT.timestamp() + 0.25])

    def test_zones(self) -> None:
        """A zone counts, by its name or in hours; a name we do not know is that of this machine."""
        moment = MOMENT.replace(tzinfo=UTC).timestamp()
        for text in (
            "Sat Nov 21 20:36:05 UTC 2026",
            "Sat Nov 21 15:36:05 EST 2026",
            "2026-11-21T20:36:05Z",
            "2026-11-21T21:36:05+01:00",
            "2026-11-21 15:36:05.000 -0500",
            f"{moment:.0f}",
            f"{moment * 1000:.0f}",
        ):
            self.assertEqual(read_times([text]), [moment], text)
        self.assertEqual(read_times(["Sat Nov 21 20:36:05 XYZ 2026"]), [MOMENT.timestamp()])

    def test_noon_and_midnight(self) -> None:
        """Twelve is the first hour of either half of a day."""
        times = [f"11/21/2026 {clock}" for clock in ("12:00:00 AM", "01:00:00 AM", "12:00:00 PM", "01:00:00 PM")]
        first, *rest = read_times(times)
        assert first is not None
        self.assertEqual(rest, [first + hours * 3600 for hours in (1, 12, 13)])

    def test_day_or_month(self) -> None:
        """Which number is the month, another line of the log may tell."""
        first, second = read_times(["12/11/2026 23:59:59", "13/11/2026 00:00:01"])
        self.assertEqual(second, (first or 0) + 2)

    def test_past_midnight(self) -> None:
        """Without a date it is the next day when the clock begins anew."""
        first, second, third = read_times(["23:59:59", "00:00:01", "00:00:00"])
        self.assertEqual((second, third), ((first or 0) + 2, (first or 0) + 1))

    def test_unknown(self) -> None:
        """What is no time, or has no seconds, is none, and hurts nobody."""
        texts = ["", "some time", "12h05", "now", "20:36", "2026-11-21 20:36", "2026-11-21", "25:00:00", "5 o'clock"]
        texts += ["2026-13-41 20:36:05", "13:36:05 PM", "20:36:05 line 7", "20:36:05 20:36:06", "9" * 400]
        self.assertEqual(read_times(texts), [None] * len(texts))


class ChecksTests(SynchronousTestCase):
    def test_good_run_in_every_form(self) -> None:
        """A run that went well is found to be so in every form, and in a different one in each log."""
        for form in FORMS:
            logs = logs_of(time=form)
            self.assertEqual((check_logs(logs), untimed(logs)), ((), ()))

    def test_times_are_looked_at(self) -> None:
        """What only times can tell is found in every form."""
        run = [(4 if said == DownloadedPiece(1003, 1002, 0, 2) else when, said) for when, said in RUN]
        run = [(12 if said == DownloadedPiece(1002, 1001, 0, 1) else when, said) for when, said in run]
        for form in FORMS:
            found = found_in(logs_of(run, time=form))
            self.assertTrue(any("which by its own log it got 8 s later" in one for one in found), (form(0), found))

    def test_times_that_cannot_be_read(self) -> None:
        """One note for each log says that its times are in an unknown form; nothing else is made of it."""
        logs = logs_of(time=lambda seconds: f"{seconds} o'clock")
        self.assertEqual(check_logs(logs), ())
        text = "times cannot be read, and what only they could show is not said"
        self.assertEqual(
            [str(note) for note in untimed(logs)],
            [f"note: log_peer_{id}.log: {n} of its {n} {text}" for id, n in ((1001, 11), (1002, 12), (1003, 11))],
        )
        self.assertEqual(untimed(logs_of()), ())
