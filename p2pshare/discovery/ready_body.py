"""The body of an HTTP request that is there already."""

from __future__ import annotations

from attrs import define
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
@define(eq=False)
class ReadyBody:
    """Handed over at once; Twisted's own producer would take a timer of the global reactor for that."""

    _data: bytes

    @property
    def length(self) -> int:
        return len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written by then."""

    def resumeProducing(self) -> None:
        """All is written by then."""

    def stopProducing(self) -> None:
        """All is written by then."""
