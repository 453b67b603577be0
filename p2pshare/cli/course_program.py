"""Where ``peerProcess`` and ``StartRemotePeers`` begin as processes: can be told to stop while more is being loaded."""

from __future__ import annotations

import sys

from p2pshare.cli.signals import Terminated, raise_on_signals


def peer_process() -> None:
    """Run ``peerProcess`` as this process, and exit."""
    _run("p2pshare.cli.course_peer")


def start_remote_peers() -> None:
    """Run ``StartRemotePeers`` as this process, and exit."""
    _run("p2pshare.cli.course_start")


def _run(module: str) -> None:
    """Run the ``command`` of a module. It can be told to stop while that is still to be loaded."""
    raise_on_signals()
    try:
        from p2pshare.cli.quick_start import load  # late, like all the rest: signals are obeyed first
        from p2pshare.cli.terminal import never_fail_to_encode

        never_fail_to_encode()
        load(module).command()
    except (KeyboardInterrupt, Terminated) as told:
        from p2pshare.cli.exits import explain, report

        explained = explain(told)
        assert explained is not None
        report(*explained, {})
        sys.exit(explained[1])
