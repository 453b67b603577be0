"""How many files and connections this process may have open."""

from __future__ import annotations

import resource


def allow_many_files() -> None:
    """Raise the limit as far as the system lets us: the usual 1,024 is for programs that use select."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
