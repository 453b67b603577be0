"""Who is at the other end of a request: one spelling of its address, and the group its limits are counted by."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import lru_cache
from ipaddress import ip_network

from attrs import define, field, frozen

from p2pshare.addresses import is_ipv6, is_numeric, plain_host

REMEMBERED = 16384  # sources whose networks need not be looked up again
_SUBSCRIBER = 64  # IPv6: whoever has one address of a /64 has all of them


@frozen
class Source:
    """
    Where a request comes from.

    ``group`` is what counts and rates are kept by: an IPv4 address, or the /64 network of an IPv6 one.
    ``is_exempt``: no such limit applies.
    """

    host: str
    group: str
    is_exempt: bool


@define(eq=False)
class Sources:
    """Names the sources of requests. Believes the addresses that proxies report only for configured proxies."""

    _exempt: Container[str]
    _proxies: Container[str] = ()
    of: Callable[[str], Source] = field(init=False)  # the source of a connection from this host

    def __attrs_post_init__(self) -> None:
        self.of = lru_cache(REMEMBERED)(self._of)

    def behind(self, source: Source, forwarded: Sequence[bytes]) -> Source:
        """
        Find who asks through a proxy: the last address of ``X-Forwarded-For`` that is no proxy of ours.

        :param forwarded: the values of that header, in order; each proxy appends the address it was asked from.
        :return: ``source`` itself when it is not a configured proxy, or the header leads nowhere.
        """
        if source.host not in self._proxies:
            return source
        for hop in reversed(b",".join(forwarded).split(b",")):
            host = hop.strip().decode("ascii", "replace").removeprefix("[").removesuffix("]")
            if not is_numeric(host):  # whatever is further left, a stranger may have written
                break
            source = self.of(host)
            if source.host not in self._proxies:
                break
        return source

    def _of(self, host: str) -> Source:
        host = plain_host(host)
        group = str(ip_network((host, _SUBSCRIBER), strict=False)) if is_ipv6(host) else host
        return Source(host, group, host in self._exempt)
