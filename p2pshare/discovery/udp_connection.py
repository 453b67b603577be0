"""Our connection to one UDP tracker, as BEP 15 has it: made when it is needed, and shared by all torrents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred, FailureGroup, TimeoutError, race, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from p2pshare.discovery.announce_timing import reply_wait
from p2pshare.discovery.udp_line import UDPLine
from p2pshare.errors import TrackerUnreachable
from p2pshare.wire.udp_tracker import ERROR, decode_reply

HEAD_START = 0.3  # seconds that one address has before the next is tried, too; as Twisted's HostnameEndpoint, RFC 8305

Encode = Callable[[bytes, bytes], bytes]  # makes a request of connection id and transaction id


@define(eq=False)
class UDPConnection:
    """
    Finds out where a tracker listens, connects there, and asks over whichever of its addresses answered first.

    Goes on until there is a reply or it is cancelled: how long that may take is the caller's business.
    """

    _find_hosts: Callable[[], Awaitable[list[str]]]
    _open_line: Callable[[str], UDPLine]  # to one of these hosts
    _clock: IReactorTime
    _line: UDPLine | None = field(init=False, default=None)  # the latest
    _connecting: Deferred[UDPLine] | None = field(init=False, default=None)
    _waiting: list[Deferred[UDPLine]] = field(init=False, factory=list)  # for that one; empty when there is none

    async def ask(self, encode: Encode) -> tuple[bytes, bool]:
        """
        Send a request, again after 15·2ⁿ seconds without a reply (BEP 15), until there is one.

        :return: the reply, and whether it came over IPv6.
        :raise TrackerError: nobody listens there, or not to us.
        """
        resends = 0
        is_kept = self._line is not None and self._line.is_connected  # its id is from an earlier request
        while True:
            line = await self._connected()
            try:
                reply = await line.ask(partial(encode, line.connection_id), reply_wait(resends))
            except TimeoutError:
                line.disconnect()  # a tracker that was restarted does not answer to its former ids
                resends += 1
            else:
                if not is_kept or decode_reply(reply)[0] != ERROR:
                    return reply, line.is_ipv6
                line.disconnect()  # perhaps it is only the id that is refused
            is_kept = False

    def _connected(self) -> Deferred[UDPLine]:
        """Give a line that is connected. Whoever gives up waiting for it does not end that for the others."""
        if self._line is not None and self._line.is_connected:
            return succeed(self._line)
        waiter: Deferred[UDPLine] = Deferred(self._gave_up)
        self._waiting.append(waiter)
        if self._connecting is None:
            self._connecting = Deferred.fromCoroutine(self._connect())
            self._connecting.addBoth(self._tell)
        return waiter

    def _gave_up(self, waiter: Deferred[UDPLine]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            if not self._waiting and self._connecting is not None:
                self._connecting.cancel()

    def _tell(self, result: UDPLine | Failure) -> None:
        self._connecting = None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    async def _connect(self) -> UDPLine:
        """Try all addresses, each a little after the one before; the first that answers is taken."""
        hosts = await self._find_hosts()
        attempts = [Deferred.fromCoroutine(self._try(host, number * HEAD_START)) for number, host in enumerate(hosts)]
        try:
            _, line = await race(attempts)
        except FailureGroup as group:
            for failure in group.failures:
                if not failure.check(TrackerUnreachable):  # a refusal says more
                    failure.raiseException()
            raise TrackerUnreachable("; ".join(dict.fromkeys(str(each.value) for each in group.failures))) from group
        self._line = line
        return line

    async def _try(self, host: str, delay: float) -> UDPLine:
        if delay:
            await deferLater(self._clock, delay)
        line = self._open_line(host)
        try:
            await line.connect()
        except BaseException:  # another address was faster, or nobody waits any more, or there is no answer
            line.close()
            raise
        return line
