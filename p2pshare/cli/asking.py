"""Asking a service over HTTP for one command: which one, with which token, and how it ends when nobody answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

import click
import msgspec
from twisted.internet.defer import Deferred

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.options import Tiers, effective_trackers
from p2pshare.cli.running import run
from p2pshare.daemons.access import TOKEN_VARIABLE
from p2pshare.discovery.index_client import index_url, make_index_client
from p2pshare.errors import ConfigError, IndexRefused, IndexUnreachable

INDEX_VARIABLE = "P2PSHARE_INDEX"
DEFAULT_INDEX = "http://127.0.0.1:8000"

_UNAUTHORIZED = 401
_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Service(Protocol):
    """What is asked; an IndexClient. Fails with IndexRefused when it said no, IndexUnreachable when it said nothing."""

    @property
    def base(self) -> str:
        """Its URL."""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask for JSON."""

    async def fetch(self, method: str, path: str, *, query: Mapping[str, object] | None = None) -> bytes:
        """Ask for bytes."""


class ServiceURL(click.ParamType[str]):
    """Where a service is; the path does not matter."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it, or end with exit code 2."""
        try:
            return index_url(value)
        except ConfigError as error:
            self.fail(str(error).removeprefix("index: "), param, ctx)


def index_option(command: _Command) -> _Command:
    """Add ``--index``; see :func:`chosen_index` for what holds without it."""
    return click.option(
        "--index",
        "index",
        type=ServiceURL(),
        envvar=INDEX_VARIABLE,
        show_envvar=True,
        metavar="URL",
        help=f"The index to ask. Default: where the tracker of -t is, else {DEFAULT_INDEX}.",
    )(command)


def chosen_index(ctx: click.Context, own: str | None, trackers: Tiers = ()) -> str:
    """
    Choose the index that was named, else the one that comes with the first HTTP tracker that was.

    :param trackers: the command's own.
    """
    if own is not None:
        return own
    for tier in effective_trackers(ctx, trackers):
        for url in tier:
            if url.lower().startswith(("http://", "https://")):
                return index_url(url)
    return DEFAULT_INDEX


def ask(base: str, task: Callable[[Service], Coroutine[Deferred[Any], Any, _Result]]) -> _Result:
    """
    Run the reactor while a task asks one service. Once in a process.

    :raise Ended: nobody answers there, or a token is needed.
    """
    return run(lambda reactor: answered(reactor, base, task))


async def answered(
    reactor: Any, base: str, task: Callable[[Service], Coroutine[Deferred[Any], Any, _Result]]
) -> _Result:
    """
    Await what a task finds out at one service.

    The user's token goes to services that ask for one, and to no other: what is public needs none.
    """
    token = None
    while True:
        client = make_index_client(reactor, base, token)
        try:
            return await task(client)
        except IndexUnreachable as error:
            raise Ended(str(error), ExitCode.NOBODY_FOUND) from error
        except IndexRefused as error:
            ours = os.environ.get(TOKEN_VARIABLE)
            if error.status != _UNAUTHORIZED:
                raise
            if token is not None or not ours:
                raise Ended(f"{base}: {error}; name its token in {TOKEN_VARIABLE}", ExitCode.ERROR) from error
            token = ours
        finally:
            await client.close()


def read(reply: object, shape: type[_Result], service: Service, what: str) -> _Result:
    """
    Read an answer.

    :param what: it should be, for people.
    :raise IndexUnreachable: it is something else.
    """
    try:
        return msgspec.convert(reply, shape)
    except msgspec.ValidationError as error:
        raise IndexUnreachable(f"{service.base}: what it answers is no {what}: {error}") from None
