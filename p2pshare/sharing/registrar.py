"""Keeps an index informed of what a folder shares, and of us being there, whatever becomes of the index meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import IndexRefused, IndexUnreachable, StorageError
from p2pshare.sharing.library import Event, FileChanged, FileRemoved, Listener
from p2pshare.sharing.listing import Listing
from p2pshare.sharing.notices import Entry, Listed, Notices, Withdrawal
from p2pshare.sharing.observations import Observations
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.told import Told

Value = TypeVar("Value")

LAST_WORD = 3.0  # s that the question under way and the goodbye may take
_NAMES = 64 * 1024  # bytes of the names in one request: in the worst spelling of JSON they become six times that
_A_BREATH = 1.0  # s between two attempts at least, however long the first one took


@frozen
class Pace:
    """How often the index hears of us; seconds."""

    heartbeat: float = 30.0
    retry: float = 10.0  # between two attempts while it cannot be reached
    gap: float = 0.1  # between two files, or batches of them


class SharedFolder(Protocol):
    """Whose files an index is told of; a Library."""

    files: dict[str, SharedFile]
    is_known: bool  # everything that is there has been looked at once

    def subscribe(self, listener: Listener) -> None: ...


@define(eq=False)
class Registrar(Service):
    """
    Registers a node and its files with an index; unregisters what is gone.

    The index may be down for as long as it likes, or forget us: then it is told everything again. One question is
    under way at a time. What the index refuses it is offered once, unless it forgets us.

    :ivar id: by which the index knows us; None: it does not.
    :ivar trouble: why the index cannot be told; None: it can.
    :ivar refused: files that the index does not want, by name, and why.
    """

    _listing: Listing
    _library: SharedFolder
    _clock: IReactorTime
    _told: Told | None = None  # None: nothing outlives the process
    _pace: Pace = field(factory=Pace)
    _observations: Observations = field(factory=Observations)  # of other nodes; the index is told
    # Told: the index is there, and knows us; what else is there may have begun anew.
    on_welcome: Callable[[], object] = field(init=False, default=lambda: None)
    id: str | None = field(init=False, default=None)
    trouble: str | None = field(init=False, default=None)
    refused: dict[str, str] = field(init=False, factory=dict)
    _notices: Notices = field(init=False, factory=Notices)
    _names: dict[str, dict[str, None]] = field(init=False, factory=dict)  # by an id of the index, the last at the end
    _at_once: int = field(init=False, default=1)  # files in one request
    _count: int = field(init=False, default=0)  # of shared files, as the index heard it last
    _beat_due: float = field(init=False, default=0.0)  # when the next heartbeat is
    _is_reporting: bool = field(init=False, default=True)  # the index listens to what we say of others
    _was_away: bool = field(init=False, default=False)  # the index could not be reached
    _is_cleared: bool = field(init=False, default=False)  # what earlier runs left at the index is seen to
    _working: Deferred[None] | None = field(init=False, default=None)
    _resting: Deferred[None] | None = field(init=False, default=None)
    _is_idle: bool = field(init=False, default=False)  # resting because there is nothing to tell
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._library.subscribe(self._heard)

    @property
    def is_settled(self) -> bool:
        """Whether the index knows everything."""
        return self.id is not None and not self._notices

    def index_id(self, file: SharedFile) -> str | None:
        """Under which id the index lists a file; None: it does not, or has not said."""
        listed = self._notices.listed.get(Entry.of(file))
        return None if listed is None else listed.file_id or None

    def name_of(self, index_id: str) -> str | None:
        """Which of our names stands behind an id of the index; of several, the one it heard last."""
        return next(reversed(self._names.get(index_id, {})), None)

    def startService(self) -> None:
        super().startService()
        for file in self._library.files.values():
            self._notices.share(file)
        self._working = Deferred.fromCoroutine(self._work())
        self._working.addErrback(self._ended)

    def stopService(self) -> Deferred[None]:
        """Say goodbye; fires when that and the question before it are answered, after LAST_WORD at the latest."""
        super().stopService()
        self._wake()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        parting = Deferred.fromCoroutine(self._part(self._clock.seconds() + LAST_WORD))
        await parting.addTimeout(LAST_WORD, self._clock, lambda *_: None)
        if self._told is not None:
            await self._kept(self._told.close())

    async def _part(self, until: float) -> None:
        working, self._working = self._working, None
        if working is not None:
            await working
        # Being cancelled at the deadline looks like an ordinary end there, after which we would go on.
        if self.id is not None and self.trouble is None and self._clock.seconds() < until:
            try:
                await self._listing.leave(self.id)
            except IndexUnreachable as error:
                self.log.debug("no goodbye to the index: {error}", error=error)

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # we are to stop, and the index took too long
            self.log.failure("the index is not told any more", failure)

    def _heard(self, event: Event) -> None:
        if isinstance(event, FileChanged):
            self._notices.withdraw(event.old)
        if isinstance(event, FileRemoved):
            self._notices.withdraw(event.file)
        else:
            self._notices.share(event.file)
        self.refused.pop(event.file.name, None)
        if self._is_idle:
            self._wake()

    async def _work(self) -> None:
        if self._told is not None:
            earlier = await self._kept(self._told.load())
            self._notices.recall(earlier or {})
            for entry, listed in (earlier or {}).items():
                self._name(entry, listed)
        while self.running:
            begun = self._clock.seconds()
            try:
                rest = await self._go_on()
                if self._was_away:
                    self._was_away = False
                    self.on_welcome()
                self._complain(None)
            except IndexUnreachable as error:
                # One that has too much to do is there, and has forgotten nothing.
                self._was_away = self._was_away or not isinstance(error.__cause__, IndexRefused)
                self._complain(str(error))
                rest = max(_A_BREATH, begun + self._pace.retry - self._clock.seconds())
            if rest > 0 and self.running:
                await self._rest(rest)

    async def _go_on(self) -> float:
        """Do what is due first; gives the seconds to rest after it."""
        self._is_idle = False
        now = self._clock.seconds()
        if self.id is None:
            await self._join()
            return 0.0
        if now >= self._beat_due:
            await self._beat(self.id)
            return 0.0
        if self._library.is_known and not self._is_cleared:
            self._is_cleared = True
            self._notices.clear_away()
        notice = self._notices.next(self._at_once, _NAMES)
        if notice is None and self._library.is_known and len(self._library.files) != self._count:
            await self._join()  # with their number, now that it has heard of all
            return self._pace.gap
        if notice is None:
            self._is_idle = True
            return self._beat_due - now
        if isinstance(notice, Withdrawal):
            await self._withdraw(notice)
        elif len(notice) == 1:
            await self._offer(self.id, notice[0])
        else:
            await self._offer_all(self.id, notice)
        return self._pace.gap

    async def _join(self) -> None:
        count = len(self._library.files)
        welcome = await self._listing.join(count)
        is_new = welcome.id != self.id
        self.id, self._at_once, self._count = welcome.id, welcome.files_at_once, count
        self._beat_due = self._clock.seconds() + self._pace.heartbeat
        if is_new:
            self.log.info("registered with the index as {id}", id=welcome.id)
            self._notices.start_over()
            self._is_reporting = True
            self._was_away = False
            self.on_welcome()

    async def _beat(self, owner: str) -> None:
        if not await self._listing.say_alive(owner):
            self.log.info("the index has forgotten us; registering again")
            self.id = None
        elif len(self._library.files) != self._count:
            await self._join()
        else:
            self._beat_due = self._clock.seconds() + self._pace.heartbeat
            await self._report(owner)

    async def _report(self, owner: str) -> None:
        served = self._observations.take() if self._is_reporting else []
        if not served:
            return
        try:
            await self._listing.report(owner, served)
        except IndexUnreachable:
            self._observations.give_back(served)
            raise
        except IndexRefused as error:
            self.log.debug("the index does not want reports: {error}", error=error)
            self._is_reporting = False

    async def _offer(self, owner: str, file: SharedFile) -> None:
        self._notices.offering(file, owner)
        try:
            outcome: Listed | str = await self._listing.offer(owner, file)
        except IndexRefused as error:
            outcome = str(error)
        await self._note([file], [outcome])

    async def _offer_all(self, owner: str, files: Sequence[SharedFile]) -> None:
        for file in files:
            self._notices.offering(file, owner)
        try:
            outcomes = await self._listing.offer_all(owner, files)
        except IndexRefused as error:
            self.log.info("the index wants files one by one: {reason}", reason=str(error))
            self._at_once = 1
            return
        await self._note(files, outcomes)

    async def _note(self, files: Sequence[SharedFile], outcomes: Sequence[Listed | str]) -> None:
        listed: dict[Entry, Listed] = {}
        gone: list[Entry] = []
        for file, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, Listed):
                self._notices.offered(file, outcome)
                listed[Entry.of(file)] = outcome
                self._name(Entry.of(file), outcome)
                continue
            self._unname(Entry.of(file))
            self._notices.refused(file)
            gone.append(Entry.of(file))
            if self.refused.get(file.name) != outcome:
                self.log.warn("the index refuses {name}: {reason}", name=file.name, reason=outcome)
                self.refused[file.name] = outcome
        await self._remember(listed, gone)

    async def _withdraw(self, withdrawal: Withdrawal) -> None:
        try:
            await self._listing.withdraw(withdrawal)
        except IndexRefused as error:
            name = withdrawal.entry.name
            self.log.warn("the index will not take {name} back: {reason}", name=name, reason=str(error))
        self._unname(withdrawal.entry)
        self._notices.withdrawn(withdrawal.entry)
        await self._remember({}, [withdrawal.entry])

    def _name(self, entry: Entry, listed: Listed) -> None:
        """One content under several names has one id there."""
        if listed.file_id:
            names = self._names.setdefault(listed.file_id, {})
            names.pop(entry.name, None)
            names[entry.name] = None

    def _unname(self, entry: Entry) -> None:
        listed = self._notices.listed.get(entry)
        if listed is not None and listed.file_id in self._names:
            self._names[listed.file_id].pop(entry.name, None)
            if not self._names[listed.file_id]:
                del self._names[listed.file_id]

    async def _remember(self, listed: dict[Entry, Listed], gone: Sequence[Entry]) -> None:
        if self._told is not None:
            await self._kept(self._told.keep(listed, gone))

    async def _kept(self, keeping: Deferred[Value]) -> Value | None:
        try:
            return await keeping
        except StorageError as error:  # then what is deleted while we do not run stays in the index
            self.log.warn("{error}", error=error)
            return None

    async def _rest(self, seconds: float) -> None:
        self._resting = Deferred()
        timer = self._clock.callLater(seconds, self._wake)
        try:
            await self._resting
        finally:
            if timer.active():
                timer.cancel()

    def _wake(self) -> None:
        resting, self._resting = self._resting, None
        if resting is not None:
            resting.callback(None)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            self.log.warn("{trouble}; trying again every {seconds:g} s", trouble=trouble, seconds=self._pace.retry)
        self.trouble = trouble
