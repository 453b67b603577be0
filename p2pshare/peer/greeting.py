"""The first 68 bytes of a connection, gathered from however many reads."""

from __future__ import annotations

from attrs import define, field

from p2pshare.errors import RemoteWireError
from p2pshare.wire import bep3


@define(eq=False)
class Greeting:
    """The other side's handshake (BEP 3, "peer protocol"), until it is whole. Holds less than that and one read."""

    _early: bytes = field(init=False, default=b"")

    def take(self, data: bytes) -> bep3.Handshake | None:
        """
        Take bytes that came.

        :return: the handshake; None while it is not whole.
        :raise RemoteWireError: at the first byte with which it cannot become one.
        """
        early = self._early = self._early + data
        prefix = bep3.PROTOCOL_PREFIX
        if early[: len(prefix)] != prefix[: len(early)]:
            raise RemoteWireError("not a BitTorrent handshake")
        return bep3.decode_handshake(early[: bep3.HANDSHAKE_SIZE]) if len(early) >= bep3.HANDSHAKE_SIZE else None

    def rest(self) -> bytes:
        """Give what came behind it, and keep nothing."""
        early, self._early = self._early, b""
        return early[bep3.HANDSHAKE_SIZE :]
