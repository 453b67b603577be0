"""What the tests of commands work on: a small content and its torrent, and a way to run commands."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from click.testing import CliRunner, Result

from p2pshare.cli.command_line import cli
from p2pshare.metainfo import Metainfo, dump
from p2pshare.storage.create import CreateSettings, create

TRACKER = "http://tracker.example:8000/announce"

OWN_SETTINGS = ("P2PSHARE_TRACKER", "P2PSHARE_INDEX", "P2PSHARE_CONTROL", "P2PSHARE_TOKEN")  # of whoever runs the tests


def run(*arguments: str | os.PathLike[str], env: dict[str, str | None] | None = None) -> Result:
    """Run ``p2pshare`` with these arguments, as the shell would, without the environment's own settings."""
    return CliRunner(env={**dict.fromkeys(OWN_SETTINGS), **(env or {})}).invoke(
        cli, [os.fspath(argument) for argument in arguments], prog_name="p2pshare"
    )


def objects(result: Result) -> list[dict[str, object]]:
    """Read what a command wrote as JSON lines."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def content(folder: Path, name: str = "photos", size: int = 50_000) -> Path:
    """Write a folder with two files of random bytes, an empty one and one further down."""
    root = folder / name
    (root / "deep").mkdir(parents=True)
    random = Random(0)
    (root / "a.bin").write_bytes(random.randbytes(size))
    (root / "b.bin").write_bytes(random.randbytes(size // 2))
    (root / "empty").touch()
    (root / "deep" / "c.txt").write_text("hello")
    return root


def torrent_of(path: Path, tiers: Sequence[Sequence[str]] = ((TRACKER,),)) -> tuple[Path, Metainfo]:
    """Make the torrent of a content and save it beside it."""
    settings = CreateSettings(
        announce_tiers=tuple(map(tuple, tiers)), comment="for tests", creation_date=0, piece_length=16384
    )
    metainfo = create(path, settings, threads=1)
    file = path.parent / f"{path.name}.torrent"
    file.write_bytes(dump(metainfo))
    return file, metainfo
