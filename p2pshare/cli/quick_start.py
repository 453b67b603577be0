"""Loading the program in as little time as it takes: the processes of a swarm are often started all at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_TLS = "OpenSSL"


@contextmanager
def quickly() -> Iterator[None]:
    """
    Import faster as long as the block lasts. For a process of our own only.

    Nothing that is imported is garbage, so none is looked for, neither now nor ever again. And Twisted is told that
    this machine has no TLS, as otherwise each of its transports and clients would load it; ``p2pshare.discovery.tls``
    does so when a tracker's URL asks for it, and needs nothing of what is left out here.
    """
    hidden = _TLS not in sys.modules
    gc.disable()
    if hidden:
        modules: dict[str, Any] = sys.modules
        modules[_TLS] = None  # importing it raises ImportError
    try:
        yield
    finally:
        if hidden:
            del sys.modules[_TLS]
        gc.freeze()
        gc.enable()


def load(module: str) -> ModuleType:
    """Import a module with all that it imports, quickly."""
    with quickly():
        return import_module(module)
