"""How long to wait between announces: rules without a clock."""

from __future__ import annotations

from random import Random

from attrs import field, frozen
from attrs.validators import ge, le

from p2pshare.wire.announce import AnnounceResponse

LONGEST_INTERVAL = 24 * 3600.0  # seconds; a tracker that asks for more has made a slip of the pen
FIRST_PAUSE = 15.0  # seconds after a failure, doubled with each further one
LONGEST_PAUSE = 1800.0
FIRST_REPLY_WAIT = 15.0  # seconds (BEP 15, "time outs"), doubled with each repetition
MOST_DOUBLINGS = 8


@frozen
class AnnouncerSettings:
    """How often, and in which form, an announcer asks."""

    min_interval: float = field(default=60.0, validator=ge(1.0))  # seconds; no tracker makes us ask more often
    jitter: float = field(default=0.1, validator=[ge(0.0), le(0.5)])  # the part of each wait left to chance; 0: none
    names: bool = False  # ask for host names (compact=0), for networks of containers
    stop_timeout: float = field(default=3.0, validator=ge(0.0))  # seconds that saying goodbye may take


def shortest_wait(answer: AnnounceResponse, settings: AnnouncerSettings) -> float:
    """Give the seconds before which a tracker must not be asked again, not even for more peers."""
    return min(max(answer.min_interval or 0, settings.min_interval), LONGEST_INTERVAL)


def regular_wait(answer: AnnounceResponse, settings: AnnouncerSettings, random: Random) -> float:
    """
    Give the seconds until the next regular announce.

    Chance moves it a little, so that peers who came together do not come together for ever.
    """
    interval = min(max(answer.interval, settings.min_interval), LONGEST_INTERVAL)
    return min(max(_moved(interval, settings, random), shortest_wait(answer, settings)), LONGEST_INTERVAL)


def pause(failures: int, retry_in: float | None, settings: AnnouncerSettings, random: Random) -> float:
    """
    Give the seconds to leave a tracker alone after a failure.

    :param failures: in a row, this one included.
    :param retry_in: what the tracker said itself (BEP 31); it counts more than our own rule. Infinity stays infinity.
    """
    if retry_in is not None:
        return max(retry_in, FIRST_PAUSE)
    doubled = FIRST_PAUSE * 2.0 ** min(failures - 1, 10)
    return min(_moved(min(doubled, LONGEST_PAUSE), settings, random), LONGEST_PAUSE)


def reply_wait(resends: int) -> float:
    """
    Give the seconds to wait for the reply to a datagram (BEP 15).

    :param resends: how often the same was sent before, in vain.
    """
    return FIRST_REPLY_WAIT * 2.0 ** min(resends, MOST_DOUBLINGS)


def _moved(wait: float, settings: AnnouncerSettings, random: Random) -> float:
    return wait * random.uniform(1 - settings.jitter, 1 + settings.jitter)
