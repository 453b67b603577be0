"""What ``seed`` and ``download`` have in common: options of one peer, and the session they make."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import click
from attrs import evolve

from p2pshare.addresses import is_numeric, plain_host
from p2pshare.cli.exits import ABOUT
from p2pshare.cli.options import Size, Tiers, effective_trackers, trackers_option
from p2pshare.cli.state_folder import resume_folder
from p2pshare.client.announcing import TrackerDiscovery
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.clock import make_monotonic
from p2pshare.metainfo import Metainfo
from p2pshare.settings import override

_FASTEST = 1 << 40  # bytes/second: beyond any network

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Rate(Size):
    """Bytes/second, with K, M or G as sizes are written."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or end with exit code 2."""
        rate = super().convert(value, param, ctx)
        if not 1 <= rate <= _FASTEST:
            self.fail(f"{value}: from 1 byte/s to 1T is expected; without the option there is no limit", param, ctx)
        return rate


class OwnAddress(click.ParamType[str]):
    """One of the machine's own IP addresses."""

    name = "addr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it, or end with exit code 2."""
        bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        if not is_numeric(bare):
            self.fail(f"{value!r}: an IP address of this machine is expected, as 10.0.0.1 or ::1", param, ctx)
        return plain_host(bare)


def peer_options(command: _Command) -> _Command:
    """Add the options that say where a peer listens, whom it asks and how much it may move."""
    for option in (
        click.option("--limit-down", type=Rate(), metavar="RATE", help="Receive at most so many bytes/s; 500K, 2M."),
        click.option("--limit-up", type=Rate(), metavar="RATE", help="Send at most so many bytes/s."),
        click.option(
            "--bind", type=OwnAddress(), metavar="ADDR", help="Listen on this address and dial from it. Default: all."
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            metavar="PORT",
            help="Listen on this port; 0: any free one. Default: 6881-6889, or any free one.",
        ),
        trackers_option(),
    ):
        command = option(command)
    return command


def with_trackers(ctx: click.Context, content: Metainfo, own: Tiers) -> Metainfo:
    """Ask the command's own trackers besides those of the torrent; the default ones if it names none."""
    named = content.announce_tiers
    tiers = (*named, *own) if own else named or effective_trackers(ctx, ())
    return content if tiers == named else evolve(content, announce_tiers=tiers)


def open_session(reactor: Any, **options: Any) -> Session:
    """
    Build the session of one foreground transfer from its options, and open its port.

    :param options: settings of the peer; None leaves a default.
    :raise PortError: the port cannot be had.
    """
    make_monotonic(reactor)
    # Seeded by the system once: asking the system for every choice costs a system call each.
    session = Session(reactor, override(PeerSettings(), **options), Random(), resume=resume_folder())
    session.discover = TrackerDiscovery(session)
    session.listen()
    return session


def tell_about(ctx: click.Context, content: Metainfo, port: int) -> None:
    """Let every JSON object say which torrent it is about, and where we listen; even one of an early error."""
    about = {"name": content.name, "info_hash": content.info_hash.hex(), "port": port}
    ctx.meta.setdefault(ABOUT, {}).update(about)
