"""Tests of p2pshare.index.search: what is found, in which order, and that any text may be typed."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from p2pshare.errors import RequestRefused
from p2pshare.index.records import Share
from p2pshare.index.search import LONGEST_PAGE, PAGE, Results, SearchQuery, Sort
from p2pshare.index.words import fold
from tests.index.opened import IndexTestCase, node_claim, share_claim, torrent_claim

_NO_NAME = re.compile("[\0\ud800-\udfff]")


class SearchTestCase(IndexTestCase):
    """What tests of searches have in common."""

    def share(self, filename: str, **said: Any) -> Share:
        """Share a file of a content of its own."""
        said.setdefault("hash", filename)
        self.clock.advance(1)
        return self.successResultOf(self.catalogue.shares.register(share_claim(filename, **said)))

    def results(self, text: str = "", **said: Any) -> Results:
        """Search."""
        return self.successResultOf(self.catalogue.shares.search(SearchQuery(text, **said)))

    def names(self, text: str = "", **said: Any) -> list[str]:
        """Search by name, and give the names of what is found."""
        return [share.filename for share in self.results(text, **{"sort": Sort.NAME, **said}).shares]


class TextTests(SearchTestCase):
    """Words."""

    def test_s2_6_name_category_and_tags(self) -> None:
        """Words are found in names, categories and tags, whatever their capitals."""
        self.share("Holiday.JPG", category="image", tags=("Beach", "2024"))
        self.share("budget.xlsx", category="document", tags=("work",))
        for text in ("holiday", "HOLI", "image", "beach", "jpg", "2024", "Beach image"):
            self.assertEqual(self.names(text), ["Holiday.JPG"], text)

    def test_s2_6_nothing_found(self) -> None:
        """What is nowhere gives an empty page and a count of 0."""
        self.share("a")
        self.assertEqual(self.results("zebra"), Results(0, ()))
        self.assertEqual(self.results("z"), Results(0, ()))

    def test_anywhere_in_a_word(self) -> None:
        """The beginning, the middle and the end of a word find it, down to one character."""
        self.share("symphony.flac")
        for text in ("sym", "mpho", "ony", "hony.fl", "s", "y", "ph", "c"):
            self.assertEqual(self.names(text), ["symphony.flac"], text)

    def test_all_words_have_to_occur(self) -> None:
        """Several words, long and short, are all wanted, in any order."""
        self.share("annual report 07")
        self.share("annual budget 07")
        self.assertEqual(self.names("report annual"), ["annual report 07"])
        self.assertEqual(self.names("07 rep"), ["annual report 07"])
        self.assertEqual(self.names("07 an"), ["annual budget 07", "annual report 07"])
        self.assertEqual(self.names("07 zz"), [])

    def test_no_word_over_a_border(self) -> None:
        """The end of the name and the beginning of a tag make no word."""
        self.share("song", category="live", tags=("rock",))
        self.assertEqual((self.names("ngli"), self.names("gl"), self.names("er")), ([], [], []))

    def test_accents(self) -> None:
        """Accents make no difference, on either side."""
        self.share("Café Señor.mp3")
        self.assertEqual(self.names("cafe senor"), ["Café Señor.mp3"])
        self.share("zoe.mp3")
        self.assertEqual(self.names("ZOË"), ["zoe.mp3"])

    def test_scripts_without_spaces(self) -> None:
        """One or two Han characters are found inside a name."""
        self.share("年度会议记录.mp4")
        for text in ("年", "会议", "度会议", "记录"):
            self.assertEqual(self.names(text), ["年度会议记录.mp4"], text)
        self.assertEqual(self.names("议会"), [])

    def test_paths_inside_torrents(self) -> None:
        """A share is found by the paths of its torrent, by all sharers of that content."""
        claim = torrent_claim(name="album", paths=("disc 1/Overture.flac", "disc 1/cover.png"))
        self.successResultOf(self.catalogue.torrents.add(claim))
        self.assertEqual(self.names("overture"), ["album"])
        self.assertEqual(self.names("disc cover"), ["album"])
        self.assertEqual(self.names("1/ov"), ["album"])

    def test_no_longer_found(self) -> None:
        """What an entry was found by before its labels changed finds it no more."""
        self.share("song", tags=("rock",), category="audio")
        self.share("song", tags=("jazz",), category="music")
        self.assertEqual((self.names("rock"), self.names("audio"), self.names("jazz")), ([], [], ["song"]))

    def test_raw(self) -> None:
        """Results hold what was registered, not escaped for any page."""
        name = "<script>alert('1')</script> & \"q\".mp3"
        self.share(name, tags=("<b>",))
        for text in ("<script>", "alert('1')", '"q"', "&", "<b>"):
            found = self.results(text).shares
            self.assertEqual([(share.filename, share.tags) for share in found], [(name, ("<b>",))], text)

    def test_operators_mean_nothing(self) -> None:
        """Operators of search languages are text like any other."""
        self.share('a "b" OR c* -x (y) NEAR/2 col:z ^% _.txt')
        self.share("other.txt")
        for text in ('"b"', "OR", "c*", "-x", "(y)", "NEAR/2", "col:z", "^", "%", "_", "NOT", "AND", "'"):
            expected = 0 if text in ("NOT", "AND", "'") else 1
            self.assertEqual(self.results(text).total, expected, text)
        self.assertEqual(self.names("o%r"), [])
        self.assertEqual(self.names("o_her"), [])

    def test_a_pasted_name(self) -> None:
        """A whole name of 255 characters finds its file."""
        name = ("Annual report of the second year, " * 10)[:251] + ".pdf"
        self.share(name)
        self.assertEqual(self.names(name), [name])

    def test_long_text(self) -> None:
        """Ten thousand characters are no error, whatever they are."""
        self.share("x")
        for text in ("x " * 5000, '"' * 10_000, "y" * 10_000, "a b c d " * 1250):
            self.results(text)

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(), max_size=40) | st.text("\"'*()-:^%_\\ \0NOTANDOR{}+", max_size=40))
    def test_any_text_is_safe(self, text: str) -> None:
        """Any text gives a page, and what holds it is found by it."""
        self.results(text, sort=Sort.SIZE)
        if text and not _NO_NAME.search(text):
            share = self.share(text, hash="ab" * 32)
            self.assertEqual(self.names(text), [text])
            self.successResultOf(self.catalogue.shares.unregister(share.id))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.text("abé .", min_size=1, max_size=8), min_size=1, max_size=6), st.text("abe .", max_size=4))
    def test_same_as_looking_at_each(self, names: list[str], typed: str) -> None:
        """What is found is exactly what holds each of the words."""
        shares = [self.share(name, category="c") for name in names]
        wanted = {name for name in names if all(word in fold(name) or word == "c" for word in fold(typed).split())}
        self.assertEqual(sorted(self.names(typed)), sorted(wanted))
        for share in shares:
            self.successResultOf(self.catalogue.shares.unregister(share.id))


class FilterTests(SearchTestCase):
    """Conditions besides words."""

    def setUp(self) -> None:
        super().setUp()
        self.share("a.jpg", category="image", tags=("Sea", "Sun"), size=10, owner="ann")
        self.share("b.jpg", category="image", tags=("sea",), size=20, owner="bob")
        self.share("c.mp3", category="audio", tags=(), size=30, owner="cid")

    def test_s2_6_category(self) -> None:
        """A category is the exact one."""
        self.assertEqual(self.names(category="image"), ["a.jpg", "b.jpg"])
        self.assertEqual((self.names(category="imag"), self.names(category="")), ([], []))

    def test_s2_6_tags(self) -> None:
        """Several tags are all wanted; each is a whole tag, whatever its capitals."""
        self.assertEqual(self.names(tags=("SEA",)), ["a.jpg", "b.jpg"])
        self.assertEqual(self.names(tags=("sea", "sun")), ["a.jpg"])
        self.assertEqual(self.names(tags=("se",)), [])

    def test_owner_and_size(self) -> None:
        """An owner is the exact one; sizes include their limits."""
        self.assertEqual(self.names(owner="bob"), ["b.jpg"])
        self.assertEqual(self.names(min_size=20), ["b.jpg", "c.mp3"])
        self.assertEqual(self.names(min_size=20, max_size=20), ["b.jpg"])

    def test_online(self) -> None:
        """Shares of nodes that are there, or are not; strangers are neither."""
        for owner, port in (("ann", 1), ("bob", 2)):
            self.successResultOf(self.catalogue.nodes.register(node_claim(owner, port=port)))
        self.clock.advance(121)
        self.successResultOf(self.catalogue.nodes.heard_from("ann"))
        self.successResultOf(self.catalogue.nodes.drop_silent(120))
        self.assertEqual((self.names(online=True), self.names(online=False)), (["a.jpg"], ["b.jpg"]))

    def test_all_together(self) -> None:
        """Everything said has to hold."""
        self.assertEqual(self.names("jpg", category="image", tags=("sea",), max_size=10), ["a.jpg"])
        self.assertEqual(self.results("jpg", category="audio").total, 0)

    def test_values_too_large(self) -> None:
        """A number that no database holds is refused in words, not with an error of ours."""
        failure = self.failureResultOf(self.catalogue.shares.search(SearchQuery(min_size=1 << 64)), RequestRefused)
        self.assertEqual(str(failure.value), "a number is larger than the index can hold")


class PlanTests(SearchTestCase):
    """Ways of finding: all give the same, and none asks the search tables once for each row."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(60):
            self.share(
                f"{'ab'[number % 2]} common {number:02}",
                size=number % 7,
                category="even" if number % 3 else "rare",
                tags=("tag",) if number % 5 else (),
                owner=f"node{number % 4}",
            )
        for number in range(3):
            self.successResultOf(self.catalogue.nodes.register(node_claim(f"node{number}", port=number + 1)))

    def expected(self, query: SearchQuery) -> list[str]:
        """Find the ids by looking at each share."""
        shares = self.successResultOf(self.catalogue.shares.search(SearchQuery(limit=LONGEST_PAGE))).shares
        found = [
            share
            for share in shares
            if all(word in f"{share.filename} {share.category} {share.tags}" for word in query.text.split())
            and query.category in (None, share.category)
            and set(query.tags) <= set(share.tags)
            and query.owner in (None, share.owner)
            and (query.min_size or 0) <= share.size <= (99 if query.max_size is None else query.max_size)
            and query.online in (None, share.online)
        ]
        if query.sort is Sort.NAME:
            found.sort(key=lambda share: share.filename)
        elif query.sort is Sort.SIZE:
            found.sort(key=lambda share: -share.size)
        return [share.id for share in found]

    @settings(max_examples=150, deadline=None)
    @given(
        st.builds(
            SearchQuery,
            st.sampled_from(["", "a", "common", "common 1", "a com", "59", "rare", "zebra"]),
            category=st.none() | st.sampled_from(["even", "rare", "none"]),
            tags=st.sampled_from([(), ("tag",)]),
            owner=st.none() | st.just("node1"),
            min_size=st.none() | st.integers(0, 7),
            max_size=st.none() | st.integers(0, 7),
            online=st.none() | st.booleans(),
            sort=st.sampled_from([Sort.NEWEST, Sort.NAME, Sort.SIZE]),
            limit=st.integers(0, 70),
            offset=st.integers(0, 40),
        )
    )
    def test_all_ways_find_the_same(self, query: SearchQuery) -> None:
        """Whatever is asked, the page is what one finds by looking at every share."""
        expected = self.expected(query)
        statements: list[tuple[str, Any]] = []

        def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            statements.append((statement, parameters))

        engine = self.database._engines.reader
        event.listen(engine, "before_cursor_execute", note)
        results = self.successResultOf(self.catalogue.shares.search(query))
        event.remove(engine, "before_cursor_execute", note)
        found = [share.id for share in results.shares]
        self.assertEqual((results.total, found), (len(expected), expected[query.offset :][: query.limit]))
        plans = [
            row[3]
            for statement, parameters in statements
            if statement.startswith("SELECT")
            for row in self.inside(
                lambda connection, said=(f"EXPLAIN QUERY PLAN {statement}", parameters): connection.exec_driver_sql(
                    *said
                ).all()
            )
        ]
        self.assertEqual([plan for plan in plans if re.search("VIRTUAL TABLE INDEX [0-9]+:.*=", plan)], [])


