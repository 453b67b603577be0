"""Tests of p2pshare.web.replies."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RequestRefused
from p2pshare.web.bodies import Page
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, ERROR, Refused, Reply, bencoded, phrase, redirect, rendered
from p2pshare.web.routes import Call, Route
from tests.web.serving import ServedCase


@frozen
class Thing:
    """A value."""

    a: int
    b: str | None = None


class RenderedTests(SynchronousTestCase):
    """Values as answers."""

    def test_values(self) -> None:
        """A value is JSON; nothing is nothing; a page is what it is."""
        self.assertEqual(rendered([Thing(1)]).body, b'[{"a":1,"b":null}]')
        self.assertEqual(rendered([]).body, b"[]")
        self.assertEqual(rendered(None), Page())
        self.assertEqual(rendered(Page(b"x")), Page(b"x"))
        page = rendered(Reply(Thing(1), 201, (("X", "y"),)))
        self.assertEqual((page.status, page.headers, page.content_type), (201, (("X", "y"),), "application/json"))

    def test_redirect(self) -> None:
        """A redirect has its place."""
        self.assertEqual(redirect("/a").headers, (("Location", "/a"),))


class ErrorFormTests(SynchronousTestCase):
    """How errors are worded."""

    def test_statuses(self) -> None:
        """A refusal without a status has the one of its face; announces have one for all."""
        missing, gone = RequestRefused("port: missing"), Refused(404, "gone", (("X", "y"),))
        self.assertEqual(
            [form.page(missing).status for form in (ERROR, DETAIL, bencoded(), bencoded(None))], [400, 422, 200, 400]
        )
        self.assertEqual(
            [form.page(gone).status for form in (ERROR, DETAIL, bencoded(), bencoded(None))], [404, 404, 200, 404]
        )
        self.assertEqual(ERROR.page(gone).headers, (("X", "y"),))

    def test_words(self) -> None:
        """The text is the same in every form, whatever is in it."""
        refusal = RequestRefused('a "b"\n<c> é')
        self.assertEqual(ERROR.page(refusal).body, '{"error":"a \\"b\\"\\n<c> é"}'.encode())
        self.assertEqual(bencoded().page(refusal).body, b'd14:failure reason12:a "b"\n<c> \xc3\xa9e')

    def test_phrases(self) -> None:
        """Every status has its phrase, those that Twisted does not know, too."""
        self.assertEqual(
            [phrase(status) for status in (421, 422, 429, 799)],
            ["Misdirected Request", "Unprocessable Entity", "Too Many Requests", "Unknown"],
        )


class HeaderTests(ServedCase):
    """Headers with values from elsewhere."""

    def test_f77_line_ends(self) -> None:
        """A line end in a value adds no header; a character that headers do not have is replaced."""

        async def answer(call: Call[None, None]) -> Page:
            return Page(headers=(("X-Name", "a\r\nSet-Cookie: b=c\r\n\r\nbody"), ("X-Other", "日")))

        self.serve([Route("GET", "/", answer, "", Access.OPEN)])
        reply = self.get("/")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertNotIn("set-cookie", reply.headers)
        self.assertEqual(reply.headers["x-other"], "?")
