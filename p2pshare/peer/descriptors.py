"""How many more files and sockets this process may open."""

from __future__ import annotations

import os
import resource


def descriptors_left() -> int:
    """Count the descriptors between the next one that is free and the limit; some below it may be free, too."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        next_free = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(next_free)
    return limit - next_free
