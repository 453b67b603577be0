"""Services that commands ask, answering from memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import asking
from p2pshare.cli.asking import INDEX_VARIABLE
from p2pshare.cli.node import CONTROL_VARIABLE
from p2pshare.daemons.access import TOKEN_VARIABLE
from p2pshare.errors import IndexRefused

BASE = "http://index.example:8000"


@define(eq=False)
class FakeService:
    """Answers each path from ``answers``: a value, an error to raise, or what makes one of the query."""

    answers: dict[str, Any] = field(factory=dict)
    token: str | None = None  # that it wants to see; None: none
    base: str = BASE
    shown: str | None = None  # the token of whoever asks
    asked: list[tuple[str, str, Mapping[str, object]]] = field(factory=list)
    closed: int = 0

    async def ask(self, method: str, path: str, *, query: Mapping[str, object] | None = None, **rest: object) -> Any:
        """Answer, as an IndexClient does."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        self.asked.append((method, path, given))
        if self.token is not None and self.shown != self.token:
            raise IndexRefused("token missing or wrong", 401)
        answer = self.answers.get(path, IndexRefused("nothing here", 404))
        if isinstance(answer, Exception):
            raise answer
        return answer(given) if callable(answer) else answer

    async def fetch(self, method: str, path: str, **rest: Any) -> bytes:
        """Answer with bytes."""
        data: bytes = await self.ask(method, path)
        return data

    def close(self) -> Deferred[None]:
        """Count how often it was left."""
        self.closed += 1
        return succeed(None)


def run_now(test: SynchronousTestCase, reactor: Any = None) -> Callable[[Any], Any]:
    """Make what runs a task without any reactor: it has to end at once."""

    def run(task: Any) -> Any:
        running = Deferred.fromCoroutine(task(reactor))
        results: list[Any] = []
        running.addBoth(results.append)
        test.assertTrue(results, "the task still waits for something")
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    return run


def serve(test: SynchronousTestCase, service: FakeService, *modules: Any) -> None:
    """Let commands ask this service, whichever they name."""

    def make(reactor: Any, base: str, token: str | None = None) -> FakeService:
        service.base, service.shown = base, token
        return service

    for variable in (INDEX_VARIABLE, CONTROL_VARIABLE, TOKEN_VARIABLE):  # those of whoever runs the tests
        value = os.environ.pop(variable, None)
        if value is not None:
            test.addCleanup(os.environ.__setitem__, variable, value)
    test.patch(asking, "make_index_client", make)
    for module in (asking, *modules):
        test.patch(module, "run", run_now(test))


def a_file(**more: Any) -> dict[str, Any]:
    """Describe a file as an index does."""
    return {
        "id": "00112233445566aa",
        "filename": "song.mp3",
        "size": 2048,
        "hash": "ab" * 32,
        "category": "audio",
        "tags": ["music"],
        "owner": "node-1",
        "peer_address": "10.0.0.7:9001",
        "downloads": 3,
        "rating": 0.0,
        "info_hash": None,
        **more,
    }


def a_torrent(**more: Any) -> dict[str, Any]:
    """Describe a torrent as a REST tracker does."""
    return {
        "id": 1,
        "info_hash": "cd" * 20,
        "name": "disk.img",
        "file_size": 1 << 20,
        "piece_length": 262144,
        "num_pieces": 4,
        "seeders": 2,
        "leechers": 1,
        "completed": 7,
        **more,
    }


def a_node(**more: Any) -> dict[str, Any]:
    """Describe a node as an index does."""
    return {
        "id": "node-1",
        "address": "10.0.0.7",
        "port": 9001,
        "last_seen": "2026-01-02T03:04:05.678901Z",
        "is_online": True,
        "reputation": 0,
        "shared_files": 12,
        "region": "",
        **more,
    }
