"""One request on its way through its route: read, answered by a function that may take its time, sent."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import RequestRefused
from p2pshare.web.bodies import Page
from p2pshare.web.reading import decoded, read_fields, read_json
from p2pshare.web.replies import Refused, Reply, Streamed, rendered, send
from p2pshare.web.routes import Call, Route
from p2pshare.web.uploads import FormIntake

log = Logger()


def _random_id() -> str:
    return secrets.token_hex(4)


def broken(what: str, failure: Failure, new_id: Callable[[], str] = _random_id) -> Refused:
    """
    Note an error of ours, in the log with all there is to know.

    :return: what the client is told, by which the entry in the log can be found.
    """
    name = new_id()
    log.failure("error {id} in {what}", failure=failure, id=name, what=what)
    return Refused(500, f"an error of this service; its log calls it {name}")


@define(eq=False)
class Exchange:
    """
    Carries one request through its route. Knows nothing of guards, nor of other requests.

    When the client goes away, the function is cancelled; when it takes longer than ``patience``, too.
    """

    _request: Any  # LimitedRequest, whose parts Twisted calls None until they are there
    _route: Route
    _texts: tuple[str, ...]  # the variable parts of the path
    _clock: IReactorTime
    _patience: float  # seconds
    _hits: Counter[str]
    _new_id: Callable[[], str] = _random_id
    _is_gone: bool = field(init=False, default=False)
    _answering: Deferred[Any] | None = field(init=False, default=None)

    def begin(self, over: Callable[[], None]) -> None:
        """
        Go through with it.

        :param over: called when the function has ended; a reply may go on being streamed after it.
        """
        self._request.notifyFinish().addErrback(self._lost)
        answering = self._answering = Deferred.fromCoroutine(self._answer())
        answering.addTimeout(self._patience, self._clock, self._too_late)
        answering.addBoth(self._function_ended, over)
        answering.addCallback(self._send)
        answering.addErrback(self._failed)

    async def _answer(self) -> object:
        request, route = self._request, self._route
        intake, request.intake = request.intake, None  # ours from now on
        if intake is None and route.upload is not None:
            raise RequestRefused(f"{route.upload.name}: missing, expected a file")
        if intake is None:
            return await route.answer(self._call(None))
        assert isinstance(intake, FormIntake), "there is no other"
        try:
            upload = await intake.done()
            return await route.answer(self._call(upload))
        finally:
            intake.abandon()  # unless it was kept

    def _call(self, upload: Any) -> Call[Any, Any]:
        request, route = self._request, self._route
        return Call(
            source=request.source,
            params=route.read_params(self._texts),
            query=None if route.query is None else read_fields(route.query, decoded(request.args)),
            body=None if route.body is None else self._body(),
            headers=None if route.headers is None else self._headers(route.headers),
            upload=upload,
            host=request.getHeader("host") or "",
            accept=request.getHeader("accept") or "",
            is_head=request.method == b"HEAD",
        )

    def _body(self) -> Any:
        kind = self._route.body
        data: bytes = self._request.content.read()
        if kind is bytes:
            return data
        if not data:
            data = b"null"  # nothing is a value, too, where the type says so
        return read_json(data, kind)

    def _headers(self, cls: type) -> Any:
        given = {
            name.decode("latin-1").lower().replace("-", "_"): [value.decode("latin-1") for value in values]
            for name, values in self._request.requestHeaders.getAllRawHeaders()
        }
        try:
            return read_fields(cls, given)
        except RequestRefused as refusal:
            raise RequestRefused(f"header {str(refusal).replace('_', '-')}") from None

    def _send(self, value: object) -> Deferred[None] | None:
        if isinstance(value, Streamed):
            if not self._is_gone:
                return value.send(self._request)
            value.drop()
        if self._is_gone:
            return None
        if self._route.status != 200 and not isinstance(value, Page | Reply):
            value = Reply(value, self._route.status)
        send(self._request, rendered(value))
        return None

    def _failed(self, failure: Failure) -> None:
        if self._is_gone:
            if failure.check(CancelledError, RequestRefused) is None:
                broken(f"{self._route.method} {self._route.path}", failure, self._new_id)
        elif failure.check(RequestRefused) is not None:
            if hit := getattr(failure.value, "hit", None):
                self._hits[hit] += 1
            refusal: Any = failure.value
            self._say(self._route.form.page(refusal))
        else:
            self._say(self._route.form.page(broken(f"{self._route.method} {self._route.path}", failure, self._new_id)))

    def _say(self, page: Page) -> None:
        if self._request.startedWriting:  # half an answer is out: the client must not take it for a whole one
            self._request.loseConnection()
        else:
            send(self._request, page)

    def _too_late(self, result: object, seconds: float) -> object:
        if self._is_gone:
            return result
        raise Refused(503, f"no answer in {seconds:g} seconds", (("Retry-After", "10"),), "answer_deadline")

    def _function_ended(self, result: Any, over: Callable[[], None]) -> Any:
        over()
        return result

    def _lost(self, _: Failure) -> None:
        self._is_gone = True
        if self._answering is not None:
            self._answering.cancel()
