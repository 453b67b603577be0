"""Let pytest keep the files of TestCase.mktemp() in one scratch folder, as trial does with its own."""

import os
from pathlib import Path


def pytest_sessionstart() -> None:
    """Work in a folder of the run's own; the paths of tests are resolved by now."""
    scratch = Path(__file__).parent / "_pytest_temp"
    scratch.mkdir(exist_ok=True)
    os.chdir(scratch)
