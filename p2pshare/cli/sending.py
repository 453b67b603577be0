"""Sending files to a service over HTTP, as they are or in a form; what an IndexClient asks is JSON."""

from __future__ import annotations

import os
from secrets import token_hex
from typing import Any, NoReturn

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from p2pshare import __version__
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.daemons.access import TOKEN_VARIABLE
from p2pshare.discovery.fetch import FAILURES, cause, read_body
from p2pshare.discovery.ready_body import ReadyBody
from p2pshare.errors import IndexRefused, TrackerUnreachable

TIMEOUT = 60.0  # s for a whole answer; a torrent file of 10 MiB may have a slow way
TORRENT = "application/x-bittorrent"

_CONNECT_TIMEOUT = 10.0  # s
_LONGEST_REPLY = 1024 * 1024  # bytes
_UNAUTHORIZED = 401
_LONGEST_REASON = 300  # characters of a refusal that are shown


@frozen
class Parcel:
    """What is sent, and what it says of itself."""

    content_type: str
    data: bytes


def form_of(field: str, filename: str, data: bytes) -> Parcel:
    """Put one file into a form (RFC 7578)."""
    boundary = token_hex(16)  # 128 bits of chance: nothing in the file looks like it
    name = "".join(char if char.isprintable() and char not in '"\\' else "_" for char in filename)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode("utf-8", "replace") + data + f"\r\n--{boundary}--\r\n".encode("ascii")
    return Parcel(f"multipart/form-data; boundary={boundary}", body)


async def send(reactor: Any, base: str, method: str, path: str, parcel: Parcel, agent: IAgent | None = None) -> Any:
    """
    Send something and give the answer, which is JSON. The user's token is sent when it is asked for.

    :param path: may be put into a URL as it is.
    :raise Ended: nobody answered, or not in time; or a token is needed.
    :raise IndexRefused: it was not taken.
    """
    clock: IReactorTime = reactor
    agent = _agent(reactor) if agent is None else agent
    token = None
    while True:
        sending = Deferred.fromCoroutine(_send(agent, base, method, path, parcel, token))
        try:
            return await sending.addTimeout(TIMEOUT, clock, lambda _, seconds: _too_slow(base, seconds))
        except IndexRefused as error:
            ours = own_token()
            if error.status != _UNAUTHORIZED:
                raise
            if token is not None or ours is None:
                raise Ended(f"{base}: {error}; name its token in {TOKEN_VARIABLE}", ExitCode.ERROR) from error
            token = ours


def own_token() -> str | None:
    """Give the token that the user named for services of their own."""
    return os.environ.get(TOKEN_VARIABLE) or None


def _agent(reactor: Any) -> IAgent:
    agent: IAgent = Agent(reactor, connectTimeout=_CONNECT_TIMEOUT)
    return agent


async def _send(agent: IAgent, base: str, method: str, path: str, parcel: Parcel, token: str | None) -> Any:
    headers = Headers({"User-Agent": [f"p2pshare/{__version__}"], "Accept": ["application/json"]})
    headers.setRawHeaders("Content-Type", [parcel.content_type])
    headers.setRawHeaders("Accept-Encoding", ["identity"])
    if token is not None:
        headers.setRawHeaders("Authorization", [f"Bearer {token}"])
    try:
        response = await agent.request(
            method.encode(), f"{base}{path}".encode("ascii"), headers, ReadyBody(parcel.data)
        )
        data = await read_body(response, _LONGEST_REPLY)
    except TrackerUnreachable as error:
        raise Ended(f"{base}: {error}", ExitCode.NOBODY_FOUND) from error
    except FAILURES as error:
        raise Ended(f"{base}: {cause(error, base)}", ExitCode.NOBODY_FOUND) from error
    reply = _decoded(data)
    if response.code >= 400:
        raise IndexRefused(_reason(reply, response.code), response.code)
    return reply


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _reason(reply: Any, status: int) -> str:
    text = (reply.get("error") or reply.get("detail")) if isinstance(reply, dict) else None
    return text[:_LONGEST_REASON] if isinstance(text, str) else f"answered {status}"


def _too_slow(base: str, seconds: float) -> NoReturn:
    raise Ended(f"{base}: no complete answer within {seconds:g} s", ExitCode.NOBODY_FOUND)
