"""
Which pieces of a torrent are right on disk, found out with hashlib and nothing of ours.

    python tests/system/independent.py FILE.torrent FOLDER
"""

import hashlib
import sys
from pathlib import Path
from typing import Any


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Read one bencoded value that is known to be good; also tell where it ends."""
    if data[at : at + 1] in (b"l", b"d"):
        items, end = [], at + 1
        while data[end : end + 1] != b"e":
            item, end = decode(data, end)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if data[at : at + 1] == b"d" else items), end + 1
    if data[at : at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    start = data.index(b":", at) + 1
    end = start + int(data[at : start - 1])
    return data[start:end], end


def right_pieces(torrent: bytes, folder: Path) -> set[int]:
    """Hash everything below the folder, unfinished files under the names they have."""
    info = decode(torrent)[0][b"info"]
    size, hashes, content = info[b"piece length"], info[b"pieces"], b""
    for file in info[b"files"]:
        path = folder.joinpath(info[b"name"].decode(), *(part.decode() for part in file[b"path"]))
        found = next((place for place in (path, path.with_name(path.name + ".part")) if place.exists()), None)
        content += (b"" if found is None else found.read_bytes())[: file[b"length"]].ljust(file[b"length"], b"\0")
    digests = [hashlib.sha1(content[begin : begin + size]).digest() for begin in range(0, len(content), size)]
    return {index for index, digest in enumerate(digests) if digest == hashes[20 * index : 20 * index + 20]}


if __name__ == "__main__":
    print(*sorted(right_pieces(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]))))
