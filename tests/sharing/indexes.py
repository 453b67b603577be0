"""An index that nodes talk to, with a fake clock and everything that can happen to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from p2pshare.errors import IndexRefused, IndexUnreachable


@define(eq=False)
class FakeIndex:
    """Keeps nodes and files as the real one does, and writes down when it was asked what."""

    now: Callable[[], float]
    is_up: bool = True
    takes_at_once: int = 1
    knows_goodbyes: bool = True
    renames_to: str | None = None  # the id it gives, whatever the node wants
    hangs: bool = False  # takes questions and never answers
    loses_answers: bool = False  # does what it is asked, but nobody hears so
    our_host: str | None = None
    refusals: dict[str, IndexRefused] = field(factory=dict)  # by the path, or by the name of a file
    answers: dict[str, object] = field(factory=dict)  # instead of its own, by path
    asked: list[tuple[float, str, Any]] = field(factory=list)
    nodes: dict[str, Mapping[str, Any]] = field(factory=dict)
    files: dict[str, dict[str, Any]] = field(factory=dict)  # by id
    hanging: list[Deferred[Any]] = field(factory=list)

    async def ask(self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        self.asked.append((self.now(), path, body if headers is None else dict(headers)))
        if not self.is_up:
            raise IndexUnreachable("http://index.test: connection refused")
        self.our_host = "10.0.0.7"
        if self.hangs:
            self.hanging.append(Deferred())
            await self.hanging[-1]
        if path in self.refusals:
            raise self.refusals[path]
        answer = self._answer(path, body, headers)
        if self.loses_answers:
            raise IndexUnreachable("http://index.test: the connection was closed")
        return self.answers.get(path, answer)

    def forget(self) -> None:
        """Lose everything, as one that has begun anew."""
        self.nodes.clear()
        self.files.clear()

    def names(self) -> list[str]:
        """Name the files that are listed."""
        return sorted(name for file in self.files.values() for name in file["names"])

    def times(self, path: str) -> list[float]:
        """Tell when a path was asked for."""
        return [round(when, 6) for when, asked, _ in self.asked if asked == path]

    def _answer(self, path: str, body: Any, headers: Mapping[str, str] | None) -> Any:
        if path == "/api/v1/stats":
            return {}
        if path == "/api/v1/peers/register":
            given = self.renames_to or body["id"]
            self.nodes[given] = body
            return {"status": "success", "peer_id": given, "files_at_once": self.takes_at_once}
        if path == "/api/v1/peers/heartbeat":
            assert headers is not None
            if headers["X-Peer-ID"] not in self.nodes:
                raise IndexRefused("Peer not found", 404)
            return None
        if path == "/api/v1/peers/offline" and self.knows_goodbyes:
            return None
        if path == "/api/v1/files/register":
            return {"file_id": self._list(body)}
        if path == "/api/v1/files/register_all":
            return {"results": [self._list_one(body, file) for file in body["files"]]}
        if path == "/api/v1/files/unregister":
            return self._unlist(body)
        raise IndexRefused("nothing here", 404)

    def _list(self, body: Mapping[str, Any]) -> str:
        if body["filename"] in self.refusals:
            raise self.refusals[body["filename"]]
        file_id = f"{body['hash']} of {body['owner']}"
        names = self.files[file_id]["names"] if file_id in self.files else []
        self.files[file_id] = {**body, "names": list(dict.fromkeys([*names, body["filename"]]))}
        return file_id

    def _list_one(self, body: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, str]:
        try:
            file_id = self._list({"owner": body["owner"], "peer_address": body["peer_address"], **file})
            return {"file_id": file_id, "error": ""}
        except IndexRefused as error:
            return {"file_id": "", "error": str(error)}

    def _unlist(self, body: Mapping[str, Any]) -> Any:
        for file_id, file in self.files.items():
            is_meant = file_id == body.get("file_id") or file["hash"] == body.get("hash")
            if is_meant and file["owner"] == body["owner"] and body["filename"] in file["names"]:
                file["names"].remove(body["filename"])
                if not file["names"]:
                    del self.files[file_id]
                return {"file_id": file_id}
        raise IndexRefused("File not found", 404)
