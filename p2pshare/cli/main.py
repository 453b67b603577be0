"""The command ``p2pshare``: where the process begins. It can be told to stop while most of it is still to be loaded."""

from __future__ import annotations

import sys

from p2pshare.cli.signals import Terminated, raise_on_signals


def main() -> None:
    """Run the command line of this process, and exit."""
    raise_on_signals()
    try:
        from p2pshare.cli.quick_start import load  # late, like all the rest: signals are obeyed first

        program = load("p2pshare.cli.command_line")
        program.run(load)
    except (KeyboardInterrupt, Terminated) as told:  # later on the command line knows what to say
        from p2pshare.cli.exits import explain, report

        explained = explain(told)
        assert explained is not None
        message, code = explained
        report(message, code, {})
        sys.exit(code)
