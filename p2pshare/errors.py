"""What can go wrong, by whose fault it is. Each error is translated for people once, at an edge."""

from __future__ import annotations


class P2PShareError(Exception):
    """Anything p2pshare refuses or fails at; the message names what was seen and what was expected."""


class BencodeError(P2PShareError):
    """Bytes that are not canonical bencoding, or exceed its limits (BEP 3, "bencoding")."""


class MetainfoError(P2PShareError):
    """A torrent file that cannot be used: names the field, what it holds and what it should hold."""


class WireError(P2PShareError):
    """Something on a peer connection is not as the protocol wants it."""


class RemoteWireError(WireError):
    """The other side broke the protocol: its connection is closed."""


class LocalWireError(WireError):
    """We were about to break the protocol: a bug of ours."""


class TrackerError(P2PShareError):
    """An announce or scrape that brought no usable answer."""


class TrackerFailure(TrackerError):
    """The tracker answered and refused, with a reason for people (BEP 3 ``failure reason``)."""

    def __init__(self, reason: str, retry_in: float | None = None) -> None:
        """
        Keep the tracker's words.

        :param retry_in: seconds until another attempt makes sense (BEP 31), None when it did not say.
        """
        super().__init__(reason)
        self.reason = reason
        self.retry_in = retry_in


class TrackerUnreachable(TrackerError):
    """Nobody answered, or not in time, or not with a tracker's answer."""


class IndexUnreachable(P2PShareError):
    """An index did not answer, or not in time, or not with what an index answers."""


class IndexRefused(P2PShareError):
    """An index answered and refused, with a reason for people."""

    def __init__(self, reason: str, status: int) -> None:
        """
        Keep its words.

        :param status: of HTTP.
        """
        super().__init__(reason)
        self.status = status


class RequestRefused(P2PShareError):
    """A request to our own service that is refused; the text is meant for the client."""


class StorageError(P2PShareError):
    """Content on disk cannot be opened, read, written or renamed."""


class DiskFull(StorageError):
    """No space or quota is left where the content goes."""


class VerificationFailed(StorageError):
    """Content on disk is not what its torrent describes."""


class ConfigError(P2PShareError):
    """A setting, option or argument that is not allowed: names it, what was given and what is possible."""


class PortError(P2PShareError):
    """The port to listen on cannot be had: names it and the reason."""
