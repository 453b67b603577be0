"""Torrents of the REST tracker: uploaded, described, listed, downloaded, and seeded by this service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, evolve

from p2pshare import bencoding
from p2pshare.errors import MetainfoError, RequestRefused, StorageError
from p2pshare.faces.rest_schemas import DownloadFormat, Paging, SeederResponse, TorrentCreate, TorrentResponse
from p2pshare.faces.rest_tracker_asking import GROUP, PREFIX, is_hash, known_torrent, told
from p2pshare.faces.uploading import Uploads, claim_of
from p2pshare.index.catalogue import Catalogue
from p2pshare.index.records import ContentKey, Scheme, Torrent, TorrentClaim
from p2pshare.index.torrents import LISTED
from p2pshare.json_torrent import json_info_hash, read_torrent, write_json
from p2pshare.metainfo import HASH_SIZE, SIZE_LIMIT, Metainfo, compose, dump, parse
from p2pshare.web.bodies import Page
from p2pshare.web.disposition import attachment
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, JSON, Refused
from p2pshare.web.routes import Call, Route
from p2pshare.web.uploads import UploadForm

TORRENT = "application/x-bittorrent"

_UNKNOWN = {404: "The torrent is unknown"}
_NO_ROOM = {503: "The index cannot be used at the moment", 507: "No room is left"}
_NOT_OURS = {404: "The torrent is unknown, or was not uploaded here"}


def announce_url(host: str) -> str:
    """Say where to announce, to somebody who calls us by that name and port."""
    return f"http://{host}/announce"


@define(eq=False)
class TorrentRoutes:
    """What can be done with torrents."""

    _catalogue: Catalogue
    _uploads: Uploads | None  # None: nothing can be uploaded, or seeded
    _announce_url: Callable[[str], str] = announce_url

    def routes(self) -> Iterator[Route]:
        """Give the rows."""
        yield _row("GET", "/torrents", self.newest, "List torrents", query=Paging, reply=list[TorrentResponse])
        yield _row(
            "POST",
            "/torrents",
            self.create,
            "Enter a torrent in a few words",
            access=Access.TOKEN,
            body=TorrentCreate,
            body_limit=2 * SIZE_LIMIT,
            reply=TorrentResponse,
            refusals={400: "A hash that is none", **_NO_ROOM},
        )
        one = "/torrents/{info_hash}"
        yield _row("GET", one, self.get, "Look a torrent up", reply=TorrentResponse, refusals=_UNKNOWN)
        yield _row(
            "PUT",
            one,
            self.put,
            "Enter a torrent file",
            access=Access.TOKEN,
            body=bytes,
            body_type=TORRENT,
            body_limit=SIZE_LIMIT,
            reply=TorrentResponse,
            refusals={400: "It is no torrent file, or that of another torrent", **_NO_ROOM},
        )
        yield _row(
            "GET",
            f"{one}/download",
            self.download,
            "Download a torrent file",
            query=DownloadFormat,
            reply=bytes,
            reply_type=TORRENT,
            other_types=(JSON,),
            refusals=_UNKNOWN,
        )
        if self._uploads is not None:
            yield from self._seeding(self._uploads)

    def _seeding(self, uploads: Uploads) -> Iterator[Route]:
        yield _row(
            "POST",
            "/upload",
            self.upload,
            "Upload a file, which becomes a torrent",
            access=Access.TOKEN,
            upload=UploadForm(uploads.open),
            reply=TorrentResponse,
            refusals={400: "The file has no name", 413: "The file is too large", 507: "No room is left"},
        )
        yield _row("GET", "/seeders", self.seeders, "List what is seeded here", reply=list[SeederResponse])
        yield _row(
            "POST",
            "/torrents/{info_hash}/seed",
            self.seed,
            "Seed an upload again",
            access=Access.TOKEN,
            reply=SeederResponse,
            refusals={**_NOT_OURS, 409: "The file is not what it was"},
        )
        yield _row(
            "POST",
            "/seeders/stop/{info_hash}",
            self.stop,
            "Stop to seed an upload",
            access=Access.TOKEN,
            reply=SeederResponse,
            refusals=_NOT_OURS,
        )

    async def newest(self, call: Call[Paging, None]) -> list[TorrentResponse]:
        """The newest come first; at most 1000 at once."""
        page = call.query
        return [TorrentResponse.of(one) for one in await told(self._catalogue.torrents.newest(page.limit, page.offset))]

    async def get(self, call: Call[None, None]) -> TorrentResponse:
        """By its info_hash, or the hash of its JSON form, or that of its file's name."""
        return TorrentResponse.of(await known_torrent(self._catalogue, call.params["info_hash"]))

    async def create(self, call: Call[None, TorrentCreate]) -> TorrentResponse:
        """One that is known already stays as it is."""
        claim = _described(call.body, call.source.host)
        return TorrentResponse.of(await told(self._catalogue.torrents.add(claim)))

    async def put(self, call: Call[None, bytes]) -> TorrentResponse:
        """Bencoded, or in JSON. One that is known already stays as it is."""
        try:
            content = read_torrent(call.body)
        except MetainfoError as error:
            raise Refused(400, str(error)) from None
        keys = _json_keys(content)
        digits = call.params["info_hash"].lower()
        if digits not in (content.info_hash.hex(), *(key.value for key in keys)):
            raise Refused(400, f"info_hash: {digits[:80]}, not {content.info_hash.hex()} as the torrent file has it")
        return TorrentResponse.of(await told(self._catalogue.torrents.add(claim_of(content, call.source.host, keys))))

    async def upload(self, call: Call[None, None]) -> TorrentResponse:
        """The same content again is the same torrent. Any BitTorrent client can fetch it at once."""
        assert self._uploads is not None, "there would be no such route"
        assert call.upload is not None, "the route says so"
        return TorrentResponse.of(await self._uploads.take(call.upload))

    async def download(self, call: Call[DownloadFormat, None]) -> Page:
        """Bencoded, or in JSON with ``format=json``. One that names no tracker is told to announce here."""
        torrent = await known_torrent(self._catalogue, call.params["info_hash"])
        data = await told(self._catalogue.torrents.metainfo(torrent.info_hash))
        if data is None:
            raise Refused(404, "Torrent not found: it was described here, and its file is not known")
        content = parse(data)
        if not content.announce_tiers:
            content = evolve(content, announce_tiers=((self._announce_url(call.host),),))
        headers = (("Content-Disposition", attachment(f"{torrent.name}.torrent")),)
        if call.query.format == "torrent":
            return Page(dump(content), TORRENT, headers=headers)
        try:
            return Page(write_json(content), JSON, headers=headers)
        except MetainfoError as error:
            raise Refused(406, f"the torrent has no form in JSON: {error}") from None

    async def seeders(self, call: Call[None, None]) -> list[SeederResponse]:
        """Of the newest 1000 torrents."""
        assert self._uploads is not None, "there would be no such route"
        serves = self._uploads.contents.serves
        newest = await told(self._catalogue.torrents.newest(LISTED))
        return [_seeder(torrent) for torrent in newest if serves(bytes.fromhex(torrent.info_hash))]

    async def seed(self, call: Call[None, None]) -> SeederResponse:
        """One that is seeded already goes on."""
        torrent = await self._ours(call.params)
        assert self._uploads is not None, "there would be no such route"
        try:
            if await self._uploads.seed(torrent):
                return _seeder(torrent)
        except StorageError as error:
            raise Refused(409, f"{torrent.name} cannot be seeded") from error
        raise Refused(404, "Torrent not found among the uploads")

    async def stop(self, call: Call[None, None]) -> SeederResponse:
        """Its file stays, and is seeded again after a restart."""
        torrent = await self._ours(call.params)
        assert self._uploads is not None, "there would be no such route"
        info_hash = bytes.fromhex(torrent.info_hash)
        if not self._uploads.contents.serves(info_hash):
            raise Refused(404, "Torrent not found among those that are seeded")
        await self._uploads.contents.withdraw(info_hash)
        return _seeder(torrent)

    async def _ours(self, params: Mapping[str, Any]) -> Torrent:
        return await known_torrent(self._catalogue, params["info_hash"])


