"""What ``seed`` and ``download`` have in common: options of one peer, and the session they make."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import click

from p2pshare.cli.options import Size
from p2pshare.client.announcing import TrackerDiscovery
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.clock import make_monotonic
from p2pshare.settings import override

_Command = TypeVar("_Command", bound=Callable[..., Any])


def peer_options(command: _Command) -> _Command:
    """Add the options that say where a peer listens and how much it may move."""
    for option in (
        click.option("--limit-down", type=Size(), metavar="RATE", help="Receive at most so many bytes/s; 500K, 2M."),
        click.option("--limit-up", type=Size(), metavar="RATE", help="Send at most so many bytes/s."),
        click.option("--bind", metavar="ADDR", help="Listen on this address and dial from it. Default: all."),
        click.option(
            "--port", type=click.IntRange(0, 65535), help="Listen on this port. Default: 6881-6889, or any free one."
        ),
    ):
        command = option(command)
    return command


def make_session(reactor: Any, **options: Any) -> Session:
    """Build the session of one foreground transfer from its options; None leaves a default."""
    make_monotonic(reactor)
    # Seeded by the system once: asking the system for every choice costs a system call each.
    session = Session(reactor, override(PeerSettings(), **options), Random())
    session.discover = TrackerDiscovery(session)
    return session
