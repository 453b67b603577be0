"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from attrs import frozen

from p2pshare.cli.exits import JSON
from p2pshare.metainfo_links import TRACKER_SCHEMES, WEB_SEED_SCHEMES, usable_url
from p2pshare.rates import parse_duration, parse_size

_Command = TypeVar("_Command", bound=Callable[..., Any])
Tiers = tuple[tuple[str, ...], ...]


@frozen
class Defaults:
    """What stands before the command, or in the environment, and holds where the command itself says nothing."""

    trackers: Tiers = ()


def effective_trackers(ctx: click.Context, own: Tiers) -> Tiers:
    """Choose the trackers that stand nearest: the command's own, else those before it, else the environment's."""
    return own or (ctx.obj.trackers if isinstance(ctx.obj, Defaults) else ())


class Size(click.ParamType[int]):
    """Bytes, or a number with K, M or G (times 1024); rates in bytes/second are written alike."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or end with exit code 2."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.ParamType[float]):
    """Seconds, or a time such as 10m or 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or end with exit code 2."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Tier(click.ParamType[tuple[str, ...]]):
    """One tier of trackers (BEP 12): one URL, or several with commas between."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read it, or end with exit code 2."""
        if isinstance(value, tuple):
            return value
        urls = tuple(filter(None, (part.strip() for part in value.split(","))))
        if not urls:
            self.fail("a tracker URL is expected, as http://HOST:PORT/announce", param, ctx)
        for url in urls:
            if usable_url(url, TRACKER_SCHEMES) is None:
                self.fail(
                    f"{url!r}: a tracker URL starts with http://, https:// or udp:// and names a host", param, ctx
                )
        return urls


class WebSeed(click.ParamType[str]):
    """An address from which the content can be had over HTTP (BEP 19)."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it, or end with exit code 2."""
        url = usable_url(value, WEB_SEED_SCHEMES)
        if url is None:
            self.fail(f"{value!r}: a web seed starts with http:// or https:// and names a host", param, ctx)
        return url


def trackers_option(**more: Any) -> Callable[[_Command], _Command]:
    """Add ``-t``; the value is a tuple of tiers, empty when it was not given."""
    return click.option(
        "-t",
        "--tracker",
        "trackers",
        type=Tier(),
        multiple=True,
        metavar="URL[,URL]",
        help="Announce URL of a tracker. Repeat for more, in order of preference; a comma makes equals (one tier).",
        **more,
    )


def _speak_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON] = value  # errors follow suit, at the edge
    return value


def json_option(text: str) -> Callable[[_Command], _Command]:
    """Add ``--json``, explained by ``text``; from then on errors are objects as well."""
    # Eager: errors in other options come after it.
    return click.option("--json", "as_json", is_flag=True, is_eager=True, callback=_speak_json, help=text)


quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")


def examples(*lines: str) -> str:
    """Lay out examples for the end of a help text, each on its line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
