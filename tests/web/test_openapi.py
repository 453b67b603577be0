"""Tests of p2pshare.web.openapi."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web.openapi import describe
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, bencoded
from p2pshare.web.routes import Call, Route, RouteTable
from p2pshare.web.uploads import FilePart, UploadForm
from tests import real_parts
from tests.web.test_uploads import FakeSink


@frozen
class Paging:
    """Which of many."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    tags: list[str] = field(factory=list)


@frozen
class Sender:
    """Who it is."""

    x_peer_id: str


@frozen
class Entry:
    """A file."""

    path: list[str]


@frozen
class Torrent:
    """
    Something that is shared.

    With all its files.
    """

    name: Annotated[str, msgspec.Meta(max_length=256)]
    files: list[Entry] = field(factory=list)
    comment: str | None = None


async def listed(call: Call[Paging, None]) -> list[Torrent]:
    """
    List what there is.

    Newest first.
    """
    return []


def opened(part: FilePart) -> FakeSink:
    """Take a file."""
    return FakeSink()


ROWS = [
    Route(
        "GET", "/api/torrents", listed, "All torrents", Access.SAME, query=Paging, reply=list[Torrent], group="torrents"
    ),
    Route("POST", "/api/torrents", listed, "Add one", Access.TOKEN, DETAIL, body=Torrent, reply=Torrent, status=201),
    Route(
        "GET",
        "/api/torrents/{id}",
        listed,
        "One",
        Access.SAME,
        params={"id": int},
        reply=Torrent,
        refusals={404: "None"},
    ),
    Route("PATCH", "/api/torrents/{id}", listed, "Change it", body=Torrent | None, params={"id": int}, status=204),
    Route("POST", "/heartbeat", listed, "Here I am", Access.OPEN, headers=Sender),
    Route("POST", "/upload", listed, "Share a file", upload=UploadForm(opened)),
    Route("PUT", "/raw", listed, "Give a torrent", body=bytes, body_type="application/x-bittorrent"),
    Route("GET", "/announce", listed, "Announce", Access.OPEN, bencoded(), query=Paging, reply=bytes, reply_type="a/b"),
]


class DocumentTests(SynchronousTestCase):
    """The document of a table."""

    def setUp(self) -> None:
        self.document = describe(RouteTable(ROWS), "p2pshare", "1.0", "Shares files.")

    def operation(self, method: str, path: str) -> Any:
        """What it says of one route."""
        return self.document["paths"][path][method]

    def test_valid(self) -> None:
        """It is OpenAPI 3.1, as an independent validator reads it."""
        real_parts.module("openapi_spec_validator")
        from openapi_spec_validator import OpenAPIV31SpecValidator

        OpenAPIV31SpecValidator(json.loads(msgspec.json.encode(self.document))).validate()

    def test_every_route(self) -> None:
        """It has every route, and every one another id."""
        found = {(method.upper(), path) for path, methods in self.document["paths"].items() for method in methods}
        self.assertEqual(found, {(row.method, row.path) for row in ROWS})
        ids = [one["operationId"] for methods in self.document["paths"].values() for one in methods.values()]
        self.assertEqual(len(set(ids)), len(ROWS))

    def test_words(self) -> None:
        """A route has its summary, what its function says of itself, and its group."""
        operation = self.operation("get", "/api/torrents")
        self.assertEqual(operation["summary"], "All torrents")
        self.assertEqual(operation["description"], "List what there is.\n\nNewest first.")
        self.assertEqual(operation["tags"], ["torrents"])

    def test_parameters(self) -> None:
        """Parts of the path, the query and headers are parameters, with their limits and defaults."""
        self.assertEqual(
            self.operation("get", "/api/torrents")["parameters"][0],
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            },
        )
        self.assertEqual(
            self.operation("get", "/api/torrents/{id}")["parameters"],
            [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
        )
        (header,) = self.operation("post", "/heartbeat")["parameters"]
        self.assertEqual((header["name"], header["in"], header["required"]), ("x-peer-id", "header", True))

    def test_bodies(self) -> None:
        """A body is its class, bytes, or a form with a file; one that may be left out is not required."""
        body = self.operation("post", "/api/torrents")["requestBody"]
        self.assertEqual(
            body,
            {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Torrent"}}}},
        )
        self.assertFalse(self.operation("patch", "/api/torrents/{id}")["requestBody"]["required"])
        form = self.operation("post", "/upload")["requestBody"]["content"]["multipart/form-data"]["schema"]
        self.assertEqual(form["required"], ["file"])
        self.assertIn("application/x-bittorrent", self.operation("put", "/raw")["requestBody"]["content"])

    def test_answers(self) -> None:
        """Each answer has its status; errors are in the form of their face, those of the row and those of its kind."""
        responses = self.operation("post", "/api/torrents")["responses"]
        self.assertEqual(list(responses), ["201", "401", "422"])
        error = responses["422"]["content"]["application/json"]["schema"]
        self.assertEqual(error["required"], ["detail"])
        responses = self.operation("get", "/api/torrents/{id}")["responses"]
        self.assertEqual((list(responses), responses["404"]["description"]), (["200", "400", "404"], "None"))
        self.assertEqual(list(self.operation("get", "/announce")["responses"]), ["200"])

    def test_schemas(self) -> None:
        """The classes of bodies and replies are there, and those inside them; a query is not one of them."""
        schemas = self.document["components"]["schemas"]
        self.assertEqual(list(schemas), ["Entry", "Torrent"])
        self.assertEqual(schemas["Torrent"]["description"], "Something that is shared.\n\nWith all its files.")
        self.assertEqual(schemas["Torrent"]["properties"]["name"], {"type": "string", "maxLength": 256})

    def test_security(self) -> None:
        """Who has to show the token is told so, and nobody else."""
        self.assertEqual(self.operation("post", "/upload")["security"], [{"bearer": []}])
        self.assertNotIn("security", self.operation("get", "/api/torrents"))
        self.assertNotIn("security", self.operation("get", "/announce"))

    def test_two_of_one_name(self) -> None:
        """Two different classes of one name would be one schema: that is refused when it is written."""

        @frozen
        class Torrent:
            """Another one."""

            other: int

        rows = [*ROWS, Route("GET", "/other", listed, "", reply=Torrent)]
        with self.assertRaisesRegex(ValueError, "two different types are called Torrent"):
            describe(RouteTable(rows), "x", "1")
