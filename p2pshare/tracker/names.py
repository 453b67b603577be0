"""The addresses of peers that announced a host name, for replies that have no room for names."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, is_dialable, is_ipv6, is_numeric

LookUp = Callable[[str], "Deferred[Sequence[str]]"]  # a name's hosts in numbers; fails with OSError if it has none
Found = dict[str, str]  # name -> address


@define(eq=False)
class Names:
    """
    Resolves names and remembers the answers for a while, the bad ones too.

    A few look-ups run at a time, each name once, and no announce waits longer than ``patience``: names that are not
    known by then are left out of its reply, and known the next time.
    """

    _look_up: LookUp
    _clock: IReactorTime
    lifetime: float = 60.0  # seconds; getaddrinfo hides the records' own, and containers move within minutes
    patience: float = 2.0
    at_a_time: int = 4  # fewer than the reactor has threads: others need some, too
    waiting: int = 1000  # names being looked up or in the queue for it
    remembered: int = 10_000
    _known: OrderedDict[str, tuple[float, str | None]] = field(init=False, factory=OrderedDict)  # until when; address
    _waiters: dict[str, list[Deferred[None]]] = field(init=False, factory=dict)
    _turns: DeferredSemaphore = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._turns = DeferredSemaphore(self.at_a_time)

    def resolve(self, names: Iterable[str]) -> Found | Deferred[Found]:
        """Give the addresses of those names that have one: at once if all are remembered."""
        names = set(names)
        now = self._clock.seconds()
        unknown = [name for name in names if name not in self._known or self._known[name][0] <= now]
        waiters = [self._wait_for(name) for name in unknown if name in self._waiters or self._begin(name)]
        if not waiters:
            return self._found(names)
        all_known = gatherResults(waiters, consumeErrors=True)
        all_known.addTimeout(self.patience, self._clock)
        return all_known.addBoth(lambda _: self._found(names))

    def _found(self, names: Iterable[str]) -> Found:
        known = {name: self._known[name][1] for name in names if name in self._known}
        return {name: address for name, address in known.items() if address is not None}

    def _wait_for(self, name: str) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()  # one for each who waits: who gives up must not end it for the others
        self._waiters[name].append(waiter)
        return waiter

    def _begin(self, name: str) -> bool:
        if len(self._waiters) >= self.waiting:
            return False
        self._waiters[name] = []
        looking: Deferred[Sequence[str]] = self._turns.run(self._look_up, name)
        looking.addCallbacks(_best, self._no_address).addCallback(self._remember, name)
        return name in self._waiters  # not if the answer was there at once

    def _no_address(self, failure: Failure) -> None:
        if not failure.check(OSError, UnicodeError):  # gaierror; a name that IDNA cannot encode
            self.log.failure("name look-up", failure)

    def _remember(self, address: str | None, name: str) -> None:
        self._known[name] = (self._clock.seconds() + self.lifetime, address)
        self._known.move_to_end(name)
        while len(self._known) > self.remembered:
            self._known.popitem(last=False)
        for waiter in self._waiters.pop(name):
            waiter.callback(None)


def _best(hosts: Sequence[str]) -> str | None:
    """Choose one address that could be dialled, IPv4 before IPv6, as more peers can reach it."""
    usable = [host for host in hosts if is_numeric(host) and is_dialable(Address(host, 1))]
    return min(usable, key=is_ipv6, default=None)


def hosts_of(name: str) -> list[str]:
    """Ask the system for the addresses of a name; blocks, for seconds if the name servers are away."""
    return [str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
