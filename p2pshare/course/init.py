"""``course init``: write a swarm's configuration and the file that its seeds share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from p2pshare.course.config import COMMON, PEER_INFO, write_common, write_peer_info
from p2pshare.course.layout import peer_folder
from p2pshare.course.samples import SAMPLES, Sample
from p2pshare.errors import ConfigError, StorageError

_RUN = 1024 * 1024  # bytes made up at once


def find_sample(name: str) -> Sample:
    """
    Find a swarm by its name.

    :raise ConfigError: there is none of that name.
    """
    if name not in SAMPLES:
        raise ConfigError(f"swarm {name!r}, expected one of {', '.join(SAMPLES)}")
    return SAMPLES[name]


def init_swarm(sample: Sample, folder: Path, random: Random) -> None:
    """
    Write ``Common.cfg``, ``PeerInfo.cfg``, and for each seed its folder with the file, of bytes drawn at random.

    Nothing is written over: whoever has a swarm here already keeps it.

    :raise StorageError: a file is there already, or cannot be written.
    """
    paths = [peer_folder(folder, peer.id) / sample.common.file_name for peer in sample.info.peers if peer.has_file]
    texts = {COMMON: write_common(sample.common), PEER_INFO: write_peer_info(sample.info)}
    for path in (*(folder / name for name in texts), *paths):
        if path.exists():
            raise StorageError(f"{path}: is there already, expected a folder without a swarm")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="ascii", newline="\n")
        state = random.getstate()
        for path in paths:
            random.setstate(state)  # every seed has the same file
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                for run in _content(sample.common.file_size, random):
                    file.write(run)
    except OSError as error:
        raise StorageError(f"{error.filename or folder}: {error.strerror}") from error


def _content(size: int, random: Random) -> Iterator[bytes]:
    while size:
        run = min(size, _RUN)
        yield random.randbytes(run)
        size -= run
