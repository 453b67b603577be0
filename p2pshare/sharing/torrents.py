"""The torrent of a shared file: the same for all who share it, so that they are one swarm."""

from __future__ import annotations

import hashlib

from p2pshare import bencoding
from p2pshare.errors import MetainfoError
from p2pshare.metainfo import Metainfo, compose, parse
from p2pshare.sharing.shelf import SharedFile
from p2pshare.storage.signatures import Signature


def info_of(file: SharedFile) -> bytes:
    """
    Write the info dictionary of a file (BEP 3): its last name, its length, its pieces, and nothing else.

    The piece length follows from the size, so two who have the same file under the same name have the same torrent.
    """
    digest = file.digest
    fields = {
        "length": file.size,
        "name": file.filename,
        "piece length": digest.piece_length,
        "pieces": digest.pieces,
    }
    return bencoding.encode(fields)


def info_hash_of(file: SharedFile) -> bytes | None:
    """Name the torrent of a file; None: it is empty, and there is nothing to fetch."""
    return hashlib.sha1(info_of(file)).digest() if file.size else None


def torrent_of(file: SharedFile, announce: str | None = None) -> Metainfo:
    """
    Make the torrent of a file that is not empty.

    :param announce: the tracker's URL, for whoever gets the torrent.
    :raise MetainfoError: it would be larger than anybody reads.
    """
    if not file.size:
        raise MetainfoError(f"{file.name}: empty, and a torrent needs something to fetch")
    return parse(compose(info_of(file), announce_tiers=((announce,),) if announce else ()))


def signature_of(file: SharedFile) -> Signature:
    """Tell how the file looked when its pieces were hashed."""
    stamp = file.digest.stamp
    return Signature(stamp.size, stamp.modified, stamp.inode)
