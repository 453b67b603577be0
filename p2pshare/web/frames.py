"""How long the messages on a WebSocket are, seen from the headers of their frames (RFC 6455, "Base Framing")."""

from __future__ import annotations

from attrs import define, field

_FINAL, _MASKED, _CONTROL = 0x80, 0x80, 0x08
_EXTENDED = {126: 2, 127: 8}  # length in the second byte: bytes that hold the real one


@define(eq=False)
class MessageLengths:
    """
    Adds up the frames of each message as the bytes come in. Whoever takes messages gets them whole: by then it is late.

    Knows nothing of what else may be wrong with a frame; control frames, which are short, do not count.
    """

    _limit: int
    _header: bytearray = field(init=False, factory=bytearray)  # at most 14 bytes
    _payload: int = field(init=False, default=0)  # bytes of the frame that are still to come
    _message: int = field(init=False, default=0)

    def fit(self, data: bytes) -> bool:
        """Follow the next bytes. False: a frame begins with which a message is too long."""
        at = 0
        while at < len(data):
            if self._payload:
                step = min(self._payload, len(data) - at)
                self._payload -= step
                at += step
                continue
            self._header.append(data[at])
            at += 1
            if self._is_header_complete() and not self._begin_frame():
                return False
        return True

    def _is_header_complete(self) -> bool:
        if len(self._header) < 2:
            return False
        size = 2 + _EXTENDED.get(self._header[1] & 0x7F, 0) + (4 if self._header[1] & _MASKED else 0)
        return len(self._header) == size

    def _begin_frame(self) -> bool:
        first, second = self._header[:2]
        length = second & 0x7F
        if length in _EXTENDED:
            length = int.from_bytes(self._header[2 : 2 + _EXTENDED[length]], "big")
        self._header.clear()
        self._payload = length
        if first & _CONTROL:
            return True
        self._message += length
        if self._message > self._limit:
            return False
        if first & _FINAL:
            self._message = 0
        return True
