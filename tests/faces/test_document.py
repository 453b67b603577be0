"""The description of all that tracker and index offer."""

from __future__ import annotations

import json

import msgspec

from p2pshare.faces.own_files import OwnFiles
from p2pshare.faces.rest_tracker import rest_tracker_routes
from p2pshare.faces.superpeer import routes
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.web.openapi import describe
from p2pshare.web.routes import RouteTable
from tests import real_parts
from tests.faces.superpeers import SuperpeerCase
from tests.web.serving import run_now


class DocumentTests(SuperpeerCase):
    """One document for every face that has routes."""

    def test_valid(self) -> None:
        """It is OpenAPI 3.1, as an independent validator reads it, and every route has words and a way to refuse."""
        real_parts.module("openapi_spec_validator")
        from openapi_spec_validator import OpenAPIV31SpecValidator

        table = RouteTable(
            [
                *routes(self.catalogue, self.news, self.history, self.now),
                *rest_tracker_routes(self.catalogue, self.tracker, TrackerSettings()),
                *OwnFiles(lambda name: None, run_now, self.clock, 60.0, self.hits).routes(),
            ]
        )
        document = json.loads(msgspec.json.encode(describe(table, "p2pshare", "1")))
        OpenAPIV31SpecValidator(document).validate()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                self.assertTrue(operation["summary"], (method, path))
                self.assertTrue(operation["responses"], (method, path))
