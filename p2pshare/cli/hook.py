"""Run the user's own command when a download is complete."""

from __future__ import annotations

import os
import sys
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.metainfo import Metainfo


def run_hook(reactor: Any, command: str, content: Metainfo, path: str) -> Deferred[None]:
    """
    Start a shell command; it finds what it is about in P2P_NAME, P2P_INFO_HASH and P2P_PATH.

    :return: fires when the command has ended, well or not.
    """
    hook = _Hook(command)
    about = {"P2P_NAME": content.name, "P2P_INFO_HASH": content.info_hash.hex(), "P2P_PATH": path}
    streams = {0: 0, 1: sys.__stdout__.fileno() if sys.__stdout__ else 1, 2: 2}
    reactor.spawnProcess(hook, "/bin/sh", ["sh", "-c", command], env={**os.environ, **about}, childFDs=streams)
    return hook.ended


@define(eq=False)
class _Hook(ProcessProtocol):
    """Waits for the command."""

    _command: str
    ended: Deferred[None] = field(init=False, factory=Deferred)
    log = Logger()

    def processExited(self, reason: Failure) -> None:
        """Nothing to do yet: its output may still be open."""

    def processEnded(self, reason: Failure) -> None:
        code = getattr(reason.value, "exitCode", None)
        if code:
            self.log.warn("the command {command!r} ended with {code}", command=self._command, code=code)
        self.ended.callback(None)
