"""Shares for the faces: enter, find, and count them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from attrs import define, evolve
from sqlalchemy import Connection, case, delete, func, insert, select, update
from twisted.internet.defer import Deferred

from p2pshare.errors import RequestRefused
from p2pshare.index.contents import find_content
from p2pshare.index.database import Database, refusals
from p2pshare.index.memberships import Memberships
from p2pshare.index.records import ContentKey, Share, ShareClaim, TorrentClaim
from p2pshare.index.schema import node, share, vote
from p2pshare.index.search import Results, SearchQuery, search
from p2pshare.index.share_rows import (
    content_of,
    drop_name,
    drop_share,
    load_shares,
    names_of,
    put_share,
    row_id,
)
from p2pshare.index.torrent_rows import put_torrent

Claim = ShareClaim | TorrentClaim  # a file, or a file with its torrent

BEST = 5.0  # a vote is 0 to 5
COPIES = 1000  # listed of one content


@define(eq=False)
class Shares:
    """
    What owners share. Every method answers from the database, with the downloads that are not written down yet.

    Knows no HTTP. All Deferreds fail with StorageError, Busy, or RequestRefused when what was said cannot be kept.
    """

    _database: Database
    _memberships: Memberships
    _now: Callable[[], float]

    def register(self, claim: Claim) -> Deferred[Share]:
        """Enter a file: the first time as a new share, then as news about the one of that content and owner."""
        return self.register_all([claim]).addCallback(_the_only)

    def register_all(self, claims: Sequence[Claim]) -> Deferred[list[Share | RequestRefused]]:
        """
        Enter files, some perhaps with their torrents, in one transaction: a few dozen at once, as all others wait.

        :return: fires with what became of each.
        """
        for claim in claims:
            if isinstance(claim, TorrentClaim):
                self._memberships.indexed(claim.info_hash)
        entering = self._database.write(partial(_register_all, claims=claims, now=self._now()))
        return entering.addCallback(
            lambda outcomes: [self._current(one) if isinstance(one, Share) else one for one in outcomes]
        )

    def unregister(self, share_id: str, filename: str | None = None) -> Deferred[Share | None]:
        """
        Take a share back, or only one of its names; it goes with the last of them.

        :return: fires with the share as it was; None: there was none, or it had no such name.
        """
        return self._maybe(self._database.write(partial(_unregister, public_id=share_id, filename=filename)))

    def get(self, share_id: str) -> Deferred[Share | None]:
        """Look a share up by its id."""
        return self._maybe(self._database.read(partial(_get, public_id=share_id)))

    def find(self, key: ContentKey, owner: str) -> Deferred[Share | None]:
        """Look up what an owner shares of a content."""
        return self._maybe(self._database.read(partial(_find, key=key, owner=owner)))

    def names(self, share_id: str) -> Deferred[list[str]]:
        """List the names a share goes by, the latest first."""
        return self._database.read(partial(_names, public_id=share_id))

    def copies(self, share_id: str) -> Deferred[list[Share]]:
        """
        List all shares of the content of one, itself included: of online nodes first, then of strangers, each by age.

        None of the last, those of nodes that are offline, can be had now.
        """
        return self._all(self._database.read(partial(_copies, public_id=share_id)))

    def search(self, query: SearchQuery) -> Deferred[Results]:
        """Find shares; the order by downloads is that of the last batch."""
        return self._database.read(partial(search, query=query)).addCallback(
            lambda results: evolve(results, shares=tuple(map(self._current, results.shares)))
        )

    def rate(self, share_id: str, voter: str, rating: float) -> Deferred[Share | None]:
        """Count the vote of somebody, instead of an earlier one; fires with the share, None when there is none."""
        return self._maybe(self._database.write(partial(_rate, public_id=share_id, voter=voter, rating=rating)))

    def count_download(self, share_id: str) -> None:
        """Take note of one download; shown at once, written with the next batch."""
        self._memberships.downloaded(share_id)

    def _current(self, found: Share) -> Share:
        pending = self._memberships.pending_downloads(found.id)
        return evolve(found, downloads=found.downloads + pending) if pending else found

    def _maybe(self, answer: Deferred[Share | None]) -> Deferred[Share | None]:
        return answer.addCallback(lambda found: None if found is None else self._current(found))

    def _all(self, answer: Deferred[list[Share]]) -> Deferred[list[Share]]:
        return answer.addCallback(lambda found: list(map(self._current, found)))


def _register_all(connection: Connection, claims: Sequence[Claim], now: float) -> list[Share | RequestRefused]:
    outcomes: list[Share | RequestRefused] = []
    for claim in claims:
        try:
            with refusals(), connection.begin_nested():
                outcomes += load_shares(connection, [_register(connection, claim, now)])
        except RequestRefused as error:
            outcomes.append(error)
    return outcomes


def _register(connection: Connection, claim: Claim, now: float) -> int:
    if isinstance(claim, TorrentClaim):
        return put_torrent(connection, claim, now)
    return put_share(connection, content_of(connection, [claim.key], now), claim, now)


def _the_only(outcomes: list[Share | RequestRefused]) -> Share:
    (outcome,) = outcomes
    if isinstance(outcome, RequestRefused):
        raise outcome
    return outcome


def _unregister(connection: Connection, public_id: str, filename: str | None) -> Share | None:
    found = row_id(connection, public_id)
    if found is None:
        return None
    before = load_shares(connection, [found])[0]
    if filename is None:
        drop_share(connection, found)
    elif filename in names_of(connection, found):
        drop_name(connection, found, filename)
    else:
        return None
    return before


def _get(connection: Connection, public_id: str) -> Share | None:
    found = row_id(connection, public_id)
    return None if found is None else load_shares(connection, [found])[0]


def _find(connection: Connection, key: ContentKey, owner: str) -> Share | None:
    ours = select(share.c.id).where(share.c.content_id == find_content(connection, key), share.c.owner == owner)
    found = load_shares(connection, connection.scalars(ours).all())
    return found[0] if found else None


def _names(connection: Connection, public_id: str) -> list[str]:
    found = row_id(connection, public_id)
    return [] if found is None else names_of(connection, found)


def _copies(connection: Connection, public_id: str) -> list[Share]:
    same = select(share.c.content_id).where(share.c.public_id == public_id).scalar_subquery()
    chances = case((node.c.online.is_(None), 1), (node.c.online, 2), else_=0)
    ids = (
        select(share.c.id)
        .outerjoin(node, node.c.public_id == share.c.owner)
        .where(share.c.content_id == same)
        .order_by(chances.desc(), share.c.id)
        .limit(COPIES)
    )
    return load_shares(connection, connection.scalars(ids).all())


def _rate(connection: Connection, public_id: str, voter: str, rating: float) -> Share | None:
    if not 0 <= rating <= BEST:
        raise RequestRefused(f"rating: {rating:g}, expected 0 to {BEST:g}")
    found = row_id(connection, public_id)
    if found is None:
        return None
    connection.execute(delete(vote).where(vote.c.share_id == found, vote.c.voter == voter))
    connection.execute(insert(vote).values(share_id=found, voter=voter, rating=rating))
    votes, mean = connection.execute(
        select(func.count(), func.avg(vote.c.rating)).where(vote.c.share_id == found)
    ).one()
    connection.execute(update(share).where(share.c.id == found).values(votes=votes, rating=mean))
    return load_shares(connection, [found])[0]
