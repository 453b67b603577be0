"""Named places at which a test ends this process without warning, as a power cut or ``kill -9`` would."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from attrs import define, field

from p2pshare.errors import ConfigError

VARIABLE = "P2PSHARE_FAILPOINT"

# In the order a piece passes them; those of a snapshot come whenever one is written.
NAMES = (
    "after_pwrite",
    "after_append",
    "after_data_sync",
    "after_record",
    "after_commit",
    "after_link",
    "after_rename",
    "in_snapshot_begun",
    "in_snapshot_synced",
    "in_snapshot_aside",
    "in_snapshot_named",
)


@define(eq=False)
class FailPoint:
    """One place, and how often it may be passed. Where none is set, nobody asks."""

    _name: str
    _passes: int  # the process ends when it gets there for this time
    _passed: int = field(init=False, default=0)

    def reached(self, name: str) -> None:
        """Tell that some place is passed; may not return."""
        if name == self._name:
            self._passed += 1
            if self._passed >= self._passes:
                os.kill(os.getpid(), signal.SIGKILL)


def from_environment(environment: Mapping[str, str] = os.environ) -> FailPoint | None:
    """
    Read ``P2PSHARE_FAILPOINT=after_pwrite:17``: end when a piece is written for the 17th time.

    :raise ConfigError: there is no such place.
    """
    text = environment.get(VARIABLE)
    if not text:
        return None
    name, _, passes = text.partition(":")
    if name not in NAMES or not (passes or "1").isdecimal():
        raise ConfigError(f"{VARIABLE}={text}: expected NAME or NAME:NUMBER, and as name one of {', '.join(NAMES)}")
    return FailPoint(name, int(passes or "1"))
