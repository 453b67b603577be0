"""What two connected peers can say to each other, as plain values (BEP 3, 5, 6 and 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen


@frozen
class KeepAlive:
    """Nothing to say, but still here."""


@frozen
class Choke:
    """Your requests are not answered from now on."""


@frozen
class Unchoke:
    """Your requests are answered from now on."""


@frozen
class Interested:
    """You have pieces I want."""


@frozen
class NotInterested:
    """You have nothing I want."""


@frozen
class Have:
    """I now hold, verified, one more piece."""

    index: int


@frozen
class Bitfield:
    """The pieces I hold: one bit each, high bit of the first byte first, spare bits zero."""

    bits: bytes


@frozen
class Request:
    """Send me this block. Unpacks like the ledger's ``(piece, begin, length)``, as Cancel and Reject do."""

    index: int
    begin: int
    length: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.index, self.begin, self.length))


@frozen
class Piece:
    """
    One block of a piece.

    Received, ``data`` is a view of the bytes just read, good only until the next message is taken: copy
    it to where it stays.
    """

    index: int
    begin: int
    data: bytes | memoryview


@frozen
class Cancel:
    """I no longer want a block I requested."""

    index: int
    begin: int
    length: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.index, self.begin, self.length))


@frozen
class Port:
    """My DHT node listens on this UDP port (BEP 5)."""

    port: int


@frozen
class Suggest:
    """This piece is cheap for me to send just now (BEP 6)."""

    index: int


@frozen
class HaveAll:
    """I hold every piece: says it shorter than a bitfield (BEP 6)."""


@frozen
class HaveNone:
    """I hold no piece (BEP 6)."""


@frozen
class Reject:
    """This request of yours will not be answered (BEP 6)."""

    index: int
    begin: int
    length: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.index, self.begin, self.length))


@frozen
class AllowedFast:
    """You may request this piece even while choked (BEP 6)."""

    index: int


@frozen(kw_only=True)
class ExtendedHandshake:
    """
    What a peer tells about itself and the extensions it takes (BEP 10); None where it said nothing usable.

    ``wire/extended.py`` reads and writes it.
    """

    ids: Mapping[bytes, int] = field(factory=dict)  # extension name -> the id (1-255) we put on messages to it
    version: str | None = None  # name and version of its program, for people: at most 64 printable characters
    port: int | None = None  # where it listens
    reqq: int | None = None  # how many requests it lets wait before it drops some
    yourip: str | None = None  # our address as it sees it
    upload_only: bool = False  # it downloads nothing more (BEP 21)
    metadata_size: int | None = None  # bytes of the info dictionary it can send (BEP 9)


@frozen
class Extended:
    """A message of an extension; the id is the one its receiver chose in its handshake (BEP 10)."""

    id: int
    payload: bytes


@frozen
class Unknown:
    """A message nobody here understands. Some extension's; it is passed over."""

    id: int


Message = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Piece
    | Cancel
    | Port
    | Suggest
    | HaveAll
    | HaveNone
    | Reject
    | AllowedFast
    | ExtendedHandshake
    | Extended
    | Unknown
)
