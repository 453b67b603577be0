"""Which nodes are still there: those that were heard of lately."""

from __future__ import annotations

from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.faces.news import News
from p2pshare.faces.superpeer_peers import PeerInfo
from p2pshare.index.records import Node

PERIOD = 30.0  # seconds between two looks
SILENCE = 120.0  # seconds; a heartbeat is to come every 30


class NodeList(Protocol):
    """As much of the index as this needs; its ``nodes``."""

    def drop_silent(self, limit: float) -> Deferred[list[Node]]: ...


class Liveness(Service):
    """
    Takes nodes for offline that have fallen silent, and tells the news.

    Who was online before this was started has the whole time anew to be heard of.
    """

    log = Logger()

    def __init__(
        self,
        nodes: NodeList,
        news: News,
        clock: IReactorTime,
        *,
        silence: float = SILENCE,
        period: float = PERIOD,
    ) -> None:
        """
        Look after nodes.

        :param silence: seconds after which one is taken for offline.
        :param period: seconds between two looks.
        """
        self._nodes = nodes
        self._news = news
        self._clock = clock
        self._silence = silence
        self._period = period
        self._started_at = 0.0
        self._round: LoopingCall | None = None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._started_at = self._clock.seconds()
        self._round = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._round.clock = self._clock
        self._round.start(self._period, now=False).addErrback(
            lambda failure: self.log.failure("nobody looks after nodes any more", failure)
        )

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._round is not None and self._round.running:
            self._round.stop()

    async def _look(self) -> None:
        if self._clock.seconds() - self._started_at < self._silence:
            return
        try:
            silent = await self._nodes.drop_silent(self._silence)
        except (StorageError, RequestRefused) as error:
            self.log.error("cannot look after nodes: {reason}", reason=str(error))
            return
        for node in silent:
            self.log.info("node {node} was not heard of for {seconds:g} s", node=node.id, seconds=self._silence)
            self._news.tell("peer_offline", PeerInfo.of(node))
