"""The extension handshake: a bencoded dictionary in which peers introduce themselves (BEP 10)."""

from __future__ import annotations

from ipaddress import ip_address

from p2pshare.addresses import plain_host
from p2pshare.bencoding import Value, decode, encode
from p2pshare.errors import BencodeError, LocalWireError, RemoteWireError
from p2pshare.wire.messages import ExtendedHandshake

# What a stranger can make us remember of one handshake.
MAX_VERSION = 64  # characters
MAX_NAMES = 64  # libtorrent and Transmission send fewer than ten
MAX_NAME_SIZE = 64  # bytes
MAX_METADATA_SIZE = 4 * 1024 * 1024  # bytes, as libtorrent's default was for long
_MAX_REQQ = 2**31 - 1  # a C int: what the engines read it into


def encode_handshake(handshake: ExtendedHandshake) -> bytes:
    """
    Write the payload of a handshake; what is None or False is left out.

    :raise LocalWireError: ``yourip`` is a name, not an address.
    """
    fields: dict[str, Value] = {"m": dict(handshake.ids)}
    if handshake.version is not None:
        fields["v"] = handshake.version.encode()
    if handshake.port is not None:
        fields["p"] = handshake.port
    if handshake.reqq is not None:
        fields["reqq"] = handshake.reqq
    if handshake.yourip is not None:
        fields["yourip"] = _packed(handshake.yourip)
    if handshake.upload_only:
        fields["upload_only"] = 1
    if handshake.metadata_size is not None:
        fields["metadata_size"] = handshake.metadata_size
    return encode(fields)


def decode_handshake(payload: bytes) -> ExtendedHandshake:
    """
    Read the payload of a handshake. A field that makes no sense counts as not sent: the rest is still useful.

    :raise RemoteWireError: it is not a bencoded dictionary at all.
    """
    try:
        fields = decode(payload, strict_order=False)  # key order is wrong in too many clients to insist
    except BencodeError as error:
        raise RemoteWireError(f"extension handshake: {error}") from error
    if not isinstance(fields, dict):
        raise RemoteWireError("extension handshake: not a dictionary")
    return ExtendedHandshake(
        ids=_ids(fields.get(b"m")),
        version=_version(fields.get(b"v")),
        port=_number(fields.get(b"p"), 65535),
        reqq=_number(fields.get(b"reqq"), _MAX_REQQ),
        yourip=_host(fields.get(b"yourip")),
        upload_only=_number(fields.get(b"upload_only"), _MAX_REQQ) is not None,
        metadata_size=_number(fields.get(b"metadata_size"), MAX_METADATA_SIZE),
    )


def _packed(host: str) -> bytes:
    try:
        return ip_address(host).packed
    except ValueError as error:
        raise LocalWireError(f"extension handshake: yourip {host!r} is no address") from error


def _number(value: Value | None, largest: int) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= largest else None


def _ids(value: Value | None) -> dict[bytes, int]:
    """The extensions on offer; id 0 means "not this one" (BEP 10), so it is left out like a bad id."""
    if not isinstance(value, dict):
        return {}
    offers = ((name, _number(id, 255)) for name, id in value.items() if len(name) <= MAX_NAME_SIZE)
    usable = [(name, id) for name, id in offers if id is not None]
    return dict(usable[:MAX_NAMES])


def _version(value: Value | None) -> str | None:
    if not isinstance(value, bytes):
        return None
    text = value[: 4 * MAX_VERSION].decode(errors="ignore")
    return "".join(filter(str.isprintable, text))[:MAX_VERSION].strip() or None


def _host(value: Value | None) -> str | None:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return None
    return plain_host(str(ip_address(value)))
