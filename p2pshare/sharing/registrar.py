"""Keeps an index informed of what a folder shares, and of us being there, whatever becomes of the index meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from p2pshare.errors import IndexRefused, IndexUnreachable
from p2pshare.sharing.library import Event, FileChanged, FileRemoved, Library
from p2pshare.sharing.shelf import SharedFile

_GONE = 404
_GOODBYE = 3.0  # s that the last words to the index may take


class Index(Protocol):
    """What is asked of an index; an IndexClient."""

    async def ask(self, method: str, path: str, *, body: object = None, headers: Any = None) -> Any: ...


@frozen
class Pace:
    """How often the index hears of us; seconds."""

    heartbeat: float = 30.0
    retry: float = 10.0  # after it could not be reached
    gap: float = 0.1  # between two files


@frozen
class Presence:
    """Where we can be reached over HTTP, and how we want to be called."""

    id: str
    address: str
    port: int
    region: str = ""


@define(eq=False)
class Registrar(Service):
    """
    Registers a node and its files with an index; unregisters what is gone.

    The index may be down for as long as it likes, or forget us: everything is told again then. What it refuses it is
    told once.

    :ivar id: by which the index knows us; None: it does not.
    :ivar known: files it knows, by name, with the id it gave them.
    """

    _index: Index
    _library: Library
    _presence: Presence
    _clock: IReactorTime
    _pace: Pace = field(factory=Pace)
    _info_hash: Callable[[SharedFile], str | None] = lambda file: None  # of the torrent with a file
    id: str | None = field(init=False, default=None)
    known: dict[str, str] = field(init=False, factory=dict)
    trouble: str | None = field(init=False, default=None)  # why the index cannot be told
    _pending: dict[str, SharedFile | None] = field(init=False, factory=dict)  # by name; None: it is gone
    _working: Deferred[None] | None = field(init=False, default=None)
    _waiting: Deferred[None] | None = field(init=False, default=None)
    _beat: IDelayedCall | None = field(init=False, default=None)
    _is_beat_due: bool = field(init=False, default=False)
    log = Logger()

    def startService(self) -> None:
        super().startService()
        self._library.subscribe(self._event)
        self._pending.update(self._library.files)
        self._working = Deferred.fromCoroutine(self._work())
        self._working.addErrback(lambda failure: self.log.failure("telling the index", failure))

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self._wake()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._working is not None:
            working, self._working = self._working, None
            working.addErrback(lambda failure: failure.trap(CancelledError))
            await working.addTimeout(_GOODBYE, self._clock)

    def _event(self, event: Event) -> None:
        name = event.file.name
        if isinstance(event, FileRemoved):
            if name in self.known:
                self._pending[name] = None
            else:
                self._pending.pop(name, None)
        else:
            if isinstance(event, FileChanged) and name in self.known:
                # Another content is another entry.
                self._pending[f"\0{name}"] = None
                self.known[f"\0{name}"] = self.known.pop(name)
            self._pending[name] = event.file
        self._wake()

    async def _work(self) -> None:
        while self.running:
            try:
                if self.id is None:
                    await self._register()
                elif self._is_beat_due:
                    await self._say_alive()
                elif self._pending:
                    await self._tell_one()
                    await self._pause(self._pace.gap)
                else:
                    await self._pause(None)
            except IndexUnreachable as error:
                self._complain(str(error))
                await self._pause(self._pace.retry, is_patient=True)

    async def _register(self) -> None:
        presence = self._presence
        about = {
            "id": presence.id,
            "address": presence.address,
            "port": presence.port,
            "shared_files": len(self._library.files),
            "region": presence.region,
        }
        try:
            reply = await self._index.ask("POST", "/api/v1/peers/register", body=about)
        except IndexRefused as error:
            raise IndexUnreachable(f"the index does not want us: {error}") from error
        given = reply.get("peer_id") if isinstance(reply, dict) else None
        if not isinstance(given, str) or not given:
            raise IndexUnreachable("the index gave us no id")
        self.id = given
        self._complain(None)
        self._pending = {**dict.fromkeys(self._pending, None), **self._library.files}
        self._pending = {name: file for name, file in self._pending.items() if file is not None or name in self.known}
        self.log.info("registered with the index as {id}", id=given)
        self._schedule_beat()

    def _schedule_beat(self) -> None:
        def due() -> None:
            self._is_beat_due = True
            self._wake()

        self._is_beat_due = False
        if self.running:
            self._beat = self._clock.callLater(self._pace.heartbeat, due)

    async def _say_alive(self) -> None:
        assert self.id is not None, "registered before"
        try:
            await self._index.ask("POST", "/api/v1/peers/heartbeat", headers={"X-Peer-ID": self.id})
        except IndexRefused as error:
            if error.status != _GONE:
                raise IndexUnreachable(f"the index: {error}") from error
            self.log.info("the index has forgotten us; registering again")
            self.id = None
            self.known.clear()
            self._is_beat_due = False
            return
        self._complain(None)
        self._schedule_beat()

    async def _tell_one(self) -> None:
        name, file = next(iter(self._pending.items()))
        try:
            if file is None:
                await self._withdraw(name)
            else:
                await self._offer(file)
        except IndexRefused as error:
            self.log.warn("the index refuses {name}: {reason}", name=name.lstrip("\0"), reason=str(error))
        if self._pending.get(name) is file:  # else there is more news of it
            self._pending.pop(name, None)

    async def _offer(self, file: SharedFile) -> None:
        about = {
            "filename": file.filename,
            "size": file.size,
            "hash": file.digest.sha256,
            "category": file.category,
            "tags": list(file.tags),
            "owner": self.id,
            "peer_address": f"{_bracketed(self._presence.address)}:{self._presence.port}",
            "info_hash": self._info_hash(file),
        }
        reply = await self._index.ask("POST", "/api/v1/files/register", body=about)
        given = reply.get("file_id") if isinstance(reply, dict) else None
        if isinstance(given, str):
            self.known[file.name] = given

    async def _withdraw(self, name: str) -> None:
        given = self.known.pop(name, None)
        if given is not None:
            filename = name.lstrip("\0").rpartition("/")[2]
            about = {"file_id": given, "owner": self.id, "filename": filename}
            await self._index.ask("POST", "/api/v1/files/unregister", body=about)

    async def _pause(self, seconds: float | None, is_patient: bool = False) -> None:
        """Wait so long, or until there is something to do; ``is_patient``: not even for that, only for the end."""
        if not self.running:
            return
        self._waiting = Deferred()
        later = None if seconds is None else deferLater(self._clock, seconds, self._wake, True)
        self._is_patient = is_patient or seconds is not None
        try:
            await self._waiting
        finally:
            if later is not None:
                later.addErrback(lambda failure: failure.trap(CancelledError))
                later.cancel()

    _is_patient: bool = field(init=False, default=False)

    def _wake(self, is_time: bool = False) -> None:
        if self._waiting is not None and (is_time or not self._is_patient or not self.running):
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            self.log.warn("{trouble}; trying again every {seconds:g} s", trouble=trouble, seconds=self._pace.retry)
        self.trouble = trouble


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
