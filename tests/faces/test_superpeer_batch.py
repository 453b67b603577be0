"""Tests of p2pshare.faces.superpeer_batch."""

from __future__ import annotations

from typing import Any

from p2pshare.faces.superpeer_batch import AT_ONCE, FileBatchFace
from p2pshare.faces.superpeer_files import FileFace
from p2pshare.faces.superpeer_search import SearchFace
from p2pshare.web.rates import RateLimit
from tests.faces.superpeers import HASH, SuperpeerCase

PATH = "/api/v1/files/register_all"


class BatchTests(SuperpeerCase):
    """Files that come together."""

    def start(self, *_: Any, **site: Any) -> None:
        """Serve these rows."""
        files = FileFace(self.catalogue.shares, self.catalogue.nodes, self.news)
        rate = RateLimit(1.0, 3)
        self.serve(
            [
                *FileBatchFace(files).routes(rate),
                *files.routes(RateLimit(50.0, 1000)),
                *SearchFace(self.catalogue.shares).routes(),
            ],
            **site,
        )

    def file(self, number: int, **said: Any) -> dict[str, Any]:
        """One file of many."""
        return {"filename": f"{number}.txt", "size": number, "hash": f"{number:064x}", **said}

    def send(self, *files: Any, **said: Any) -> list[dict[str, str]]:
        """Register files; gives what became of each."""
        body = {"owner": "ann", "peer_address": "10.0.0.1:9001", "files": list(files), **said}
        reply = self.post(PATH, body)
        self.assertEqual(reply.status, 200, reply.body)
        results: list[dict[str, str]] = self.read(reply)["results"]
        return results

    def test_many(self) -> None:
        """All are found afterwards, with the owner and the address of the request; each has its own id."""
        results = self.send(*(self.file(number) for number in range(AT_ONCE)))
        files = self.value_of("/api/v1/files")
        self.assertEqual({(file["owner"], file["peer_address"]) for file in files}, {("ann", "10.0.0.1:9001")})
        ids = {file["filename"]: file["id"] for file in files}
        self.assertEqual([ids[f"{number}.txt"] for number in range(AT_ONCE)], [result["file_id"] for result in results])
        self.assertEqual(len(set(ids.values())), AT_ONCE)

    def test_same_as_one_by_one(self) -> None:
        """A file registered alone before keeps its id."""
        file_id = self.register_file(filename="a.txt")
        self.assertEqual(self.send({"filename": "b.txt", "size": 1, "hash": HASH}), [{"file_id": file_id, "error": ""}])

    def test_one_refused(self) -> None:
        """One that cannot be has its reason, and the others are registered."""
        results = self.send(self.file(1), {"filename": "x"}, self.file(2, size=-1), self.file(3))
        self.assertEqual([bool(result["file_id"]) for result in results], [True, False, False, True])
        self.assertIn("missing", results[1]["error"])
        self.assertIn("size", results[2]["error"])

    def test_not_for_others(self) -> None:
        """A file cannot say that it is somebody else's, however that is spelled."""
        self.send(self.file(1, owner="bob", Owner="bob", PeerAddress="10.9.9.9:1"))
        (file,) = self.value_of("/api/v1/files")
        self.assertEqual((file["owner"], file["peer_address"]), ("ann", "10.0.0.1:9001"))

    def test_too_many(self) -> None:
        """More than is said, or what is no list of files, is refused as a whole."""
        files = [self.file(number) for number in range(AT_ONCE + 1)]
        for body in ({"owner": "ann", "files": files}, {"owner": "ann", "files": [1]}, {"files": []}):
            self.refused(self.post(PATH, body), 400)
        self.assertEqual(self.value_of("/api/v1/files"), [])

    def test_rate(self) -> None:
        """One address may not do it all the time."""
        for _ in range(3):
            self.send()
        self.refused(self.post(PATH, {"owner": "ann", "files": []}), 429)
