"""Where a peer can be reached: a host and a port, as people write them and in the compact form of BEP 23 and BEP 7."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct

from attrs import frozen

_COMPACT_IPV4 = Struct(">4sH")  # BEP 23
_COMPACT_IPV6 = Struct(">16sH")  # BEP 7
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291: how a socket for both families shows an IPv4 address
_ZEROS = bytes(12)
# Host names with the underscores of container networks. One whose last label is a number is none: resolvers take 127.1
# and 0x7f000001 for addresses, past everything that looks at the numbers before.
_NAME = re.compile(
    r"(?=.{1,253}\Z)"
    r"(?:[A-Za-z0-9_-]{1,63}\.)*"
    r"(?!(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?\Z)[A-Za-z0-9_-]{1,63}\.?"
)  # fmt: skip


@frozen
class Address:
    """A host, which is an IP address in its plain form or a name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def plain_host(host: str) -> str:
    """
    Give the one spelling in which a host is compared and counted.

    ``::ffff:1.2.3.4`` becomes ``1.2.3.4``; IPv6 its shortest form, without a ``%scope``; names stay as they are.
    """
    octets = _octets(host)
    return host if octets is None else _text(octets)


def is_numeric(host: str) -> bool:
    """Whether a host is an IP address, so that no name needs looking up."""
    return _octets(host) is not None


def is_ipv6(host: str) -> bool:
    """Whether a host is an IPv6 address; IPv4 mapped into IPv6 is not."""
    octets = _octets(host)
    return octets is not None and len(octets) == 16


def parse_address(text: str, default_port: int | None = None) -> Address:
    """
    Read what people write: ``HOST:PORT``, ``[::1]:PORT``, and the host alone when there is a default port.

    :raise ValueError: the port is missing or above 65535, or the host is neither an IP address nor a name.
    """
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        understood = bool(closing) and ":" in host and is_numeric(host) and rest[:1] in ("", ":")
    else:
        # With two colons it is bare IPv6, and nobody can tell whether its last group is meant as the port.
        host, colon, port = (text, "", "") if text.count(":") > 1 else text.partition(":")
        rest = colon + port
        understood = is_numeric(host) or _NAME.fullmatch(host) is not None
    if not understood:
        raise ValueError(f"address {text!r}: HOST:PORT or [IPV6]:PORT is expected")
    if rest:
        return Address(plain_host(host), _port(text, rest[1:]))
    if default_port is None:
        raise ValueError(f"address {text!r} has no port: HOST:PORT or [IPV6]:PORT is expected")
    return Address(plain_host(host), default_port)


def pack_compact(host: str, port: int) -> bytes:
    """
    Write an IP address and a port in 6 bytes (IPv4, BEP 23) or 18 bytes (IPv6, BEP 7).

    :raise ValueError: the host is a name, or there is no such port.
    """
    octets = _octets(host)
    if octets is None:
        raise ValueError(f"{host!r} is no IP address, and only those have a compact form")
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port}, at most 65535 is expected")
    return octets + port.to_bytes(2, "big")


def unpack_ipv4(blob: bytes) -> list[Address]:
    """
    Read a compact peer list (BEP 23). Entries with port 0 are left out: nobody listens there.

    :raise ValueError: its length is not a multiple of 6.
    """
    return _unpack(_COMPACT_IPV4, blob)


def unpack_ipv6(blob: bytes) -> list[Address]:
    """
    Read a compact IPv6 peer list (BEP 7). Entries with port 0 are left out: nobody listens there.

    :raise ValueError: its length is not a multiple of 18.
    """
    return _unpack(_COMPACT_IPV6, blob)


def is_dialable(address: Address) -> bool:
    """Whether a connection there can make sense: a real port, and a host that is one machine or a name."""
    if not 1 <= address.port <= 65535:
        return False
    octets = _octets(address.host)
    if octets is None:
        return _NAME.fullmatch(address.host) is not None
    if len(octets) == 4:
        return 1 <= octets[0] < 224  # 0: unspecified; from 224: multicast, reserved, broadcast
    return octets[0] != 0xFF and any(octets)  # multicast; unspecified


@frozen
class Networks:
    """Ranges of IP addresses. A name is in none of them."""

    _ipv4: tuple[tuple[int, int], ...]  # netmask and first address
    _ipv6: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """
        Read ranges such as ``10.0.0.0/8``, ``fc00::/7`` or a single address.

        :raise ValueError: one is not such a range.
        """
        ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for text in texts:
            network = ip_network(text.strip(), strict=False)
            ranges[network.version].append((int(network.netmask), int(network.network_address)))
        return cls(tuple(ranges[4]), tuple(ranges[6]))

    def __contains__(self, host: str) -> bool:
        octets = _octets(host)
        if octets is None:
            return False
        number = int.from_bytes(octets, "big")
        for mask, first in self._ipv4 if len(octets) == 4 else self._ipv6:  # noqa: SIM110  twice as fast as any()
            if number & mask == first:
                return True
        return False


# Loopback, private and link-local addresses, and the unspecified ones: connecting to 0.0.0.0 reaches this very machine.
PRIVATE = Networks.parse(
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ]
)


def _octets(host: str) -> bytes | None:
    """Read an IP address into its 4 or 16 bytes, IPv4 mapped into IPv6 into 4; None for a name."""
    try:
        if ":" not in host:
            return inet_pton(AF_INET, host)
        octets = inet_pton(AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):  # ValueError: NUL or half a surrogate pair inside
        return None
    return octets[12:] if octets.startswith(_MAPPED) else octets


def _text(octets: bytes) -> str:
    """Write 4 or 16 bytes as an IP address in its plain form."""
    if len(octets) == 4:
        return inet_ntop(AF_INET, octets)
    if octets.startswith(_MAPPED):
        return inet_ntop(AF_INET, octets[12:])
    if octets.startswith(_ZEROS):  # the C library writes the rest as IPv4, ::1:6881 as ::0.1.26.225
        return str(IPv6Address(octets))
    return inet_ntop(AF_INET6, octets)


def _port(text: str, port: str) -> int:
    # int() alone would read "+1", "1_0" and digits of every script.
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"address {text!r}: port {port!r}, a number up to 65535 is expected")
    return int(port)


def _unpack(entry: Struct, blob: bytes) -> list[Address]:
    if len(blob) % entry.size:
        raise ValueError(f"compact peers of {len(blob)} bytes, a multiple of {entry.size} is expected")
    return [Address(_text(octets), port) for octets, port in entry.iter_unpack(blob) if port]
