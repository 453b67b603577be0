"""Times of log lines, in the forms in which programs usually write them. The assignment leaves the form free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

_CLOCK = re.compile(
    r"(?<![\d:])(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,:](?P<fraction>\d{1,9}))?(?!\d)"
    r"(?:\s*(?P<half>[ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
_COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[T_ -]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
)
_SINCE_1970 = re.compile(r"(?P<seconds>\d{10})(?:[.,](?P<fraction>\d{1,9}))?|(?P<thousandths>\d{13})")
_YEAR_FIRST = re.compile(r"(?<!\d)(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)(?!\d)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH_FIRST = re.compile(rf"\b{_MONTH}[ -]+{_DAY}\b", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"\b{_DAY}[ -]+{_MONTH}(?![a-z])", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(?P<year>\d{4})(?!\d)")
_OFFSET = re.compile(r"(?<!\d)(?:\b(?:UTC|GMT))?(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)\s*$")
_ZONE = re.compile(r"\b(?P<zone>[A-Z]{1,5})\b")
# Hours ahead of UTC. Whoever is in another zone has a clock that differs from the neighbors', which is made up for.
_ZONES: dict[str, float] = {"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2}
_ZONES |= {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_REST = re.compile(r"[A-Za-z\s\[\](){}<>|,.:;_-]*")  # names of days and zones, brackets, levels, and what lies between
_NO_DATE = (2000, 1, 1)  # stands for the day of the first line where lines have none
_HALF_DAY = 12 * 3600.0  # s


def read_times(texts: Iterable[str]) -> list[float | None]:
    """
    Read the times of one log's lines, in their order, as seconds since 1970.

    A time has hour, minute and second; with minutes alone nothing can be said. Without a date, it is the next day when
    the clock falls back to the morning.

    :return: None for each that is in no form that we know.
    """
    texts = [text.strip("[](){}<> \t") for text in texts]
    reader = _Reader(_is_day_first(texts))
    times: dict[str, tuple[float, bool] | None] = {text: reader.read(text) for text in set(texts)}
    result: list[float | None] = []
    days, before = 0.0, None
    for text in texts:
        found = times[text]
        if found is None:
            result.append(None)
            continue
        time, dated = found
        if not dated:
            if before is not None and time < before - _HALF_DAY:
                days += 2 * _HALF_DAY
            before = time
            time += days
        result.append(time)
    return result


def _is_day_first(texts: Iterable[str]) -> bool | None:
    """Tell whether 05/06/2026 is in June, by dates of the same log in which one number can be no month."""
    for text in texts:
        found = _NUMBERS.search(text)
        if found is not None and max(int(found["one"]), int(found["two"])) > 12:
            return int(found["one"]) > 12
    return None


class _Reader:
    """Reads the times of one log."""

    def __init__(self, day_first: bool | None) -> None:
        self._day_first = day_first  # None: as is usual with the mark between the numbers

    def read(self, text: str) -> tuple[float, bool] | None:
        """
        Read a time.

        :return: seconds since 1970, and whether there is a date in it; None: it is in no form that we know.
        """
        try:
            return self._read(text)
        except (ValueError, OverflowError, OSError):
            return None

    def _read(self, text: str) -> tuple[float, bool] | None:
        if found := _SINCE_1970.fullmatch(text):
            if found["thousandths"]:
                return int(found["thousandths"]) / 1000, True
            return int(found["seconds"]) + _fraction(found["fraction"]), True
        if found := _COMPACT.fullmatch(text):
            return datetime(*map(int, found.groups())).timestamp(), True  # type: ignore[arg-type]
        clocks = list(_CLOCK.finditer(text))
        if len(clocks) != 1:
            return None
        clock = clocks[0]
        rest, zone = _cut_zone(text[: clock.start()], text[clock.end() :])
        date, rest = self._cut_date(rest)
        if _REST.fullmatch(rest) is None:
            return None
        hour = int(clock["hour"])
        if clock["half"]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if clock["half"] in "pP" else 0)
        moment = datetime(*(date or _NO_DATE), hour, int(clock["minute"]), min(int(clock["second"]), 59), tzinfo=zone)
        return moment.timestamp() + _fraction(clock["fraction"]), date is not None

    def _cut_date(self, text: str) -> tuple[tuple[int, int, int] | None, str]:
        """Take the date out of a text: year, month and day, and what is left."""
        if found := _YEAR_FIRST.search(text):
            return (int(found["year"]), int(found["month"]), int(found["day"])), _without(text, found)
        if found := _NUMBERS.search(text):
            one, two, year = int(found["one"]), int(found["two"]), int(found["year"])
            day_first = found["mark"] != "/" if self._day_first is None else self._day_first
            month, day = (two, one) if day_first else (one, two)
            return (year if year > 99 else 2000 + year, month, day), _without(text, found)
        if found := _MONTH_FIRST.search(text) or _DAY_FIRST.search(text):
            rest = _without(text, found)
            year_found = _YEAR.search(rest)
            if year_found is not None:
                rest = _without(rest, year_found)
            year = _NO_DATE[0] if year_found is None else int(year_found["year"])  # as in a system's log
            return (year, _MONTHS.index(found["name"].lower()) + 1, int(found["day"])), rest
        return None, text


def _cut_zone(before: str, after: str) -> tuple[str, timezone | None]:
    """Take the zone out of what stands after the clock; without one it is that of this machine."""
    if found := _OFFSET.search(after):
        ahead = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
        return f"{before} {_without(after, found)}", timezone(-ahead if found["sign"] == "-" else ahead)
    for found in _ZONE.finditer(after):
        if found["zone"] in _ZONES:
            hours = _ZONES[found["zone"]]
            return f"{before} {_without(after, found)}", timezone(timedelta(hours=hours)) if hours else UTC
    if after[:1] == "Z":
        return f"{before} {after[1:]}", UTC
    return f"{before} {after}", None


def _without(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"


def _fraction(digits: str | None) -> float:
    return float(f"0.{digits}") if digits else 0.0
