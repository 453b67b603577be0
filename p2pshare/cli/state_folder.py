"""Where commands that end with their work keep what the next one is to know."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_state_path

VARIABLE = "P2PSHARE_STATE"


def resume_folder() -> Path:
    """Name the folder for resume data: below ``$P2PSHARE_STATE``, or the user's state folder."""
    named = os.environ.get(VARIABLE)
    return (Path(named) if named else user_state_path("p2pshare")) / "resume"
