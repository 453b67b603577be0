"""The root of a site: lets requests pass the guard, finds their route, and has it answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, fields
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from p2pshare.errors import RequestRefused
from p2pshare.web.bodies import Intake, Page, Unwanted
from p2pshare.web.exchange import Exchange, broken
from p2pshare.web.guard import Guard
from p2pshare.web.limits import LimitedRequest, WebLimits
from p2pshare.web.paths import Access, View, as_asked, ask
from p2pshare.web.replies import ALWAYS, ERROR, ErrorForm, Refused, send
from p2pshare.web.routes import Match, Route, RouteTable
from p2pshare.web.uploads import FormIntake

_GONE = 499  # what nginx logs when the client went away first
_PREFLIGHT_SECONDS = 600  # a browser remembers what a page elsewhere may ask for

# What was asked, with which method, the status, and how long it took.
Observe = Callable[[str, str, int, float], None]


def _nobody(route: str, method: str, status: int, seconds: float) -> None:
    pass


class Dispatcher(Resource):
    """
    Serves a route table, and views beside it. Is the ``bodies`` of its site, too.

    Views are looked up first, by the path as it was sent: what is asked a thousand times a second belongs there.
    """

    isLeaf = True
    log = Logger()

    def __init__(
        self,
        table: RouteTable,
        views: Mapping[bytes, View],
        guard: Guard,
        limits: WebLimits,
        clock: IReactorTime,
        hits: Counter[str],
        forms: Mapping[bytes, ErrorForm] = {},
        observe: Observe = _nobody,
    ) -> None:
        """
        Serve routes.

        :param forms: how errors are worded below some paths where no route says so, by how these begin.
        """
        super().__init__()
        self._table = table
        self._views = views
        self._guard = guard
        self._limits = limits
        self._clock = clock
        self._hits = hits
        self._forms = sorted(forms.items(), key=lambda item: -len(item[0]))
        self._observe = observe
        self._answering = 0

    def render(self, request: LimitedRequest) -> bytes | int:
        view = self._views.get(request.path)
        if view is not None:
            return as_asked(request, self._view(view, request))
        begun = self._clock.seconds()
        match = self._table.find(request.path)
        route = self._route(match, request)
        name = "" if match is None else next(iter(match.routes.values())).path
        method = request.method.decode("latin-1") if route is not None else ""  # labels are few, methods need not be
        request.notifyFinish().addBoth(
            lambda lost: self._observe(
                name, method, request.code if lost is None else _GONE, self._clock.seconds() - begun
            )
        )
        for header, value in self._guard.cors(request):
            request.setHeader(header.encode("ascii"), value.encode("latin-1", "replace"))
        try:
            page = self._pass(request, match, route)
        except RequestRefused as refusal:
            request.abandon()
            page = self._refusal(request, refusal, route)
        if page is not None:
            send(request, page)
            return NOT_DONE_YET
        assert match is not None, "refused otherwise"
        assert route is not None, "refused otherwise"
        self._answering += 1
        patience = route.patience
        if patience is None:
            patience = self._limits.answer_deadline if route.upload is None else self._limits.upload_deadline
        Exchange(request, route, match.texts, self._clock, patience, self._hits).begin(self._answered)
        return NOT_DONE_YET

    def body_limit(self, request: LimitedRequest, length: int | None) -> tuple[int, Intake | None]:
        """Say what body a request may have; those of uploads are checked in full before their first byte."""
        if request.path in self._views:
            return self._limits.body_bytes, None
        match = self._table.find(request.path)
        route = self._route(match, request)
        if route is None:
            return self._limits.json_bytes, None
        if route.upload is None:
            return self._limits.json_bytes if route.body_limit is None else route.body_limit, None
        try:
            self._pass(request, match, route)
            _refuse_encoding(request)
            intake = FormIntake.of(
                request.getHeader("content-type") or "",
                route.upload,
                self._limits,
                lambda refusal: self._early(request, refusal, route),
                request.channel.pause_body,
                request.channel.resume_body,
            )
        except RequestRefused as refusal:
            raise Unwanted(self._early(request, refusal, route), getattr(refusal, "hit", None)) from None
        return self._limits.upload_bytes if route.upload.limit is None else route.upload.limit, intake

    def too_large(self, request: LimitedRequest, limit: int) -> Page:
        """Word the answer to a body over the limit."""
        route = self._route(self._table.find(request.path), request)
        return self._early(request, Refused(413, f"the body is too large: at most {limit} bytes"), route)

    def _view(self, view: View, request: LimitedRequest) -> bytes | int:
        try:
            if view.access is not Access.OPEN:
                for name, value in ALWAYS:
                    request.setHeader(name.encode("ascii"), value.encode("ascii"))
                page = self._guard.admit(request, view.access)
                if page is not None:
                    send(request, page)
                    return NOT_DONE_YET
            return ask(view, request)
        except RequestRefused as refusal:
            send(request, self._refusal(request, refusal, None))
            return NOT_DONE_YET
        except Exception:
            error = broken(f"the view of {request.path!r}", Failure())
            if request.startedWriting:
                request.loseConnection()
            else:
                send(request, self._refusal(request, error, None))
            return NOT_DONE_YET

    def _route(self, match: Match | None, request: LimitedRequest) -> Route | None:
        return None if match is None else match.route(request.method.decode("latin-1"))

    def _pass(self, request: LimitedRequest, match: Match | None, route: Route | None) -> Page | None:
        """
        Decide whether a request gets through.

        :return: None; or an answer that needs no function.
        :raise RequestRefused: it does not.
        """
        if match is None:
            self._guard.check_host(request)
            raise Refused(404, "not found")
        if route is None:
            return self._other_method(request, match)
        if route.upload is not None and request.intake is not None:
            return None  # it has passed, before its body came
        page = self._guard.admit(request, route.access)
        if page is not None:
            return page
        self._take_rate(request, route)
        if route.body is not None:
            _refuse_type(request, route)
        if self._answering >= self._limits.answers:
            raise Refused(503, "too much to do", (("Retry-After", "1"),), "answers")
        return None

    def _other_method(self, request: LimitedRequest, match: Match) -> Page:
        allow = ("Allow", ", ".join(match.methods))
        if any(route.access is not Access.OPEN for route in match.routes.values()):
            self._guard.check_host(request)
        if request.method != b"OPTIONS":
            raise Refused(405, f"only {', '.join(sorted(match.routes))} can be used here", (allow,))
        headers = [allow]
        if self._guard.cors(request):
            headers += [
                ("Access-Control-Allow-Methods", ", ".join(sorted(match.routes))),
                ("Access-Control-Allow-Headers", ", ".join(_known_headers(match))),
                ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
            ]
        return Page(status=204, headers=headers)

    def _take_rate(self, request: LimitedRequest, route: Route) -> None:
        source = request.source
        if route.rate is None or source.is_exempt:
            return
        wait = route.rate.take(source.group, self._clock.seconds())
        if wait:
            self._hits["rate"] += 1
            raise Refused(429, "too many requests", (("Retry-After", str(int(wait) + 1)),))

    def _form(self, request: LimitedRequest, route: Route | None) -> ErrorForm:
        if route is not None:
            return route.form
        return next((form for prefix, form in self._forms if request.path.startswith(prefix)), ERROR)

    def _refusal(self, request: LimitedRequest, refusal: RequestRefused, route: Route | None) -> Page:
        if hit := getattr(refusal, "hit", None):
            self._hits[hit] += 1
        return self._form(request, route).page(refusal)

    def _early(self, request: LimitedRequest, refusal: RequestRefused, route: Route | None) -> Page:
        """Word a refusal that is sent past the request, which would have added the headers."""
        page = self._form(request, route).page(refusal)
        return evolve(page, headers=(*ALWAYS, *self._guard.cors(request), *page.headers))

    def _answered(self) -> None:
        self._answering -= 1


def _known_headers(match: Match) -> list[str]:
    classes = [route.headers for route in match.routes.values() if route.headers is not None]
    own = {field.name.replace("_", "-") for cls in classes for field in fields(cls)}
    return ["Authorization", "Content-Type", *sorted(own)]


def _refuse_encoding(request: LimitedRequest) -> None:
    encoding = request.getHeader("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise Refused(415, f"content encoding {encoding[:80]}: expected none")


def _refuse_type(request: Any, route: Route) -> None:
    """Refuse what is not of the route's type. A form or plain text is what a page elsewhere could send, too."""
    _refuse_encoding(request)
    given = request.getHeader("content-type")
    if given is None and request.content.getbuffer().nbytes == 0:
        return
    kind = (given or "").partition(";")[0].strip().lower()
    if kind != route.body_type:
        raise Refused(415, f"content type {kind[:80] or 'missing'}: expected {route.body_type}")
