"""
Announces and scrapes as datagrams, requests and replies, both ways (BEP 15, with options as BEP 41 has them).

Connection ids and transaction ids are opaque here: 8 and 4 bytes. Of which family the peers of a reply are, the reply
does not say: they are of the family that carried it. A datagram that makes no sense is a RemoteWireError and nothing
else, whose text may go back to whoever sent it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from socket import AF_INET, inet_ntop, inet_pton
from struct import Struct
from urllib.parse import parse_qs, quote

from p2pshare.addresses import is_dialable, is_ipv6, is_numeric, unpack_ipv4, unpack_ipv6
from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.ids import INFO_HASH_SIZE, PEER_ID_SIZE
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry, ScrapeCounts, read_host
from p2pshare.wire.announce_reply import MAX_PEERS, printable

CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)  # BEP 15: actions
ID_SIZE, TRANSACTION_SIZE = 8, 4

MAX_SCRAPE = 70  # torrents; BEP 15: about 74 fit into one datagram
MAX_REQUEST = 2047  # bytes: read into a buffer of one more, so that whatever was cut off there is known by its length
MAX_REPLY = 8192  # bytes of one that we read: 200 peers of IPv6 take less than half of it
MAX_URL_DATA = 1024  # bytes of a URL's path and query that we send: with the announce, one packet on any network

_MAGIC = 0x41727101980.to_bytes(ID_SIZE, "big")  # takes the place of the connection id in a connect request
_HEAD = Struct(f">{ID_SIZE}sI{TRANSACTION_SIZE}s")  # connection_id, action, transaction_id
# The same, info_hash, peer_id, downloaded, left, uploaded, event, address, key, num_want, port.
_ANNOUNCE = Struct(f">{ID_SIZE}sI{TRANSACTION_SIZE}s{INFO_HASH_SIZE}s{PEER_ID_SIZE}sQQQI4sIiH")
_REPLY_HEAD = Struct(f">I{TRANSACTION_SIZE}s")  # action, transaction_id
_CONNECTED = Struct(f">I{TRANSACTION_SIZE}s{ID_SIZE}s")
_ANNOUNCED = Struct(f">I{TRANSACTION_SIZE}siii")  # action, transaction_id, interval, leechers, seeders
_COUNTS = Struct(">iii")  # seeders, completed, leechers

_SMALLEST = (_HEAD.size, _ANNOUNCE.size, _HEAD.size)  # requests, by action
_MOST = 2**63 - 1
_UNKNOWN_LEFT = _MOST  # what we say when we cannot know: any number but 0 makes a leech
_MOST_32 = 2**31 - 1
# By number. 4: libtorrent's "paused", a partial seed (BEP 21), which is a member like any other.
_EVENTS = (None, Event.COMPLETED, Event.STARTED, Event.STOPPED, None)
_EVENT_NUMBERS = {None: 0, Event.COMPLETED: 1, Event.STARTED: 2, Event.STOPPED: 3}
_NO_ADDRESS = bytes(4)
_END, _NOP, _URL_DATA = range(3)  # BEP 41: types of options
_LONGEST_OPTION = 255


def encode_connect(transaction_id: bytes) -> bytes:
    """Write the request for a connection id."""
    return _HEAD.pack(_MAGIC, CONNECT, transaction_id)


def encode_announce(connection_id: bytes, transaction_id: bytes, request: AnnounceRequest, url: str = "") -> bytes:
    """
    Write an announce.

    A host name that the peer claims goes into the query, as over HTTP; so only trackers that read options see it.

    :param url: path and query of the tracker's URL, for those who listen under several (BEP 41).
    :raise LocalWireError: path and query are too long, or the key is not the hexadecimal number that it should be.
    """
    if request.hostname is not None:
        url += f"{'&' if '?' in url else '?'}hostname={quote(request.hostname)}"
    announce = _ANNOUNCE.pack(
        connection_id,
        ANNOUNCE,
        transaction_id,
        request.info_hash,
        request.peer_id,
        request.downloaded,
        _UNKNOWN_LEFT if request.left is None else request.left,
        request.uploaded,
        _EVENT_NUMBERS[request.event],
        _packed_address(request.ip),
        _key_number(request.key),
        -1 if request.numwant is None else min(request.numwant, _MOST_32),
        request.port,
    )
    return announce + _url_options(url.encode())


def encode_scrape(connection_id: bytes, transaction_id: bytes, hashes: Sequence[bytes]) -> bytes:
    """
    Write a scrape.

    :raise LocalWireError: it names no torrent, or more than 70.
    """
    if not 1 <= len(hashes) <= MAX_SCRAPE:
        raise LocalWireError(f"a scrape of {len(hashes)} torrents, 1 to {MAX_SCRAPE} are possible")
    return _HEAD.pack(connection_id, SCRAPE, transaction_id) + b"".join(hashes)


def decode_request(datagram: bytes) -> tuple[bytes, int, bytes]:
    """
    Read what all requests begin with: connection id, action and transaction id.

    :raise RemoteWireError: this is no request, or not a whole one; there is nobody to answer.
    """
    size = len(datagram)
    if not _HEAD.size <= size <= MAX_REQUEST:
        raise RemoteWireError(f"{size} bytes, a request has {_HEAD.size} to {MAX_REQUEST}")
    head: tuple[bytes, int, bytes] = _HEAD.unpack_from(datagram)
    connection_id, action, _ = head
    if action > SCRAPE:
        raise RemoteWireError(f"action {action} is no request")
    if size < _SMALLEST[action]:
        raise RemoteWireError(f"{size} bytes, this request has {_SMALLEST[action]}")
    if action == CONNECT and connection_id != _MAGIC:
        raise RemoteWireError("a connect request without its magic number")
    return head


def decode_announce(datagram: bytes) -> AnnounceRequest:
    """
    Read an announce that :func:`decode_request` has looked at.

    Numbers out of range are moved to the nearest end of the range; a negative ``num_want`` means that the peer does
    not care. The address that it claims is given, whether to believe it is for the tracker to decide.

    :raise RemoteWireError: there is no such port or event.
    """
    fields = _ANNOUNCE.unpack_from(datagram)
    _, _, _, info_hash, peer_id, downloaded, left, uploaded, event, ip, key, numwant, port = fields
    if port == 0:
        raise RemoteWireError("port is 0, not within 1 to 65535")
    if event >= len(_EVENTS):
        raise RemoteWireError(f"event is {event}, not 0 to 3")
    return AnnounceRequest(
        info_hash,
        peer_id,
        port,
        min(uploaded, _MOST),
        min(downloaded, _MOST),
        None if left >= _UNKNOWN_LEFT else left,
        _EVENTS[event],
        None if numwant < 0 else numwant,
        b"%08X" % key if key else None,
        True,
        None if len(datagram) == _ANNOUNCE.size else _hostname(datagram),
        None if ip == _NO_ADDRESS else inet_ntop(AF_INET, ip),
    )


def decode_scrape(datagram: bytes) -> list[bytes]:
    """
    Read which torrents a scrape asks for, in the order of asking, which is that of the reply.

    :raise RemoteWireError: it asks for none, or the last info_hash is not whole.
    """
    size = len(datagram) - _HEAD.size
    if size == 0 or size % INFO_HASH_SIZE:
        raise RemoteWireError(f"{size} bytes of info_hashes, not {INFO_HASH_SIZE} for each of 1 to {MAX_SCRAPE}")
    return [datagram[at : at + INFO_HASH_SIZE] for at in range(_HEAD.size, len(datagram), INFO_HASH_SIZE)]


def url_data(datagram: bytes) -> bytes:
    """
    Read the path and query of the URL that an announce was made for (BEP 41).

    :return: nothing when there is no such option. From where the options make no sense they are taken for the padding
        of an old client, and what stands there is not read.
    """
    found = []
    at = _ANNOUNCE.size
    while at < len(datagram) and (option := datagram[at]) != _END:
        at += 1
        if option == _NOP:
            continue
        if at == len(datagram) or (end := at + 1 + datagram[at]) > len(datagram):
            break
        if option == _URL_DATA:
            found.append(datagram[at + 1 : end])
        at = end
    return b"".join(found)


def encode_connected(transaction_id: bytes, connection_id: bytes) -> bytes:
    """Write the reply to a connect request, which is no longer than the request."""
    return _CONNECTED.pack(CONNECT, transaction_id, connection_id)


def encode_announced(
    transaction_id: bytes, interval: int, complete: int, incomplete: int, peers: bytes | bytearray
) -> bytes:
    """Write the reply to an announce around addresses that are packed already, 6 or 18 bytes each."""
    return _ANNOUNCED.pack(ANNOUNCE, transaction_id, interval, incomplete, complete) + peers


def encode_scraped(transaction_id: bytes, counts: Iterable[ScrapeCounts]) -> bytes:
    """Write the reply to a scrape: the figures of the torrents in the order in which they were asked for."""
    packed = [_COUNTS.pack(each.complete, min(each.downloaded, _MOST_32), each.incomplete) for each in counts]
    return b"".join([_REPLY_HEAD.pack(SCRAPE, transaction_id), *packed])


def encode_refusal(transaction_id: bytes, reason: str) -> bytes:
    """Write why a request is refused."""
    return _REPLY_HEAD.pack(ERROR, transaction_id) + reason.encode()


def decode_reply(datagram: bytes) -> tuple[int, bytes]:
    """
    Read what all replies begin with: action and transaction id.

    :raise RemoteWireError: this is no reply.
    """
    if len(datagram) < _REPLY_HEAD.size:
        raise RemoteWireError(f"the reply is {len(datagram)} bytes long, not at least {_REPLY_HEAD.size}")
    head: tuple[int, bytes] = _REPLY_HEAD.unpack_from(datagram)
    if head[0] > ERROR:
        raise RemoteWireError(f"action {head[0]} is no reply")
    return head


def decode_connected(datagram: bytes) -> bytes:
    """
    Read the connection id out of the reply to a connect request.

    :raise RemoteWireError: this is another reply.
    """
    _expect(datagram, CONNECT, _CONNECTED)
    connection_id: bytes = _CONNECTED.unpack_from(datagram)[2]
    return connection_id


def decode_announced(datagram: bytes, ipv6: bool) -> AnnounceResponse:
    """
    Read the reply to an announce. Of its peers the first 200 are kept that could be dialled.

    :param ipv6: it came over IPv6.
    :raise RemoteWireError: this is another reply, or its last peer is not whole.
    """
    _expect(datagram, ANNOUNCE, _ANNOUNCED)
    _, _, interval, incomplete, complete = _ANNOUNCED.unpack_from(datagram)
    try:
        addresses = (unpack_ipv6 if ipv6 else unpack_ipv4)(datagram[_ANNOUNCED.size :])
    except ValueError as error:
        raise RemoteWireError(f"the reply has {error}") from error
    peers = [PeerEntry(address.host, address.port) for address in addresses if is_dialable(address)]
    return AnnounceResponse(max(interval, 0), None, max(complete, 0), max(incomplete, 0), tuple(peers[:MAX_PEERS]))


def decode_scraped(datagram: bytes, hashes: Sequence[bytes]) -> Mapping[bytes, ScrapeCounts]:
    """
    Read the reply to a scrape.

    :param hashes: what was asked for; a tracker may leave out the last ones if they are too many for it.
    :raise RemoteWireError: this is another reply, or its last figures are not whole.
    """
    _expect(datagram, SCRAPE, _REPLY_HEAD)
    if (len(datagram) - _REPLY_HEAD.size) % _COUNTS.size:
        raise RemoteWireError(f"the reply has {len(datagram) - _REPLY_HEAD.size} bytes of figures, not 12 a torrent")
    counts = _COUNTS.iter_unpack(datagram[_REPLY_HEAD.size :])
    return {
        info_hash: ScrapeCounts(complete=max(complete, 0), incomplete=max(incomplete, 0), downloaded=max(downloaded, 0))
        for info_hash, (complete, downloaded, incomplete) in zip(hashes, counts, strict=False)
    }


def decode_refusal(datagram: bytes) -> str:
    """
    Read why a request was refused: the tracker's words, made printable.

    :raise RemoteWireError: this is another reply.
    """
    _expect(datagram, ERROR, _REPLY_HEAD)
    return printable(datagram[_REPLY_HEAD.size :].rstrip(b"\0")) or "refused without a reason"


def _expect(datagram: bytes, action: int, record: Struct) -> None:
    seen, _ = decode_reply(datagram)
    if seen != action:
        raise RemoteWireError(f"the reply has action {seen}, not {action}")
    if len(datagram) < record.size:
        raise RemoteWireError(f"the reply is {len(datagram)} bytes long, not at least {record.size}")


def _packed_address(ip: str | None) -> bytes:
    """Write the address that a peer claims; the field has room for IPv4 only."""
    if ip is None or not is_numeric(ip) or is_ipv6(ip):
        return _NO_ADDRESS
    return inet_pton(AF_INET, ip)


def _key_number(key: bytes | None) -> int:
    if key is None:
        return 0
    try:
        return int(key, 16) & 0xFFFFFFFF
    except ValueError as error:
        raise LocalWireError(f"key {key!r} is not a hexadecimal number") from error


def _url_options(url: bytes) -> bytes:
    """Write path and query as options of 255 bytes at most; what ends with the datagram needs no end."""
    if len(url) > MAX_URL_DATA:
        raise LocalWireError(f"path and query of {len(url)} bytes, at most {MAX_URL_DATA} fit into a datagram")
    parts = [url[at : at + _LONGEST_OPTION] for at in range(0, len(url), _LONGEST_OPTION)]
    return b"".join([bytes((_URL_DATA, len(part))) + part for part in parts])


def _hostname(datagram: bytes) -> str | None:
    """Find the host name in the query; a hint at most, so one that is none is not worth a refusal."""
    query = url_data(datagram).partition(b"?")[2]
    if b"hostname=" not in query:  # nearly all of them
        return None
    try:
        names = parse_qs(query, max_num_fields=16).get(b"hostname", [])
    except ValueError:
        return None
    return read_host(names[0]) if len(names) == 1 else None
