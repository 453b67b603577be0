"""How far what was recovered can be relied on, given how the files look now."""

from __future__ import annotations

from attrs import frozen

from p2pshare.errors import StorageError
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.mounts import is_mounted
from p2pshare.storage.recovery import Recovered


@frozen
class Trust:
    """What to do with each piece of a torrent that was worked on before; those in none of the sets are missing."""

    certain: frozenset[int]  # to be had without looking
    in_doubt: frozenset[int]  # of these: to be hashed before anybody gets them, or their file its final name
    to_hash: frozenset[int]  # had only if their hash is right


def weigh(files: ContentFiles, recovered: Recovered) -> Trust:
    """
    Compare files with their signatures. What lies in a file that somebody changed is to be hashed, all of it; in
    one that only we wrote to, what was written since it was last made safe, also where the record of it is missing:
    the check leaves out what was never written.
    """
    geometry = files.geometry
    gone: set[int] = set()
    changed: set[int] = set()
    explained: set[int] = set()
    unrecorded: set[int] = set()
    for file, place in enumerate(files.places):
        if place is Place.PAD or not geometry.file_lengths[file]:
            continue
        pieces = geometry.pieces_of(file)
        if place is Place.MISSING:
            gone.update(pieces)
            continue
        verdict = recovered.explains(file, files.signatures[file], place is Place.PART)
        if verdict is None:
            explained.update(pieces)
        elif not verdict:
            changed.update(pieces)
        if place is Place.PART and not recovered.in_order:
            unrecorded.update(piece for piece in pieces if piece not in recovered.certain)
    to_hash = (changed | unrecorded | recovered.doubtful) - gone
    certain = frozenset(recovered.certain) - to_hash - gone
    return Trust(certain, certain & explained, frozenset(to_hash))


def insist_on_disk(files: ContentFiles, recovered: Recovered) -> None:
    """
    Refuse to start anew in the empty place where a disk with the content should be mounted.

    :raise StorageError: pieces were there, no file is, and the disk is not mounted.
    """
    count = recovered.certain.count
    nothing_left = all(place in (Place.MISSING, Place.PAD) for place in files.places)
    if count and nothing_left and not is_mounted(recovered.mount):
        raise StorageError(
            f"{files.folder.path}: held {count} verified pieces on a disk mounted at {recovered.mount}, and no disk "
            "is mounted there now; mount it, or choose another folder to download them again"
        )