def _row(
    method: str, path: str, answer: Callable[..., Any], summary: str, *, access: Access = Access.SAME, **rest: Any
) -> Route:
    return Route(method, PREFIX + path, answer, summary, access, DETAIL, group=GROUP, **rest)


def _described(said: TorrentCreate, owner: str) -> TorrentClaim:
    """Make a claim of a torrent that is told in a few words: a whole one where these are all that it holds."""
    if not is_hash(said.info_hash):
        raise Refused(400, "Invalid info hash")
    expected = -(-said.file_size // said.piece_length)
    if said.num_pieces != expected:
        raise RequestRefused(f"num_pieces: {said.num_pieces}, expected {expected} of {said.piece_length} bytes")
    try:
        pieces = bytes.fromhex(said.pieces_hash)
    except ValueError:
        raise RequestRefused("pieces_hash: expected hexadecimal digits") from None
    if pieces and len(pieces) != expected * HASH_SIZE:
        raise RequestRefused(f"pieces_hash: of {len(pieces)} bytes, expected {expected * HASH_SIZE}")
    digits = said.info_hash.lower()
    content = _composed(said, pieces)
    if content is not None:
        keys = _json_keys(content)
        if digits in (content.info_hash.hex(), *(key.value for key in keys)):
            return claim_of(content, owner, keys)
    return TorrentClaim(
        info_hash=bytes.fromhex(digits),
        name=said.name,
        size=said.file_size,
        piece_length=said.piece_length,
        num_pieces=said.num_pieces,
        pieces=pieces,
        owner=owner,
    )


def _composed(said: TorrentCreate, pieces: bytes) -> Metainfo | None:
    """Make a torrent of these fields alone, if they do make one."""
    info: dict[str, object] = {
        "length": said.file_size,
        "name": said.name,
        "piece length": said.piece_length,
        "pieces": pieces,
    }
    try:
        return parse(compose(bencoding.encode(info)))
    except (MetainfoError, ValueError):  # half of a character
        return None


def _json_keys(content: Metainfo) -> tuple[ContentKey, ...]:
    try:
        return (ContentKey(Scheme.JSON_SHA1, json_info_hash(content)),)
    except MetainfoError:  # it has no such form
        return ()


def _seeder(torrent: Torrent) -> SeederResponse:
    return SeederResponse(torrent.info_hash, torrent.name, torrent.size)
