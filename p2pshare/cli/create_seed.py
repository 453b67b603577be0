"""``p2pshare create --seed``: a torrent that is entered and served as soon as it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from twisted.internet import reactor as installed

from p2pshare.cli.attempt import attempt
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.peer_options import open_session, tell_about
from p2pshare.cli.progress import Mode, make_progress
from p2pshare.cli.rest_tracker import upload
from p2pshare.cli.running import run
from p2pshare.cli.transfer import Terms
from p2pshare.metainfo import Metainfo
from p2pshare.storage.content import found_at, locate_content


def enter_and_seed(ctx: click.Context, content: Metainfo, path: str, services: Sequence[str], mode: Mode) -> None:
    """
    Enter a torrent at REST trackers, then seed it until told to stop. Once in a process.

    :param path: its content; it is checked as any seed's is.
    """
    place = locate_content(content, path)
    served = found_at(content, place)
    show_warnings()
    session = open_session(installed)
    tell_about(ctx, content, session.port)
    swarm = session.add(served, place.parent, seed_only=True)

    async def work(reactor: Any) -> None:
        await upload(reactor, services, content)
        terms = Terms(str(place), is_seed=True)
        await attempt(reactor, session, swarm, terms, make_progress(mode), notes(mode))

    run(work)
