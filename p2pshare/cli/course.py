"""``p2pshare course``: what helps with the course project around its two programs."""

from __future__ import annotations

from pathlib import Path
from random import Random

import click

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.options import examples
from p2pshare.cli.terminal import printable
from p2pshare.course.check.run import run_check
from p2pshare.course.init import find_sample, init_swarm
from p2pshare.course.samples import SAMPLES

_PATH = click.Path(path_type=Path)


@click.group(
    "course",
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="The university course's swarm: try it, check its logs.",
    epilog=examples(
        "p2pshare course init small swarm && cd swarm", "StartRemotePeers --local", "p2pshare course check ."
    ),
)
def command() -> None:
    """
    Make a swarm for the course project, and check the logs of one.

    `peerProcess PEERID` is a peer of it, `StartRemotePeers` starts them all; both have their own --help.
    """


@command.command("init", epilog=examples("p2pshare course init small swarm"))
@click.argument("sample")
@click.argument("folder", type=_PATH)
def init(sample: str, folder: Path) -> None:
    """Write the swarm SAMPLE into FOLDER: local, small or large. Its seeds get a file of random bytes."""
    found = find_sample(sample)
    init_swarm(found, folder, Random())
    click.echo(f"{printable(str(folder))}: {found.what}. Start them there: StartRemotePeers --local")


init.help = f"{init.help}\n\n" + "\n\n".join(f"{name}: {sample.what}." for name, sample in SAMPLES.items())


@command.command("check", epilog=examples("p2pshare course check swarm --report swarm.html"))
@click.argument("logdir", type=_PATH)
@click.option("--report", type=_PATH, metavar="FILE.html", help="Write a page that draws which piece went where.")
def check(logdir: Path, report: Path | None) -> None:
    """
    Check the logs in LOGDIR, whoever wrote them: each by itself, and all against each other.

    Exit code 0: there is no error. 1: there is.
    """
    if run_check(logdir, report, lambda line: click.echo(printable(line))):
        raise Ended("the logs contradict the assignment, or each other", ExitCode.ERROR)
