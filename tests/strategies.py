"""Values of the field for hypothesis to make up."""

from __future__ import annotations

from hypothesis import strategies as st

from p2pshare.addresses import Address, plain_host
from p2pshare.bitfield import Bitfield
from p2pshare.geometry import Geometry

int64s = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)

# What bencoding.decode may return.
bencode_values = st.recursive(
    int64s | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.binary(max_size=12), inner, max_size=6),
    max_leaves=30,
)

# Bytes made of the pieces of bencoding: far likelier to get deep into a parser than random ones.
bencode_fragments = st.lists(
    st.sampled_from(
        b"d l e i 0 1 2 3 9 : - + 0: 1:a 1:b 2:ab i0e i-1e i00e le de 99999999999: i9223372036854775808e".split()
    )
    | st.binary(max_size=2),
    max_size=24,
).map(b"".join)


@st.composite
def bitfields(draw: st.DrawFn, max_size: int = 70) -> Bitfield:
    """Make a field of some pieces, some of them set."""
    size = draw(st.integers(min_value=0, max_value=max_size))
    bits = Bitfield(size)
    if size:
        for index in draw(st.sets(st.integers(min_value=0, max_value=size - 1))):
            bits.add(index)
    return bits


@st.composite
def geometries(draw: st.DrawFn, max_files: int = 12) -> Geometry:
    """Make a torrent of small pieces, so that files and pieces overlap in every way; it has at least one byte."""
    lengths = draw(st.lists(st.integers(min_value=0, max_value=90), min_size=1, max_size=max_files).filter(any))
    pads = draw(st.frozensets(st.integers(min_value=0, max_value=len(lengths) - 1)))
    return Geometry(draw(st.integers(min_value=1, max_value=50)), tuple(lengths), pads)


ports = st.integers(min_value=1, max_value=65535)
ipv4_addresses = st.builds(Address, st.ip_addresses(v=4).map(str), ports)
ipv6_addresses = st.builds(Address, st.ip_addresses(v=6).map(str).map(plain_host).filter(lambda h: ":" in h), ports)
