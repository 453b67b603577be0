"""Judging a piece of which every block has arrived."""

from __future__ import annotations

from hashlib import sha1

from attrs import field, frozen

from p2pshare.geometry import BLOCK_SIZE

# Digests only tell two versions of one block apart; of SHA-1 this much is plenty for that.
_DIGEST_SIZE = 8


@frozen
class Sealed:
    """
    What became of an assembled piece.

    ``digests`` tells its blocks apart, one per block in order, so that whoever sent a bad one can be found. Always
    there when the piece is wrong; when it is right, only if asked for.
    """

    piece: int
    ok: bool  # the hash is right, and the piece is on disk
    digests: list[bytes] = field(factory=list)


def judge(piece: int, content: memoryview, expected: bytes, *, digests: bool) -> Sealed:
    """Compare the hash of a whole piece with the torrent's."""
    ok = sha1(content).digest() == expected
    return Sealed(piece, ok, [] if ok and not digests else block_digests(content))


def block_digests(content: memoryview) -> list[bytes]:
    """Digest every block of a piece."""
    return [
        sha1(content[begin : begin + BLOCK_SIZE]).digest()[:_DIGEST_SIZE]
        for begin in range(0, len(content), BLOCK_SIZE)
    ]
