"""Reasons not to read from a connection: the part of a swarm's Link that is the same in every dialect."""

from __future__ import annotations

from twisted.internet.tcp import Connection


class Holds:
    """Reads from ``transport`` while no reason in ``_holds`` speaks against it."""

    transport: Connection
    _holds: set[str]
    _closing: str | None  # why the connection ends; None: it does not

    def hold(self, why: str) -> None:
        """Stop reading until :meth:`release` was called for every reason given."""
        if not self._holds and self._closing is None:
            self.transport.pauseProducing()
        self._holds.add(why)

    def release(self, why: str) -> None:
        """Take one reason to stop reading back."""
        if why in self._holds:
            self._holds.remove(why)
            if not self._holds and self._closing is None:
                self._read_again()

    def _read_again(self) -> None:
        self.transport.resumeProducing()
