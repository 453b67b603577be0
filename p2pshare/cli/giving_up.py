"""Why a download gives up, in words that say what to do about it."""

from __future__ import annotations

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.figures import count_peers
from p2pshare.discovery.fetch import shown
from p2pshare.rates import format_rate, format_size
from p2pshare.swarm.seams import TrackerStatus
from p2pshare.swarm.swarm import Swarm


def no_progress(swarm: Swarm, timeout: float, now: float) -> Ended:
    """Say that peers were there, and yet no piece became whole: on a slow link a large one may take that long."""
    peers, content = len(swarm.members), swarm.content
    connected = f"{count_peers(peers)} connected" if peers else "nobody connected any more"
    why = f"{content.name}: no verified piece for {timeout:g} s, with {connected}"
    rate = swarm.down.rate(now)
    if rate > 0:
        size = format_size(content.piece_length)
        why += f", though {format_rate(rate)} arrive: only whole pieces of {size} count, so give more with --timeout"
    return Ended(why, ExitCode.TIMED_OUT)


def nobody_found(swarm: Swarm, timeout: float) -> Ended:
    """Say that there was never anybody, and what was tried."""
    known = swarm.meeting.known
    reasons = [f"{known} address{'' if known == 1 else 'es'} tried in vain"] if known else []
    trackers = () if swarm.discovery is None else swarm.discovery.status()
    reasons += [_about(tracker) for tracker in trackers if tracker.last_error or not known]
    why = "; ".join(reasons) or "the torrent names no tracker; name one with -t, or a peer with --peer"
    return Ended(f"{swarm.content.name}: no peer found within {timeout:g} s ({why})", ExitCode.NOBODY_FOUND)


def _about(tracker: TrackerStatus) -> str:
    said = tracker.last_error or ("knows nobody else" if tracker.state == "working" else "no answer yet")
    url = shown(tracker.url)
    return said if said.startswith(url) else f"{url}: {said}"
