"""When the other side has kept us waiting too long."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import define, field

from p2pshare.peer.limits import ConnectionLimits

# What to say of whoever has run into one of the limits.
COMPLAINTS: Mapping[str, str] = MappingProxyType(
    {
        "handshake_timeout": "no handshake in time",
        "idle_timeout": "silent for too long",
        "message_timeout": "a message took too long",
        "unread_timeout": "does not read what we send",
    }
)


@define(eq=False)
class Patience:
    """The clocks of one connection. Knows no transport and no time of its own: it is told, and asked once a second."""

    _limits: ConnectionLimits
    _heard_at: float  # the last whole message
    _spoke_at: float
    _message_since: float | None = field(init=False, default=None)  # when the message under way began

    def heard(self, *, whole: bool, more: bool, now: float) -> None:
        """
        Bytes came.

        :param whole: at least one message ended in them.
        :param more: another one has begun and not ended.
        """
        if whole:
            self._heard_at = now
        if not more:
            self._message_since = None
        elif whole or self._message_since is None:
            self._message_since = now

    def excuse(self, now: float) -> None:
        """It is we who do not listen."""
        self._heard_at = now
        if self._message_since is not None:
            self._message_since = now

    def spoke(self, now: float) -> None:
        """Bytes of ours went out."""
        self._spoke_at = now

    def exhausted(self, now: float, unread_since: float | None) -> str | None:
        """
        Name the limit that is a reason to hang up, if there is one.

        :param unread_since: since when the transport has had something of ours to send, None when it has nothing.
        """
        limits = self._limits
        if now - self._heard_at > limits.idle_timeout:
            return "idle_timeout"
        if self._message_since is not None and now - self._message_since > limits.message_timeout:
            return "message_timeout"
        if unread_since is not None and now - unread_since > limits.unread_timeout:
            return "unread_timeout"
        return None

    def is_keepalive_due(self, now: float) -> bool:
        """Whether we have been silent for so long that the other side may think us gone."""
        return now - self._spoke_at > self._limits.keepalive
