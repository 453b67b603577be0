"""How many blocks to keep on order at one peer, so that its line never runs dry and nothing waits there in vain."""

from __future__ import annotations

from attrs import define, field

from p2pshare.geometry import BLOCK_SIZE

# Seconds of download to keep on order: longer than any usual way there and back. libtorrent keeps three, and then a
# seed among leeches sends more copies than it has to: what one has on order, the others do not know of, and order too.
QUEUE_TIME = 1.0
SHALLOWEST = 32  # Transmission's floor; libtorrent's floor of 2 starves a fast link at the start
DEEPEST = 500  # libtorrent max_out_request_queue; more has never been seen to help
SLOW_START = 1.0  # seconds after the first block, in which its rate does not yet say what a line can carry

# In company each leech has only a part of what it lacks on order at a seed. What several order at once the seed sends
# several times, and what it sends twice it sends instead of something nobody has. Measured with 16 leeches: 1.4 copies
# instead of 1.7 until everybody had everything, and that so much sooner.
SHARES = 8  # for each rival
MOST_RIVALS = 5  # a seed serves so many at once, by BEP 3's four and an optimistic one

# A peer that chokes or rejects again and again without sending a block earns a pause that doubles up to this.
FRUITLESS_ALLOWED = 2  # a choke that crosses our requests is ordinary, and so is a second one
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0  # one optimistic unchoke of the other side


def fair_share(missing: int, rivals: int) -> int:
    """
    Tell how many requests to have outstanding at most at a seed that others fetch from as well.

    :param missing: how many blocks we lack.
    :param rivals: how many others lack something, up to ``MOST_RIVALS``; 0: the seed is ours.
    """
    return max(SHALLOWEST, missing // (SHARES * rivals)) if rivals else DEEPEST


@define(eq=False)
class Pipeline:
    """
    Depth of the queue of requests at one peer. Knows no request, only how the peer has answered so far.

    It starts with 32 blocks and at first grows by one with each block received; from the second after the first block
    on, when the rate is known, it holds one second of download, 32 blocks at least.
    """

    pinned: int | None = None  # a fixed depth, for dialects and tests that want one
    deepest: int = DEEPEST
    fruitless_allowed: int = FRUITLESS_ALLOWED
    _window: int = field(init=False, default=SHALLOWEST)  # depth while in slow start
    _flowing_since: float | None = field(init=False, default=None)
    _fruitless: int = field(init=False, default=0)  # chokes and rejects since the last block
    _paused_until: float = field(init=False, default=float("-inf"))

    def depth(self, now: float, rate: float, reqq: int, snubbed: bool) -> int:
        """
        Tell how many requests to have outstanding.

        :param rate: bytes per second that come from this peer.
        :param reqq: how many requests the peer is willing to queue (BEP 10 ``reqq``).
        :param snubbed: it left requests unanswered: one at a time until it answers.
        """
        if now < self._paused_until:
            return 0
        if snubbed:
            return min(1, reqq)
        if self.pinned is not None:
            return min(self.pinned, reqq)
        wanted = int(rate * QUEUE_TIME) // BLOCK_SIZE
        if rate and self._flowing_since is None:
            self._flowing_since = now
        if self._flowing_since is None or now - self._flowing_since < SLOW_START:
            wanted = max(wanted, self._window)
        return min(max(wanted, SHALLOWEST), self.deepest, reqq)

    def got_blocks(self, count: int = 1) -> None:
        """Take note that the peer answered ``count`` requests with their block."""
        self._fruitless = 0
        self._window = min(self._window + count, self.deepest)

    def came_to_nothing(self, now: float) -> None:
        """
        Take note that the peer choked us, or rejected a request while we were not choked, and no block came before.

        Two in a row are ordinary; then each starts a pause twice as long, or a peer that flips a hundred times a second
        would have us send it thousands of requests.
        """
        if now < self._paused_until:
            return
        self._fruitless += 1
        over = self._fruitless - self.fruitless_allowed
        if over > 0:
            self._paused_until = now + min(FIRST_PAUSE * 2 ** min(over - 1, 10), LONGEST_PAUSE)
