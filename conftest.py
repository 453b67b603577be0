"""Let pytest keep the files of TestCase.mktemp() in one scratch folder, as trial does with its own."""

import os
from pathlib import Path


def pytest_collection_finish() -> None:
    """Work in a folder of the run's own; paths on the command line have been used by now."""
    scratch = Path(__file__).parent / "_pytest_temp"
    scratch.mkdir(exist_ok=True)
    os.chdir(scratch)
    os.environ.setdefault("P2PSHARE_STATE", str(scratch / "state"))  # and the resume data of real processes, too
