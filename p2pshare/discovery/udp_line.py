"""One address of a UDP tracker, and the socket it is asked over (BEP 15)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import count
from random import Random
from socket import SO_ERROR, SOL_SOCKET
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from p2pshare.addresses import plain_host
from p2pshare.discovery.announce_timing import reply_wait
from p2pshare.errors import RemoteWireError, TrackerFailure, TrackerUnreachable
from p2pshare.wire.udp_tracker import (
    ERROR,
    TRANSACTION_SIZE,
    decode_connected,
    decode_refusal,
    decode_reply,
    encode_connect,
)

CONNECTION_LIFETIME = 60.0  # seconds; BEP 15: a client may use a connection id until one minute after it got it

_CLOSED = "the socket is closed"
_REFUSED = "connection refused"


@define(eq=False)
class UDPLine(DatagramProtocol):
    """
    Sends requests and gives each its reply, by transaction id. Knows nothing of what is asked.

    The socket is connected, so that the system keeps foreign datagrams away and tells when nobody listens. It is open
    as long as its connection id holds, or a request waits for its reply.
    """

    host: str
    _port: int
    _clock: IReactorTime
    _random: Random
    _closed: Callable[[UDPLine], object]  # called once
    connection_id: bytes = field(init=False, default=b"")  # empty: none yet
    _waiting: dict[bytes, Deferred[bytes]] = field(init=False, factory=dict)  # by transaction id
    _expiry: IDelayedCall | None = field(init=False, default=None)
    _socket: Any = field(init=False, default=None)
    _is_ending: bool = field(init=False, default=False)  # it closes when nobody waits
    _is_closed: bool = field(init=False, default=False)
    _closing: Deferred[None] | None = field(init=False, default=None)  # None: not begun, or over
    noisy = False

    @property
    def is_connected(self) -> bool:
        """Whether its connection id may be used for new requests."""
        return bool(self.connection_id) and not self._is_ending

    @property
    def is_ipv6(self) -> bool:
        """Whether the peers in its replies are IPv6 ones."""
        return ":" in self.host

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for a reply."""
        return not self._waiting

    async def connect(self) -> None:
        """
        Ask for a connection id, again and again, until there is one.

        :raise TrackerError: nobody listens there, or not to us.
        """
        for resends in count():
            try:
                reply = await self.ask(encode_connect, reply_wait(resends))
            except TimeoutError:
                continue
            try:
                if decode_reply(reply)[0] == ERROR:
                    raise TrackerFailure(decode_refusal(reply))
                self.connection_id = decode_connected(reply)
            except RemoteWireError as error:
                raise TrackerUnreachable(str(error)) from error
            self._expiry = self._clock.callLater(CONNECTION_LIFETIME, self.disconnect)
            return

    def ask(self, encode: Callable[[bytes], bytes], wait: float) -> Deferred[bytes]:
        """
        Send a request once.

        The Deferred fails with TimeoutError, or with TrackerUnreachable when it is known earlier that there will be no
        reply.

        :param encode: makes the request, with a transaction id.
        :param wait: seconds to wait for the reply.
        """
        while (transaction_id := self._random.randbytes(TRANSACTION_SIZE)) in self._waiting:
            pass
        datagram = encode(transaction_id)
        reply: Deferred[bytes] = Deferred()

        def ended(result: bytes | Failure) -> bytes | Failure:
            del self._waiting[transaction_id]
            self._close_if_done()
            return result

        self._waiting[transaction_id] = reply
        reply.addTimeout(wait, self._clock).addBoth(ended)
        try:
            if self.transport is None or self._is_closed:
                raise OSError(None, _CLOSED)
            self.transport.write(datagram, None)  # this may call connectionRefused(), for an earlier datagram
        except OSError as error:
            if not reply.called:
                reply.errback(TrackerUnreachable(error.strerror or str(error)))
        return reply

    def disconnect(self) -> None:
        """Give the connection id up: new requests need another line, and the socket goes with the last reply."""
        self._is_ending = True
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        self._close_if_done()

    def close(self) -> Deferred[None]:
        """Close the socket at once; fires when it is closed. Whoever waits gets no reply."""
        self._end(_CLOSED)
        return succeed(None) if self._closing is None else self._closing

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        try:
            _, transaction_id = decode_reply(datagram)
        except RemoteWireError:
            return
        # The system has sorted out other senders, but for those that were faster than our connecting.
        if (plain_host(addr[0]), addr[1]) == (self.host, self._port):
            reply = self._waiting.get(transaction_id)
            if reply is not None:
                reply.callback(datagram)

    def startProtocol(self) -> None:
        transport: Any = self.transport
        self._socket = transport.getHandle()

    def connectionRefused(self) -> None:
        self._end(_REFUSED)

    def stopProtocol(self) -> None:
        # A socket with an error and nothing to read is dropped by some reactors (epoll), which do not say why.
        error = 0 if self._is_closed else self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
        self._end(_REFUSED if error == errno.ECONNREFUSED else os.strerror(error) if error else _CLOSED)

    def _end(self, why: str) -> None:
        self.disconnect()
        for reply in list(self._waiting.values()):
            if not reply.called:
                reply.errback(TrackerUnreachable(why))

    def _close_if_done(self) -> None:
        if self._is_ending and self.is_idle and not self._is_closed:
            self._is_closed = True
            self._closed(self)
            if self.transport is not None:
                self._closing = self.transport.stopListening()
