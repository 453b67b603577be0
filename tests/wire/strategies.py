"""Hypothesis strategies for what peers say."""

from __future__ import annotations

from hypothesis import strategies as st

from p2pshare.wire import messages

NUM_PIECES = 20  # of the torrent these messages are about; its bitfield has 4 spare bits

_uint32 = st.integers(0, 2**32 - 1)
_indices = st.integers(0, NUM_PIECES - 1)
_blocks = (_uint32, _uint32, _uint32)
_ids = st.dictionaries(st.binary(max_size=64), st.integers(1, 255), max_size=5)
_printable = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=64)

bitfields = st.builds(lambda bits: messages.Bitfield((bits << 4).to_bytes(3, "big")), st.integers(0, 2**NUM_PIECES - 1))
holdings = st.one_of(bitfields, st.just(messages.HaveAll()), st.just(messages.HaveNone()))
extended_handshakes = st.builds(
    messages.ExtendedHandshake,
    ids=_ids,
    version=st.none() | _printable,
    port=st.none() | st.integers(1, 65535),
    reqq=st.none() | st.integers(1, 2**31 - 1),
    yourip=st.none() | st.sampled_from(["192.0.2.7", "2001:db8::7"]),
    upload_only=st.booleans(),
    metadata_size=st.none() | st.integers(1, 4 * 1024 * 1024),
)
asides = st.one_of(
    st.just(messages.KeepAlive()),
    st.builds(messages.Port, st.integers(0, 65535)),
    st.builds(messages.Extended, st.integers(1, 255), st.binary(max_size=40)),
    extended_handshakes,
)
talk = st.one_of(
    st.sampled_from([messages.Choke(), messages.Unchoke(), messages.Interested(), messages.NotInterested()]),
    st.builds(messages.Have, _indices),
    st.builds(messages.Request, *_blocks),
    st.builds(messages.Piece, _uint32, _uint32, st.binary(max_size=40)),
    st.builds(messages.Cancel, *_blocks),
    st.builds(messages.Suggest, _indices),
    st.builds(messages.Reject, *_blocks),
    st.builds(messages.AllowedFast, _indices),
)
any_message = st.one_of(asides, holdings, talk)
# All a peer may say after its handshake, in an allowed order.
conversations = st.builds(
    lambda before, holding, after: [*before, *holding, *after],
    st.lists(asides, max_size=3),
    st.lists(holdings, max_size=1),
    st.lists(asides | talk, max_size=8),
)
