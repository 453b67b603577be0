"""``peerProcess PEERID``: one peer of a course swarm, from its start until all peers have the file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import click
from twisted.internet.defer import CancelledError

from p2pshare.cli.course_edge import Program
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.notices import show_warnings
from p2pshare.cli.options import Seconds, examples
from p2pshare.cli.running import run
from p2pshare.course.config import Common, PeerInfo
from p2pshare.course.event_log import open_event_log
from p2pshare.course.layout import check_start, read_config
from p2pshare.course.networking import TCPEndpoints
from p2pshare.course.process import CourseProcess, NeighborGone
from p2pshare.course.roll_call import ABSENCE
from p2pshare.plugins import find_function
from p2pshare.policy.rankings import RANKINGS
from p2pshare.policy.strategies import STRATEGIES
from p2pshare.storage.workers import Workers

GRACE = 2  # unchoking intervals


@click.command(
    "peerProcess",
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("peerProcess 1001", "peerProcess 1002 --grace 30"),
)
@click.argument("peer_id", metavar="PEERID", type=click.IntRange(0, 2**32 - 1))
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The working folder, with Common.cfg and PeerInfo.cfg. Default: here.",
)
@click.option(
    "--grace",
    type=Seconds(),
    help="How long a neighbor that left without the file is waited for, once all others have it. "
    "Default: two unchoking intervals.",
)
@click.option(
    "--wait",
    type=Seconds(),
    default=f"{ABSENCE:g}",
    help="How long a neighbor that has never come is waited for; 0: as long as it takes. Default: 10 minutes.",
)
@click.option(
    "--choker",
    default="fastest",
    show_default=True,
    metavar="NAME",
    help="How neighbors are preferred: fastest (the assignment's), proportional, or one that is installed.",
)
@click.option(
    "--picker",
    default="random",
    show_default=True,
    metavar="NAME",
    help="Which piece to ask for next: random (the assignment's), rarest, first, sequential, or one that is installed.",
)
def command(peer_id: int, folder: Path, grace: float | None, wait: float, choker: str, picker: str) -> None:
    """
    Take part in the swarm of this folder as the peer PEERID, until all peers have the file.

    The file is in peer_PEERID/, the log in log_peer_PEERID.log. Exit code 0: everybody has the file. 3: a neighbor
    was lost for good, or with it a piece; 1: an error, 2: something is wrong with the configuration.
    """
    common, info = read_config(folder)
    check_start(folder, common, info.of(peer_id))
    rank, pick = find_function("choker", RANKINGS, choker), find_function("picker", STRATEGIES, picker)
    show_warnings()
    patience = GRACE * common.unchoking_interval if grace is None else grace
    how: dict[str, Any] = {"grace": patience, "wait": wait or None, "picker": pick, "rank": rank}
    run(lambda reactor: take_part(reactor, folder, common, info, peer_id, **how))


async def take_part(reactor: Any, folder: Path, common: Common, info: PeerInfo, own: int, **how: Any) -> None:
    """
    Be one peer, until it is over or this is cancelled; then leave in order.

    :param how: what a CourseProcess can be told about grace and strategies.
    :raise Ended: a neighbor is gone for good.
    :raise P2PShareError: it cannot go on: the port is taken, the disk refuses.
    """
    log = open_event_log(folder, own, datetime.now)
    workers = Workers(reactor, name="course")
    process = CourseProcess(
        *(common, info, own, folder, reactor, TCPEndpoints(reactor), Random(), workers.run, log), **how
    )
    try:
        process.start()
        await process.finished
    except NeighborGone as error:
        raise Ended(str(error), ExitCode.TIMED_OUT) from error
    except CancelledError:
        await process.leave()
        raise
    finally:
        await workers.stop()
