"""The 20 bytes that name a torrent and the 20 bytes that name a peer."""

from __future__ import annotations

import re
from random import Random
from string import ascii_letters, ascii_uppercase, digits

from p2pshare import __version__

INFO_HASH_SIZE = 20  # BEP 3: a SHA-1
PEER_ID_SIZE = 20

_VERSION_DIGITS = digits + ascii_uppercase  # A is 10; small letters mark kinds of releases
_PRINTABLE = ascii_letters + digits


def _own_prefix(version: str) -> bytes:
    """Write our peer_id prefix (BEP 20, Azureus style): ``P2``, which no other client uses, and four digits."""
    numbers = [int(part) for part in version.split(".")]
    return b"-P2%s-" % "".join(_VERSION_DIGITS[number] for number in (*numbers, 0, 0, 0)[:4]).encode()


CLIENT_PREFIX = _own_prefix(__version__)

_AZUREUS = re.compile(rb"-([A-Za-z0-9]{2})([0-9A-Z]{3}[0-9A-Za-z])-")
_DASHED = re.compile(rb"(A2-|M)([0-9]+-[0-9]+-[0-9]+)-")
_HEX_INFO_HASH = re.compile(r"[0-9A-Fa-f]{40}")

_NAMES = {
    "AZ": "Vuze",
    "BC": "BitComet",
    "BI": "BiglyBT",
    "BT": "BitTorrent",
    "CD": "CTorrent",
    "DE": "Deluge",
    "FW": "FrostWire",
    "GT": "anacrolix torrent",
    "KT": "KTorrent",
    "LT": "libtorrent",
    "P2": "p2pshare",
    "TR": "Transmission",
    "TX": "Tixati",
    "UM": "uTorrent for Mac",
    "UT": "uTorrent",
    "WD": "WebTorrent Desktop",
    "WW": "WebTorrent",
    "lt": "rTorrent",
    "qB": "qBittorrent",
    "rQ": "rqbit",
}
_TRANSMISSION_KINDS = {"0": "", "B": " beta", "X": " beta", "Z": " dev"}


def new_peer_id(random: Random) -> bytes:
    """
    Make the peer_id of one run of this client: its prefix, then 12 letters and digits, which announces need not escape.

    :param random: a source that no other process shares, or two peers take each other for themselves.
    """
    return CLIENT_PREFIX + "".join(random.choices(_PRINTABLE, k=PEER_ID_SIZE - len(CLIENT_PREFIX))).encode()


def info_hash_from_hex(text: str) -> bytes:
    """
    Read an info_hash as people write it.

    :raise ValueError: it is not 40 hexadecimal digits.
    """
    if not _HEX_INFO_HASH.fullmatch(text):
        raise ValueError(f"info_hash {text!r}: 40 hexadecimal digits are expected")
    return bytes.fromhex(text)


def client_name(peer_id: bytes) -> str:
    """
    Tell which client made a peer_id (BEP 20): ``libtorrent 2.1.0.0``.

    :return: printable ASCII; of an unknown client the first 8 bytes, unprintable ones escaped.
    """
    if (azureus := _AZUREUS.match(peer_id)) and (name := _NAMES.get(code := azureus[1].decode())):
        version = azureus[2].decode()
        return f"{name} {_transmission_version(version) if code == 'TR' else _dotted(version)}"
    if dashed := _DASHED.match(peer_id):
        name = "aria2" if dashed[1] == b"A2-" else "BitTorrent"
        return f"{name} {dashed[2].decode().replace('-', '.')}"
    return peer_id[:8].decode("latin-1").encode("unicode_escape").decode() or "unknown"


def _dotted(version: str) -> str:
    """Read ``2100`` as 2.1.0.0, ``0D80`` as 0.13.8.0 and ``220s`` as 2.2.0s."""
    numbers = ".".join(str(_VERSION_DIGITS.index(digit)) for digit in version if not digit.islower())
    return numbers + version[-1] if version[-1].islower() else numbers


def _transmission_version(version: str) -> str:
    """Read ``3000`` as 3.00 and, since version 4, ``410Z`` as 4.1.0 dev."""
    kind = _TRANSMISSION_KINDS.get(version[3], "")
    return (f"{version[0]}.{version[1:3]}" if version[0] < "4" else _dotted(version[:3])) + kind
