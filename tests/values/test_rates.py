"""Tests of p2pshare.rates."""

from __future__ import annotations

from math import floor, inf, nan

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.rates import Meter, format_duration, format_rate, format_size, parse_duration, parse_size


class MeterTests(SynchronousTestCase):
    """Bytes per second, told the time."""

    def test_steady_flow_reads_the_same_at_any_moment(self) -> None:
        """1,000 bytes every 10 ms are about 100,000 a second, at the start, over slot borders and later."""
        meter = Meter()
        for tick in range(2000):
            now = 1000.7 + tick / 100
            meter.add(1000, now)
            if tick >= 100:
                self.assertTrue(99_000 < meter.rate(now) < 102_000, meter.rate(now))
        self.assertEqual(meter.total, 2_000_000)

    def test_first_second(self) -> None:
        """A flow is divided by its own age, so it shows its speed after a quarter of a second."""
        meter = Meter()
        meter.add(16384, 50.0)
        self.assertEqual(meter.rate(50.0), 65536)
        self.assertEqual(meter.rate(50.25), 65536)
        self.assertEqual(meter.rate(50.5), 32768)
        meter.add(16384, 51.5)
        self.assertEqual(meter.rate(52.0), 16384)

    def test_silence(self) -> None:
        """When nothing moves, the rate falls and is 0 after the window; the total stays."""
        meter = Meter(window=3)
        meter.add(3000, 10.0)
        rates = [meter.rate(10.0 + seconds) for seconds in range(6)]
        self.assertEqual(rates, [12000.0, 3000.0, 1500.0, 0.0, 0.0, 0.0])
        self.assertEqual(meter.total, 3000)

    def test_new_flow_after_silence(self) -> None:
        """A flow that begins again is not diluted by the silence before."""
        meter = Meter()
        meter.add(99, 10.0)
        meter.add(1000, 100.9)
        self.assertEqual(meter.rate(101.4), 2000)

    def test_nothing_yet(self) -> None:
        """Before the first byte the rate is 0, at time 0 as well."""
        meter = Meter()
        self.assertEqual((meter.rate(0.0), meter.rate(1e9), meter.total), (0.0, 0.0, 0))
        meter = Meter()
        meter.add(10, 0.0)
        self.assertEqual(meter.rate(0.0), 40)

    def test_shortest_window(self) -> None:
        """A window below two seconds is two seconds, so that it knows something when a second begins."""
        meter = Meter(window=1.0)
        meter.add(1000, 10.0)
        meter.add(1000, 10.9)
        self.assertAlmostEqual(meter.rate(11.0), 2000)

    @given(
        st.integers(2, 7),
        st.lists(st.tuples(st.floats(0, 4), st.integers(0, 10_000), st.booleans()), max_size=30),
    )
    def test_sum_of_the_window(self, window: int, steps: list[tuple[float, int, bool]]) -> None:
        """The rate counts exactly the bytes of the seconds in the window, however time goes on and whoever looks."""
        meter, moved, now = Meter(window), [], 3.0
        for wait, amount, look in steps:
            now += wait
            meter.add(amount, now)
            moved.append((now, amount))
            inside = [(when, some) for when, some in moved if some and floor(when) > floor(now) - window]
            if look and inside:
                self.assertGreaterEqual(meter.rate(now) * now, sum(some for _, some in inside) * 0.999999)
                self.assertLessEqual(meter.rate(now) * 0.25, sum(some for _, some in inside) * 1.000001)
            elif look:
                self.assertEqual(meter.rate(now), 0.0)
        self.assertEqual(meter.total, sum(amount for _, amount in moved))


class ParseTests(SynchronousTestCase):
    """Sizes and times as people write them."""

    def test_sizes(self) -> None:
        """Bytes, or powers of 1024 with a letter; fractions only with one."""
        for text, size in [
            ("0", 0),
            ("123", 123),
            ("64K", 65536),
            ("64k", 65536),
            ("1.5M", 1572864),
            ("2G", 2 << 30),
            (" 2GiB ", 2 << 30),
            ("10B", 10),
            ("0.001K", 1),
            ("1T", 1 << 40),
        ]:
            self.assertEqual(parse_size(text), size)
        for text in (
            "",
            "K",
            "-1",
            "+1",
            "1.5",
            "1.5B",
            "1,5M",
            "1e3",
            "1_0",
            "1 K",
            "5KB",
            "5X",
            "\u0663",
            "nan",
            "inf",
            "1" * 30,
        ):
            self.assertRaises(ValueError, parse_size, text)

    def test_durations(self) -> None:
        """Seconds, or numbers with letters; what format_duration writes is read as well."""
        for text, seconds in [
            ("0", 0),
            ("90", 90),
            ("0.5", 0.5),
            ("10m", 600),
            ("1.5h", 5400),
            ("1D", 86400),
            ("4m51s", 291),
            ("4m51", 291),
            ("2h05m", 7500),
        ]:
            self.assertEqual(parse_duration(text), seconds)
        for text in (
            "",
            "s",
            "-1",
            "+1",
            "1,5",
            "1e3",
            "1_0",
            "10 m",
            "5x",
            "m5",
            "\u0663",
            "\u0663s",
            "inf",
            "nan",
            "5ms",
            "1" * 30,
        ):
            self.assertRaises(ValueError, parse_duration, text)


class FormatTests(SynchronousTestCase):
    """Sizes, rates and times as people read them."""

    def test_sizes(self) -> None:
        """One decimal from a kibibyte on, and never a thousand and twenty-four of anything."""
        for size, text in [
            (0, "0 B"),
            (999, "999 B"),
            (1023, "1023 B"),
            (1023.7, "1.0 KiB"),
            (1024, "1.0 KiB"),
            (1536 * 1024, "1.5 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            ((1 << 20) - 100, "1023.9 KiB"),
            (5 << 30, "5.0 GiB"),
            (5 << 40, "5.0 TiB"),
            (5 << 50, "5.0 PiB"),
            (5 << 60, "5120.0 PiB"),
        ]:
            self.assertEqual(format_size(size), text)
        self.assertEqual(format_rate(1536.0 * 1024), "1.5 MiB/s")
        self.assertEqual(format_rate(0.0), "0 B/s")

    def test_durations(self) -> None:
        """The two largest units, or never."""
        for seconds, text in [
            (0, "0s"),
            (51.4, "51s"),
            (59.6, "1m00s"),
            (291, "4m51s"),
            (3600, "1h00m"),
            (7500, "2h05m"),
            (86400 * 3 + 4 * 3600 + 5, "3d04h"),
            (inf, "never"),
            (nan, "never"),
        ]:
            self.assertEqual(format_duration(seconds), text)
