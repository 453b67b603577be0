"""Whether a service lives, and whether it can be used: for whoever starts it and restarts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import View
from p2pshare.web.replies import JSON

# A part of the service, and whether it is ready: called for each question, so it only looks.
Checks = Mapping[str, Callable[[], bool]]

_READING = (b"GET", b"HEAD")


def health_views(checks: Checks) -> dict[bytes, View]:
    """
    Answer ``/health``, 200 as long as the reactor turns, and ``/ready``, 503 with the names of what is not ready.

    Both are open to everybody and tell nothing else.
    """

    def healthy(request: LimitedRequest) -> bytes:
        return _said(request, {"status": "healthy"})

    def ready(request: LimitedRequest) -> bytes:
        waiting = sorted(name for name, is_ready in checks.items() if not is_ready())
        if not waiting:
            return _said(request, {"status": "ready"})
        request.setResponseCode(503)
        request.setHeader(b"Retry-After", b"5")
        return _said(request, {"status": "not ready", "waiting": waiting})

    return {b"/health": View(healthy, _READING), b"/ready": View(ready, _READING)}


def _said(request: LimitedRequest, value: object) -> bytes:
    request.setHeader(b"Content-Type", JSON.encode("ascii"))
    request.setHeader(b"Cache-Control", b"no-store")
    return msgspec.json.encode(value)
