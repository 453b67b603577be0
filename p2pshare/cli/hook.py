"""The user's own command, run when a torrent is complete."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

from attrs import define, field
from twisted.logger import Logger

from p2pshare.metainfo import Metainfo


@define(eq=False)
class Hook:
    """
    A shell command that finds what it is about in P2P_NAME, P2P_INFO_HASH and P2P_PATH.

    Knows no reactor: whoever waits for it looks now and then.
    """

    _command: str
    _content: Metainfo
    _path: str  # where the content lies
    _to_errors: bool = field(default=False, kw_only=True)  # its output goes to standard error, as ours is for programs
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    log = Logger()

    def start(self) -> None:
        """Run the command; its exit code changes nothing here, and is only told."""
        about = {"P2P_NAME": self._content.name, "P2P_INFO_HASH": self._content.info_hash.hex(), "P2P_PATH": self._path}
        output = sys.__stderr__ if self._to_errors else sys.__stdout__
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                env={**os.environ, **about},
                stdin=subprocess.DEVNULL,
                stdout=_descriptor(output),
                stderr=_descriptor(sys.__stderr__),
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in the command
            self.log.warn("cannot run {command!r}: {reason}", command=self._command, reason=str(error))

    def still_runs(self) -> bool:
        """Look whether it was started and has not ended."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self._process = None
        if code:
            ended = f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
            self.log.warn("the command {command!r} {ended}", command=self._command, ended=ended)
        return False


def _descriptor(stream: IO[str] | None) -> int:
    # A number whose stream was closed when we started may be anything by now, even a file of the content.
    return subprocess.DEVNULL if stream is None else stream.fileno()
