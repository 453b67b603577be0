"""What all connections of a process share: how many there may be, in all and from one host, and memory for sending."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from p2pshare.addresses import PRIVATE, Networks
from p2pshare.peer.unsent import SendMemory


@define(eq=False)
class ConnectionBudget:
    """Counts open connections. Knows no socket: whoever opens one asks, whoever closes one gives back."""

    _total: int = 200  # libtorrent and Transmission: 200
    _per_host: int = 3
    _exempt: Networks = PRIVATE  # many peers share one address on a laptop, in a lab, behind a proxy
    memory: SendMemory = field(factory=SendMemory)  # what their transports hold
    _open: int = field(init=False, default=0)
    _hosts: Counter[str] = field(init=False, factory=Counter)

    @property
    def has_room(self) -> bool:
        """Whether one more connection fits at all."""
        return self._open < self._total

    def admit(self, host: str) -> bool:
        """Count one connection of this host, or say False: it has to be refused."""
        if not self.has_room or (self._hosts[host] >= self._per_host and host not in self._exempt):
            return False
        self._open += 1
        self._hosts[host] += 1
        return True

    def release(self, host: str) -> None:
        """One connection of this host is gone."""
        self._open -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
