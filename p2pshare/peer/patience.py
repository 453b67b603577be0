"""When the other side has kept us waiting too long."""

from __future__ import annotations

from attrs import define, field

MESSAGE_LIMIT = 60.0  # s for one whole message, absolute: bytes that trickle in do not extend it
IDLE_LIMIT = 120.0  # s of silence until we hang up (BEP 3: keep-alives come every two minutes)
KEEPALIVE_AFTER = 100.0  # s without a byte of ours until we send one
# s until everything that a transport holds has to be read, which is at most a few hundred KiB. Without it a peer that
# sends keep-alives and never reads would keep its connection, and our memory, for ever.
UNREAD_LIMIT = 300.0


@define(eq=False)
class Patience:
    """The clocks of one connection. Knows no transport and no time of its own: it is told, and asked once a second."""

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

    def complaint(self, now: float, unread_since: float | None) -> str | None:
        """
        Say why to hang up, if there is a reason.

        :param unread_since: since when the transport has had something of ours to send, None when it has nothing.
        """
        if now - self._heard_at > IDLE_LIMIT:
            return "silent for too long"
        if self._message_since is not None and now - self._message_since > MESSAGE_LIMIT:
            return "a message took too long"
        if unread_since is not None and now - unread_since > UNREAD_LIMIT:
            return "does not read what we send"
        return None

    def is_keepalive_due(self, now: float) -> bool:
        """Whether we have been silent for so long that the other side may think us gone."""
        return now - self._spoke_at > KEEPALIVE_AFTER