class PageTests(SearchTestCase):
    """Orders and pages."""

    def test_s2_7_orders(self) -> None:
        """By name from a to z, all others from the largest; the newest come first when nothing is said."""
        one = self.share("B.mp3", size=3)
        two = self.share("a.mp3", size=1)
        three = self.share("Ä.mp3", size=2)
        for share, downloads, rating in ((one, 1, 2), (two, 2, 1), (three, 3, 3)):
            for _ in range(downloads):
                self.catalogue.shares.count_download(share.id)
            self.successResultOf(self.catalogue.shares.rate(share.id, "bob", rating))
        self.successResultOf(self.catalogue.memberships.flush())
        for sort, expected in (
            (Sort.NEWEST, [three, two, one]),
            (Sort.NAME, [two, three, one]),
            (Sort.SIZE, [one, three, two]),
            (Sort.DOWNLOADS, [three, two, one]),
            (Sort.RATING, [three, one, two]),
        ):
            for text in ("", "mp3", "m"):
                found = [share.id for share in self.results(text, sort=sort).shares]
                self.assertEqual(found, [share.id for share in expected], (sort, text))

    def test_s2_7_names_of_orders(self) -> None:
        """Orders have the names of the API; one that nobody knows means the newest first."""
        names = ("name", "filename", "size", "downloads", "rating", "upload_time", "", "x")
        orders = [Sort.NAME, Sort.NAME, Sort.SIZE, Sort.DOWNLOADS, Sort.RATING, Sort.NEWEST, Sort.NEWEST, Sort.NEWEST]
        self.assertEqual([Sort.named(name) for name in names], orders)

    def test_pages(self) -> None:
        """Pages lie side by side without holes, and each tells how much there is in all."""
        for number in range(7):
            self.share(f"file{number}", size=1)
        for sort in Sort:
            whole = self.results("file", sort=sort).shares
            pages = [self.results("file", sort=sort, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
            self.assertEqual([share for page in pages for share in page.shares], list(whole))
            self.assertEqual([(page.total, len(page.shares)) for page in pages], [(7, 3), (7, 3), (7, 1), (7, 0)])
        self.assertEqual(self.results(limit=0), Results(7, ()))

    def test_s2_7_default_page(self) -> None:
        """Who does not say how many gets 50."""
        for number in range(PAGE + 1):
            self.share(f"file{number}")
        found = self.results()
        self.assertEqual((found.total, len(found.shares)), (51, 50))

    def test_limits_of_a_page(self) -> None:
        """Pages longer than 1,000, and numbers below 0, are refused."""
        for said in ({"limit": LONGEST_PAGE + 1}, {"limit": -1}, {"offset": -1}):
            self.assertRaises(RequestRefused, SearchQuery, **said)
        SearchQuery(limit=LONGEST_PAGE, offset=10**9)
