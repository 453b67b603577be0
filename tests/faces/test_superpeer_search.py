"""Tests of p2pshare.faces.superpeer_search."""

from __future__ import annotations

from urllib.parse import quote

from tests.faces.superpeers import SuperpeerCase

CATEGORIES = ("document", "image", "video", "audio", "archive", "other")


class SearchTests(SuperpeerCase):
    """Who looks for files."""

    def setUp(self) -> None:
        super().setUp()
        for number, category in enumerate(CATEGORIES):
            self.share(
                f"{category[0]}-{number}.bin",
                hash=f"{number:064x}",
                category=category,
                size=number * 100,
                tags=("music", "Live") if category == "audio" else (),
            )
            self.clock.advance(1)

    def test_s2_6_category(self) -> None:
        """A category is matched exactly; an empty one is all of them."""
        self.assertEqual(self.found("category=image"), ["i-1.bin"])
        self.assertEqual(self.found("category=imag"), [])
        self.assertEqual(len(self.found("category=&q=&sort=")), 6)

    def test_s2_6_words(self) -> None:
        """Words are found in names, categories and tags, whatever their case."""
        self.assertEqual(self.found("q=D-0"), ["d-0.bin"])
        self.assertEqual(self.found("q=ARCH"), ["a-4.bin"])
        self.assertEqual(self.found("q=live"), ["a-3.bin"])

    def test_s2_6_tags(self) -> None:
        """Every tag that is named has to be given."""
        self.assertEqual(self.found("tags=music"), ["a-3.bin"])
        self.assertEqual(self.found("tags=music&tags=live"), ["a-3.bin"])
        self.assertEqual(self.found("tags=music&tags=jazz"), [])
        self.assertEqual(len(self.found("tags=")), 6)

    def test_s2_6_nothing(self) -> None:
        """When nothing fits, the list is empty, and no null."""
        self.assertEqual(
            self.value_of("/api/v1/files/search?q=nowhere"),
            {"results": [], "count": 0, "query": "nowhere", "total": 0},
        )

    def test_s2_7_orders(self) -> None:
        """By name ascending, by size, downloads and rating descending, else the newest first."""
        (document, image, *_) = [file["id"] for file in reversed(self.value_of("/api/v1/files"))]
        self.catalogue.shares.count_download(image)
        self.successResultOf(self.catalogue.memberships.flush())
        self.successResultOf(self.catalogue.shares.rate(document, "somebody", 3))
        names = ["a-3.bin", "a-4.bin", "d-0.bin", "i-1.bin", "o-5.bin", "v-2.bin"]
        newest = ["o-5.bin", "a-4.bin", "a-3.bin", "v-2.bin", "i-1.bin", "d-0.bin"]
        self.assertEqual(self.found("sort=name"), names)
        self.assertEqual(self.found("sort=size"), newest)
        self.assertEqual(self.found("sort=downloads")[0], "i-1.bin")
        self.assertEqual(self.found("sort=rating")[0], "d-0.bin")
        for query in ("", "sort=", "sort=upload_time", "sort=nonsense"):
            self.assertEqual(self.found(query), newest)

    def test_s2_7_limit(self) -> None:
        """At most as many as were asked for, and 50 where that is no number."""
        for number in range(60):
            self.share(f"more-{number}", hash=f"{number + 1000:064x}")
        reply = self.value_of("/api/v1/files/search?limit=2")
        self.assertEqual((len(reply["results"]), reply["count"], reply["total"]), (2, 2, 66))
        for query in ("", "limit=abc", "limit=-1", "limit=0", "limit=", "limit=1.5", "limit=%D9%A1", "limit=1_0"):
            self.assertEqual(len(self.found(query)), 50, query)
        for query in ("limit=60", "limit=9999999999999999999999999999", f"limit={'9' * 5000}"):
            self.assertEqual(len(self.found(query)), 60 if query == "limit=60" else 66)

    def test_offset(self) -> None:
        """The next page begins where the last one ended; what is no number begins at the start."""
        every = self.found()
        self.assertEqual(self.found("limit=2&offset=2"), every[2:4])
        self.assertEqual(self.found("offset=6"), [])
        self.assertEqual(self.found("offset=99999999999999999999999"), [])
        for offset in ("abc", "-1", ""):
            self.assertEqual(self.found(f"offset={offset}"), every)

    def test_size_and_owner(self) -> None:
        """Sizes are bounds, both included; an owner is matched exactly."""
        self.assertEqual(self.found("sort=size&min_size=100&max_size=300"), ["a-3.bin", "v-2.bin", "i-1.bin"])
        self.share("bobs", owner="bob", hash="ff" * 32)
        self.assertEqual(self.found("owner=bob"), ["bobs"])
        self.assertEqual(self.found("owner=bo"), [])

    def test_online(self) -> None:
        """Files can be asked for by whether their owner is there."""
        self.node("ann")
        self.node("bob", port=9002)
        self.share("bobs", owner="bob", hash="ff" * 32)
        self.clock.advance(100)
        self.successResultOf(self.catalogue.nodes.heard_from("ann"))
        self.successResultOf(self.catalogue.nodes.drop_silent(50))
        self.assertEqual(len(self.found("online=true")), 6)
        self.assertEqual(self.found("online=false"), ["bobs"])

    def test_bad_queries(self) -> None:
        """A bound that is no number, and a word given twice, are 400."""
        for query in ("min_size=abc", "max_size=1.5", "online=perhaps", "q=a&q=b", "q=%ff", f"min_size={1 << 70}"):
            self.refused(self.get(f"/api/v1/files/search?{query}"), 400)

    def test_echo(self) -> None:
        """What was typed comes back as it was."""
        typed = "<script>&\"'é漢\r\n"
        reply = self.get(f"/api/v1/files/search?q={quote(typed)}")
        self.assertEqual(self.read(reply)["query"], typed)
        self.assertEqual(reply.headers["x-content-type-options"], "nosniff")


