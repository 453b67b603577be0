"""
Who may come in: the name we are called by, the page that asks, and the token.

A browser asks us on behalf of any page it shows. The Host check stops pages whose name was made to lead here (DNS
rebinding), the Origin check those that send a form or open a WebSocket across, and the token everybody else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, urlencode

from attrs import define, field

from p2pshare.addresses import is_numeric
from p2pshare.web.bodies import Page
from p2pshare.web.limits import LimitedRequest, WebLimits
from p2pshare.web.paths import Access
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import Headers, Refused

_READING = (b"GET", b"HEAD", b"OPTIONS")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]]+))(?::([0-9]{1,5}))?")
_OURSELVES = ("same-origin", "none")  # Sec-Fetch-Site: a page of ours, or the person at the browser
_CHALLENGE: Headers = (("WWW-Authenticate", 'Bearer realm="p2pshare"'),)


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower().rstrip("/") for name in names)


@define(eq=False)
class Guard:
    """
    Checks requests before their routes see them.

    :param hosts: names we may be called by; IP addresses and localhost always are.
    :param origins: pages elsewhere that may use us, as ``https://example.org``.
    :param token: None: nobody needs one.
    """

    _now: Callable[[], float]  # the reactor's clock
    _limits: WebLimits = field(factory=WebLimits)
    _hosts: frozenset[str] = field(default=(), converter=_folded)
    _origins: frozenset[str] = field(default=(), converter=_folded)
    _token: str | None = field(default=None, repr=False)
    hits: Counter[str] = field(factory=Counter)
    _guesses: RateLimit = field(init=False)
    cookie: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._guesses = RateLimit(1 / self._limits.wrong_token_pause, self._limits.wrong_tokens)
        # Cookies know hosts, not ports: the services of one machine must not overwrite each other's.
        digest = hashlib.sha256((self._token or "").encode()).hexdigest()
        self.cookie = f"p2pshare-{digest[:12]}"

    def admit(self, request: LimitedRequest, access: Access) -> Page | None:
        """
        Let a request pass.

        :return: None; or, as it brought the token in its URL, the way on without it.
        :raise Refused: 421, 403, 401 or 429.
        """
        if access is Access.OPEN:
            return None
        host = self.check_host(request)
        if request.method not in _READING or is_upgrade(request):
            self._check_origin(request, host)
        if self._token is None:
            return None
        if request.method == b"GET" and b"token" in (request.args or {}):
            return self._entry(request, self._token)
        if access is Access.TOKEN:
            self._check_token(request, self._token)
        return None

    def check_host(self, request: LimitedRequest) -> str:
        """
        Make sure that the client means us.

        :return: the name and port it calls us by.
        :raise Refused: 421: it means somebody else.
        """
        given = request.requestHeaders.getRawHeaders("host") or []
        host = given[0] if len(given) == 1 else ""
        parsed = _HOST.fullmatch(host)
        name = "" if parsed is None else (parsed[1] or parsed[2]).lower().removesuffix(".")
        if name and (name == "localhost" or is_numeric(name) or name in self._hosts):
            return host.lower()
        self.hits["hosts"] += 1
        raise Refused(421, f"host {host[:100] or 'missing'}: not a name of this service; see the setting of its hosts")

    def cors(self, request: LimitedRequest) -> Headers:
        """Give the headers that let a page elsewhere read the answer, if it is one of those that may."""
        origin = request.getHeader("origin")
        if origin is None or origin.lower() not in self._origins:
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "Content-Disposition, ETag, Retry-After"),
            ("Vary", "Origin"),
        )

    def _entry(self, request: LimitedRequest, token: str) -> Page:
        """Keep the token of a URL that was printed for a person in a cookie, and go on without it."""
        self._compare(request, request.args[b"token"][-1], token)
        path, _, query = request.uri.decode("ascii", "replace").partition("?")
        rest = urlencode([(name, value) for name, value in parse_qsl(query, True) if name != "token"])
        cookie = f"{self.cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        if request.isSecure():
            cookie += "; Secure"
        path = path.lstrip("/\\")  # of two slashes the second would begin the name of another host
        location = f"/{path}{'?' if rest else ''}{rest}"
        headers = (("Location", location), ("Set-Cookie", cookie), ("Cache-Control", "no-store"))
        return Page(status=303, headers=headers)

    def _check_origin(self, request: LimitedRequest, host: str) -> None:
        origin = request.getHeader("origin")
        site = request.getHeader("sec-fetch-site")
        if origin is not None:
            scheme, _, rest = origin.lower().partition("://")
            if (scheme in ("http", "https") and rest == host) or origin.lower() in self._origins:
                return
        elif site is None or site in _OURSELVES:
            return  # no browser, or one that speaks for itself
        self.hits["origins"] += 1
        raise Refused(403, f"origin {(origin or site or '')[:100]}: a page from elsewhere may not do this")

    def _check_token(self, request: LimitedRequest, token: str) -> None:
        scheme, _, given = (request.getHeader(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            given = request.getCookie(self.cookie.encode()) or b""
        if not given:
            raise Refused(401, "a token is needed: Authorization: Bearer …", _CHALLENGE)
        self._compare(request, given.strip(), token)

    def _compare(self, request: LimitedRequest, given: bytes, token: str) -> None:
        """Compare in a time that says nothing of the token; who was wrong too often waits, and nobody else."""
        source, now = request.source, self._now()
        if not source.is_exempt and (wait := self._guesses.wait(source.group, now)):
            self.hits["wrong_tokens"] += 1
            raise Refused(429, "too many wrong tokens", (("Retry-After", str(int(wait) + 1)),))
        if not hmac.compare_digest(given, token.encode()):
            if not source.is_exempt:
                self._guesses.take(source.group, now)
            raise Refused(401, "the token is not the right one", _CHALLENGE)


def is_upgrade(request: LimitedRequest) -> bool:
    """Whether a request wants to become a WebSocket, which a page from elsewhere may ask for, as it may send a form."""
    return "websocket" in (request.getHeader("upgrade") or "").lower()


def token_url(base: str, token: str) -> str:
    """Write the URL that is printed once for a person; it opens the pages below ``base``."""
    return f"{base}?{urlencode({'token': token})}"
