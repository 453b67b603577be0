"""``twistd p2p-peer --course``: one peer of a course project's swarm."""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.client.dialect_settings import CourseSettings
from p2pshare.course.event_log import open_event_log
from p2pshare.course.layout import check_start, read_config
from p2pshare.course.networking import Endpoints, TCPEndpoints
from p2pshare.course.process import CourseProcess
from p2pshare.errors import PortError
from p2pshare.plugins import find_function
from p2pshare.policy.rankings import RANKINGS
from p2pshare.policy.strategies import STRATEGIES
from p2pshare.storage.workers import Workers

_GRACE = 2  # unchoking intervals for a neighbor that is gone to come back, as peerProcess has it


class CourseService(Service):
    """
    A peer that takes part until all have the file; also when a neighbor is gone for good.

    Alone in its process it then stops the reactor. For the exit code of the assignment there is ``peerProcess``: twistd
    has none of its service.
    """

    log = Logger()

    def __init__(
        self, folder: Path, own: int, reactor: Any, settings: CourseSettings, endpoints: Endpoints | None = None
    ) -> None:
        """
        Be told where and who.

        :param folder: holds Common.cfg and PeerInfo.cfg.
        :param own: our id.
        :param settings: how long to wait, and with which strategies.
        :param endpoints: where to listen and how to dial, beside others; None: we are alone, with a port of our own.
        """
        self._folder = folder
        self._own = own
        self._reactor = reactor
        self._settings = settings
        self._is_alone = endpoints is None
        self._endpoints = TCPEndpoints(reactor) if endpoints is None else endpoints
        self._workers: Workers | None = None
        self._process: CourseProcess | None = None

    def startService(self) -> None:
        """
        Begin.

        :raise P2PShareError: the configuration cannot be used, or the port is taken.
        """
        super().startService()
        settings = self._settings
        common, info = read_config(self._folder)
        check_start(self._folder, common, info.of(self._own))
        if self._is_alone:  # while this process can still end with an error
            check_port(info.of(self._own).port)
        log = open_event_log(self._folder, self._own, datetime.now)
        self._workers = Workers(self._reactor, name="course")
        self._process = CourseProcess(
            *(common, info, self._own, self._folder, self._reactor, self._endpoints, Random(), self._workers.run, log),
            grace=_GRACE * common.unchoking_interval if settings.grace is None else settings.grace,
            wait=settings.wait or None,
            picker=find_function("picker", STRATEGIES, settings.picker),
            rank=find_function("choker", RANKINGS, settings.choker),
        )
        self._process.start()
        self._process.finished.addCallbacks(self._over, self._failed)

    def stopService(self) -> Deferred[None]:
        """Leave in order; fires when that is done."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._process is not None:
            await self._process.leave()
        if self._workers is not None:
            await self._workers.stop()

    def _over(self, _: object) -> None:
        if self.running:  # else it was told to leave, and they need not
            self.log.info("all peers have the file")
        self._end()

    def _failed(self, failure: Failure) -> None:
        self.log.error("{reason}", reason=failure.getErrorMessage())
        self._end()

    def _end(self) -> None:
        if self._is_alone and self.running and self._reactor.running:
            self._reactor.stop()


def check_port(port: int) -> None:
    """
    See that a port can be had.

    :raise PortError: somebody has it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise PortError(f"port {port}: {error.strerror}") from error
