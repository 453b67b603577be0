"""The page with the drawing."""

from __future__ import annotations

from html.parser import HTMLParser

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.report import write_report
from p2pshare.course.check.run import check_logs
from p2pshare.course.config import PeerInfo, PeerLine
from tests.course.check.runs import INFO, logs_of

VOID = {"meta", "path"}


class Page(HTMLParser):
    """Counts elements, and insists that each is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.seen if name == tag]


class ReportTests(SynchronousTestCase):
    def test_good_run(self) -> None:
        """Each peer is a circle, each way that pieces went an arrow and a number, and the seed has its own ring."""
        logs = logs_of()
        text = write_report(logs, check_logs(logs))
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertEqual([circle.get("class") for circle in page.all("circle")], ["seed", None, None])
        self.assertEqual(sum(path.get("class") == "flow" for path in page.all("path")), 4)
        self.assertIn("1 pieces from 1003 to 1002", text)
        self.assertIn("<tr><td>1002</td><td>1</td><td></td><td>1</td><td>2</td></tr>", text)
        self.assertIn("3 logs, 2 pieces: 0 errors, 0 warnings.", text)
        self.assertIn("Nothing: all sentences are there", text)

    def test_nothing_comes_from_elsewhere(self) -> None:
        """The page needs no other file, and runs no script."""
        page = Page(write_report(logs_of(), ()))
        self.assertEqual({name for _, attrs in page.seen for name in attrs} & {"src", "href", "onclick"}, set())
        self.assertEqual(page.all("script") + page.all("link"), [])

    def test_escaped(self) -> None:
        """What a log holds is text, never markup."""
        logs = logs_of(extra="<script>alert('1')</script>\n")
        text = write_report(logs, check_logs(logs))
        self.assertEqual(Page(text).all("script"), [])
        self.assertIn("&lt;script&gt;alert(", text)

    def test_many_peers(self) -> None:
        """With too many peers for a drawing there is the table."""
        many = PeerInfo((*INFO.peers, *(PeerLine(2000 + place, "h", 1 + place, False) for place in range(40))))
        page = Page(write_report(evolve(logs_of(), info=many), ()))
        self.assertEqual((page.all("svg"), len(page.all("tr"))), ([], 44))