class OneFileTests(SuperpeerCase):
    """Looking up what is known by its id or its content."""

    def test_by_id(self) -> None:
        """An id gives its file, as lists show it; another one is not found."""
        file_id = self.register_file()
        self.register_file(filename="b.mp3", hash="cd" * 32)
        listed = {file["id"]: file for file in self.value_of("/api/v1/files")}
        self.assertEqual(self.value_of(f"/api/v1/files/{file_id}"), listed[file_id])
        self.refused(self.get("/api/v1/files/0123456789abcdef"), 404)

    def test_by_hash(self) -> None:
        """A hash finds all who share that content, in any case, beside whatever else is wanted."""
        self.register_file(filename="a.mp3", hash="ab" * 32)
        self.register_file(filename="b.mp3", hash="ab" * 32, owner="bob")
        self.register_file(filename="c.mp3", hash="cd" * 32)
        self.assertEqual(sorted(self.found(f"hash={'AB' * 32}")), ["a.mp3", "b.mp3"])
        self.assertEqual(self.found(f"hash={'ab' * 32}&owner=bob"), ["b.mp3"])
        self.assertEqual(self.found(f"hash={'00' * 32}"), [])
        self.assertEqual(self.found("hash=nonsense"), [])


class ListTests(SuperpeerCase):
    """All files."""

    def test_empty(self) -> None:
        """Where there is nothing, lists are empty, and no null."""
        for path in ("files", "peers"):
            self.assertEqual(self.get(f"/api/v1/{path}").body, b"[]")

    def test_newest_first(self) -> None:
        """Files come with the newest first, and in pages if asked for."""
        for number in range(60):
            self.share(f"{number}", hash=f"{number:064x}")
            self.clock.advance(1)
        names = [file["filename"] for file in self.value_of("/api/v1/files")]
        self.assertEqual(names, [str(number) for number in reversed(range(60))])
        page = self.value_of("/api/v1/files?limit=2&offset=1")
        self.assertEqual([file["filename"] for file in page], ["58", "57"])
