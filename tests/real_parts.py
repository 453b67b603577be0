"""Real programs that some tests talk to: found on PATH, or the test is skipped and says which one is missing."""

from __future__ import annotations

import os
import shutil
import socket
from importlib import metadata
from importlib.util import find_spec
from unittest import SkipTest

REQUIRED = "P2PSHARE_REQUIRE_REAL"


def program(name: str) -> str:
    """
    Find a program that a test is going to run.

    :return: its full path.
    :raise SkipTest: it is not installed; an error instead where the environment says ``P2PSHARE_REQUIRE_REAL=1``,
        as in CI, where a test that silently stops running would go unnoticed.
    """
    path = shutil.which(name)
    if path is None:
        raise missing(f"{name} is not installed")
    return path


def module(name: str) -> None:
    """
    Make sure that a Python package only tests use is installed, before a test imports it.

    :raise SkipTest: it is not; an error instead where the environment says ``P2PSHARE_REQUIRE_REAL=1``.
    """
    if find_spec(name) is None:
        raise missing(f"Python package {name} is not installed")


def distribution(name: str) -> None:
    """
    Make sure that a distribution is installed, not only importable from the checkout.

    :raise SkipTest: it is not; an error instead where the environment says ``P2PSHARE_REQUIRE_REAL=1``.
    """
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise missing(f"{name} is not installed here (make install does)") from None


def ipv6() -> None:
    """
    Make sure that this machine speaks IPv6 with itself.

    :raise SkipTest: it does not; an error instead where the environment says ``P2PSHARE_REQUIRE_REAL=1``.
    """
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise missing(f"no IPv6 on this machine: {error}") from None


def missing(reason: str) -> Exception:
    """Give the error to raise when something a test needs is not here: to skip it, or to fail where that is asked."""
    required = os.environ.get(REQUIRED, "0") not in ("", "0")
    return AssertionError(f"{reason}, and {REQUIRED} is set") if required else SkipTest(reason)
