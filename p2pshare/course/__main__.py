"""``python -m p2pshare.course PEERID``: ``peerProcess``, where it is not installed as a program."""

from __future__ import annotations

from importlib import import_module

# By name: what people start lives in cli/, which nothing below may build upon. This file is only another door to it.
PROGRAM = "p2pshare.cli.course_program"


def main() -> None:
    """Run ``peerProcess`` as this process, and exit."""
    import_module(PROGRAM).peer_process()


if __name__ == "__main__":
    main()
