"""Who sent the bad block."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from p2pshare.policy.remote_peer import RemotePeer

# libtorrent: +1 for a part in a good piece (at most 8), -2 for a part in a bad one, banned at -7.
MOST_TRUST = 8
GOOD, BAD = 1, -2
BANNED = -7
# Bad copies are kept until a good one shows which of their blocks were wrong. Beyond these, the oldest are let go.
MOST_ATTEMPTS = 4  # of one piece
MOST_SUSPECTS = 128  # pieces


@frozen
class Attempt:
    """A bad copy of a piece: who sent each block, and a digest of what was sent."""

    owners: tuple[RemotePeer | None, ...]
    digests: tuple[bytes, ...]
    charged: frozenset[RemotePeer]  # those who lost trust over it


@define(eq=False)
class Blame:
    """
    Finds, after a piece had a wrong hash, who sent the wrong blocks. Knows no hash function: it compares digests.

    Whoever sent the whole piece alone is guilty at once. Of several contributors nobody is, until a good copy of the
    piece is there: whoever sent a block that differs from it is guilty. Until then the contributors are on parole: the
    ledger gives each of them whole pieces alone, so that another bad one convicts it, and trust is not taken from them
    twice. A contributor whose blocks were right gets its trust back, so no innocent peer can be banned, whatever
    company it has. Only where there are no digests to compare, trust alone decides.

    A wrong hash that is our own disk's fault never comes here: the caller tells storage errors from bad pieces. A block
    whose sender is not known (it came before a restart) has no owner; then nobody is guilty by being alone.
    """

    _trust: dict[RemotePeer, int] = field(init=False, factory=dict)  # 0 when absent
    _attempts: dict[int, list[Attempt]] = field(init=False, factory=dict)  # suspect piece -> its bad copies

    def failed(self, piece: int, owners: Sequence[RemotePeer | None], digests: Sequence[bytes]) -> set[RemotePeer]:
        """
        A piece had a wrong hash: name who is guilty of it for certain.

        :param owners: who sent each block; None: not known.
        :param digests: a digest of each block, in the same order; empty when there are none.
        """
        contributors = {owner for owner in owners if owner is not None}
        if None not in owners and len(contributors) == 1:
            return contributors
        charged = frozenset(peer for peer in contributors if not peer.on_parole) if None not in owners else frozenset()
        for peer in charged:
            self._add_trust(peer, BAD)
        if digests:
            self._remember(piece, Attempt(tuple(owners), tuple(digests), charged))
            return set()
        return {peer for peer in charged if self._trust[peer] <= BANNED}

    def passed(self, piece: int, digests: Sequence[bytes], owners: Sequence[RemotePeer | None] = ()) -> set[RemotePeer]:
        """
        A piece proved good: name who is guilty of its earlier bad copies.

        :param digests: a digest of each block; needed when the piece is_suspect().
        :param owners: who sent each block, where trust is to be earned by it.
        """
        for peer in {owner for owner in owners if owner is not None}:
            self._add_trust(peer, GOOD)
        attempts = self._attempts.pop(piece, [])
        guilty: set[RemotePeer] = set()
        if digests:
            for attempt in attempts:
                sent = zip(attempt.owners, attempt.digests, digests, strict=True)
                guilty.update(owner for owner, bad, good in sent if owner is not None and bad != good)
        for attempt in attempts:
            self._cleared(attempt, guilty)
        return guilty

    def is_suspect(self, piece: int) -> bool:
        """Whether a good copy of this piece would convict somebody, if its blocks had digests."""
        return piece in self._attempts

    def trust(self, peer: RemotePeer) -> int:
        """Tell how much a peer is trusted: -7 to 8, 0 at first."""
        return self._trust.get(peer, 0)

    def left(self, peer: RemotePeer) -> None:
        """A peer is gone. What it sent may still convict it; see who failed() and passed() name."""
        self._trust.pop(peer, None)

    def _add_trust(self, peer: RemotePeer, change: int) -> None:
        self._trust[peer] = min(self._trust.get(peer, 0) + change, MOST_TRUST)

    def _remember(self, piece: int, attempt: Attempt) -> None:
        attempts = self._attempts.setdefault(piece, [])
        attempts.append(attempt)
        for peer in attempt.owners:
            if peer is not None:
                peer.on_parole = True
        if len(attempts) > MOST_ATTEMPTS:
            self._cleared(attempts.pop(0), set())
        if len(self._attempts) > MOST_SUSPECTS:
            for forgotten in self._attempts.pop(next(iter(self._attempts))):
                self._cleared(forgotten, set())

    def _cleared(self, attempt: Attempt, guilty: set[RemotePeer]) -> None:
        """An attempt is settled: whoever is not guilty of it has its trust back, and no parole without another one."""
        for peer in attempt.charged - guilty:
            if peer in self._trust:
                self._add_trust(peer, -BAD)
        suspected = {owner for attempts in self._attempts.values() for other in attempts for owner in other.owners}
        for owner in attempt.owners:
            if owner is not None and owner not in suspected:
                owner.on_parole = False
