"""``p2pshare verify``: compare content on disk with its torrent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import click

from p2pshare.cli.exits import JSON
from p2pshare.cli.hashing import Hashing
from p2pshare.cli.options import examples, json_option, quiet_option
from p2pshare.cli.progress import Mode, make_progress
from p2pshare.cli.terminal import printable, write_json
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.errors import VerificationFailed
from p2pshare.metainfo import Metainfo
from p2pshare.storage.verify import VerifyReport, check_data

_RANGES_SHOWN = 10  # of bad pieces; --json has them all


@click.command(
    "verify",
    short_help="Compare content with its torrent.",
    epilog=examples(
        "p2pshare verify big.iso.torrent ~/Downloads", "p2pshare verify big.iso.torrent renamed.iso --json"
    ),
)
@click.argument("file", metavar="FILE")
@click.argument("path", metavar="[PATH]", default=".")
@json_option("Print one JSON object with all that was found.")
@quiet_option
@click.pass_context
def command(ctx: click.Context, file: str, path: str, as_json: bool, quiet: bool) -> None:
    """
    Check that the content at PATH is what the torrent FILE describes, byte for byte.

    PATH is the content itself or the folder that holds it; the current folder if not given. Nothing is changed on disk.
    Exits with 0 if all is right, and with 6 if not, after naming what is wrong.
    """
    metainfo = read_torrent(file)
    progress = make_progress(Mode.QUIET if as_json or quiet else Mode.PEOPLE, sys.stderr, transient=True)
    with Hashing(progress, metainfo.name, "verifying", metainfo.piece_length, metainfo.info_hash.hex()) as shown:
        report = check_data(metainfo, path, shown)
    if as_json:
        write_json(_as_object(metainfo, report))
        ctx.meta[JSON] = False  # this was the one object; what is wrong is said for people only
    elif not quiet:
        for line in _faults(metainfo, report):
            click.echo(printable(line))
    if not report.is_complete:
        raise VerificationFailed(f"{metainfo.name}: {_summary(report)}")
    if not (as_json or quiet):
        click.echo(f"{printable(metainfo.name)}: complete, all {report.num_pieces} pieces are right")


def _as_object(metainfo: Metainfo, report: VerifyReport) -> dict[str, object]:
    return {
        "name": metainfo.name,
        "info_hash": metainfo.info_hash.hex(),
        "complete": report.is_complete,
        "pieces_done": report.good.count,
        "pieces_total": report.num_pieces,
        "bad_pieces": list(report.bad()),
        "missing_files": report.missing,
        "wrong_size": [{"path": e.path, "expected": e.expected, "found": e.found} for e in report.wrong_size],
        "unreadable": report.unreadable,
        "damaged_files": list(_damaged(metainfo, report)),
    }


def _faults(metainfo: Metainfo, report: VerifyReport) -> Iterator[str]:
    """Say what is wrong with which file, one a line."""
    for path in report.missing:
        yield f"missing     {path}"
    for entry in report.wrong_size:
        yield f"wrong size  {entry.path}: {entry.found:,} bytes, not {entry.expected:,}"
    for problem in report.unreadable:
        yield f"unreadable  {problem}"
    for path in _damaged(metainfo, report):
        yield f"damaged     {path}"


def _damaged(metainfo: Metainfo, report: VerifyReport) -> Iterator[str]:
    """Name files that are there and of the right size, but have bytes in a bad piece."""
    touched = {file for piece in report.bad() for file in metainfo.geometry.files_of(piece)}
    explained = {*report.missing, *(entry.path for entry in report.wrong_size)}
    unreadable = {problem.rpartition(": ")[0] for problem in report.unreadable}
    for file in sorted(touched):
        entry = metainfo.files[file]
        if not entry.pad and str(entry) not in explained | unreadable:
            yield str(entry)


def _summary(report: VerifyReport) -> str:
    bad = list(report.bad())
    if not bad:
        return "all pieces are right, but not all files"
    ranges = [f"{first}-{last}" if last > first else str(first) for first, last in _ranges(bad)]
    shown = ", ".join(ranges[:_RANGES_SHOWN])
    more = f" and {len(ranges) - _RANGES_SHOWN} more" if len(ranges) > _RANGES_SHOWN else ""
    return f"{len(bad)} of {report.num_pieces} pieces are wrong or missing ({shown}{more})"


def _ranges(indices: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Join consecutive indices."""
    first = last = None
    for index in indices:
        if first is None or last is None:
            first = index
        elif index != last + 1:
            yield first, last
            first = index
        last = index
    if first is not None and last is not None:
        yield first, last
