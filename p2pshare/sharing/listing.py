"""What a node and an index say to each other: its registration, its heartbeats, its files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import define, frozen

from p2pshare.addresses import Address
from p2pshare.errors import IndexRefused, IndexUnreachable
from p2pshare.metainfo import compose
from p2pshare.sharing.notices import Listed, Withdrawal
from p2pshare.sharing.observations import Served
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.torrents import info_of

MOST_AT_ONCE = 200  # files; whatever an index says it takes
_MOST_HASHES = 40 * 1024  # bytes; with them in Base64 a file's description stays below 64 KiB
LONGEST_ID = 256  # characters of an id that an index gives
_GONE = 404
_TOO_MANY = 429


class Index(Protocol):
    """What is asked of an index; an IndexClient."""

    our_host: str | None

    async def ask(
        self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any: ...


@frozen
class Presence:
    """Where we can be reached over HTTP, and how we want to be called."""

    id: str
    port: int
    address: str | None = None  # None: whichever of ours the connection to the index has
    region: str = ""
    wire_peer_id: bytes | None = None  # by which we announce


@frozen
class Welcome:
    """What an index answers to a registration."""

    id: str  # by which it knows us; often the one we wanted
    files_at_once: int = 1  # how many it takes with one request


@define(eq=False)
class Listing:
    """
    Asks one index, in its words. Knows no time and remembers nothing.

    Whatever may pass is an IndexUnreachable, also where the index said so itself; an IndexRefused is final.
    """

    _index: Index
    _presence: Presence
    _info_hash: Callable[[SharedFile], str | None] = lambda file: None  # of the torrent with a file

    async def join(self, shared_files: int) -> Welcome:
        """Register the node, or tell again what is new about it."""
        presence = self._presence
        if presence.address is None and self._index.our_host is None:
            await self._ask("/api/v1/stats", method="GET")  # any question shows the address
        about = {
            "id": presence.id,
            "address": self._host,
            "port": presence.port,
            "shared_files": shared_files,
            "region": presence.region,
        }
        if presence.wire_peer_id is not None:
            about["wire_peer_id"] = presence.wire_peer_id.hex()
        try:
            reply = await self._ask("/api/v1/peers/register", about)
        except IndexRefused as error:
            raise IndexUnreachable(f"the index does not want us: {error}") from error
        given = _id_in(reply, "peer_id")
        if not given:
            raise IndexUnreachable(f"the index gave us no id of 1 to {LONGEST_ID} printable characters")
        most = reply.get("files_at_once")
        return Welcome(given, min(most, MOST_AT_ONCE) if isinstance(most, int) and most > 1 else 1)

    async def say_alive(self, owner: str) -> bool:
        """Let ourselves be heard of; False: the index has forgotten us."""
        try:
            await self._ask("/api/v1/peers/heartbeat", headers={"X-Peer-ID": owner})
        except IndexRefused as error:
            if error.status != _GONE:
                raise IndexUnreachable(f"the index: {error}") from error
            return False
        return True

    async def report(self, owner: str, served: Sequence[Served]) -> None:
        """
        Tell what other peers did.

        :raise IndexRefused: the index does not want to know.
        """
        peers = [{"wire_peer_id": each.peer_id.hex(), "pieces": each.pieces, "bans": each.bans} for each in served]
        await self._ask("/api/v1/peers/report", {"peers": peers}, {"X-Peer-ID": owner})

    async def leave(self, owner: str) -> None:
        """Tell that the node is going, so that nobody is sent to it any more; what it shares stays listed."""
        try:
            await self._ask("/api/v1/peers/offline", headers={"X-Peer-ID": owner})
        except IndexRefused:
            pass  # an index that knows no goodbye finds out by itself

    async def offer(self, owner: str, file: SharedFile) -> Listed:
        """
        Register a file.

        :raise IndexRefused: the index does not want it.
        """
        about = {**self._describe(file), "owner": owner, "peer_address": self._place}
        reply = await self._ask("/api/v1/files/register", about)
        return Listed(owner, _id_in(reply, "file_id"))

    async def offer_all(self, owner: str, files: Sequence[SharedFile]) -> list[Listed | str]:
        """
        Register many files at once; gives for each how it is listed, or why it is not.

        :raise IndexRefused: all of it, so one by one is the way.
        """
        about = {"owner": owner, "peer_address": self._place, "files": [self._describe(file) for file in files]}
        reply = await self._ask("/api/v1/files/register_all", about)
        results = reply.get("results") if isinstance(reply, dict) else None
        if not isinstance(results, list) or len(results) != len(files):
            raise IndexUnreachable("the index did not answer for each file")
        return [_outcome(owner, result) for result in results]

    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """
        Take an entry back; one that is not there is no error.

        :raise IndexRefused: the index will not have it.
        """
        entry, listed = withdrawal.entry, withdrawal.listed
        about = {"owner": listed.owner, "filename": entry.name}
        about |= {"file_id": listed.file_id} if listed.file_id else {"hash": entry.sha256}
        try:
            await self._ask("/api/v1/files/unregister", about)
        except IndexRefused as error:
            if error.status != _GONE:
                raise

    @property
    def _host(self) -> str:
        return self._presence.address or self._index.our_host or ""

    @property
    def _place(self) -> str:
        return str(Address(self._host, self._presence.port)) if self._host else ""

    def _describe(self, file: SharedFile) -> dict[str, object]:
        return {
            "filename": file.name,  # with its folders: the last part alone may name two files
            "size": file.size,
            "hash": file.digest.sha256,
            "category": file.category,
            "tags": list(file.tags),
            "info_hash": self._info_hash(file),
            "torrent": _torrent(file),
        }

    async def _ask(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Any:
        try:
            return await self._index.ask(method, path, body=body, headers=headers)
        except IndexRefused as error:
            if error.status >= 500 or error.status == _TOO_MANY:
                raise IndexUnreachable(f"the index: {error}") from error
            raise


def _torrent(file: SharedFile) -> str:
    """Write a file's torrent for JSON; empty where there is none, or it is larger than what an index reads at once."""
    if not file.size or len(file.digest.pieces) > _MOST_HASHES:
        return ""
    return b64encode(compose(info_of(file))).decode("ascii")


def _outcome(owner: str, result: object) -> Listed | str:
    if isinstance(result, dict) and isinstance(reason := result.get("error"), str) and reason:
        return reason
    return Listed(owner, _id_in(result, "file_id"))


def _id_in(reply: object, name: str) -> str:
    """Read an id; empty when there is none that could be sent back in a header or a line."""
    given = reply.get(name) if isinstance(reply, dict) else None
    is_usable = isinstance(given, str) and given.isascii() and given.isprintable() and len(given) <= LONGEST_ID
    return given if isinstance(given, str) and is_usable else ""
