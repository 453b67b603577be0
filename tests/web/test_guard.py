"""Tests of p2pshare.web.guard: whom a service lets in (rows F73 to F75 and F80 of docs/acceptance.md)."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.web.server import NOT_DONE_YET

from p2pshare.web.guard import token_url
from p2pshare.web.paths import Access, View
from p2pshare.web.routes import Call, Route
from tests.web.connections import Reply
from tests.web.serving import BEARER, TOKEN, ServedCase

HERE = "https://files.example"


async def done(call: Call[Any, Any]) -> str:
    """Answer."""
    return "done"


def rows() -> list[Route]:
    """A route of each kind."""
    return [
        Route("GET", "/announce", done, "", Access.OPEN),
        Route("GET", "/page", done, "", Access.SAME),
        Route("POST", "/page", done, "", Access.SAME),
        Route("GET", "/mine", done, "", Access.TOKEN),
        Route("POST", "/mine", done, "", Access.TOKEN),
        Route("DELETE", "/mine", done, "", Access.TOKEN),
    ]


class GuardCase(ServedCase):
    """Has a site with a token, a name and a friend."""

    def setUp(self) -> None:
        super().setUp()
        self.serve(rows(), token=TOKEN, hosts=("Files.Example",), origins=("https://Friend.example/",))


class HostTests(GuardCase):
    """By which name we are called."""

    def test_f73_own_names(self) -> None:
        """IP addresses, localhost and the configured names pass, with any port."""
        for host in (
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[2001:db8::1]",
            "192.168.1.5",
            "files.example",
            "FILES.example.:443",
        ):
            self.assertEqual(self.get("/page", host=host).status, 200, host)

    def test_f73_foreign_names(self) -> None:
        """Any other name is 421 before anything else, on paths that are not there, too."""
        for host in (
            "evil.example",
            "evil.example:8000",
            "files.example.evil.example",
            "localhost.evil",
            "",
            "a b",
            "[x]",
        ):
            for path in ("/page", "/mine", "/nothing"):
                self.refused(self.get(path, BEARER, host=host), 421)
        self.assertEqual(self.hits["hosts"], 21)
        self.refused(self.ask("PUT", "/page", host="evil.example"), 421)

    def test_f73_two_names(self) -> None:
        """A request with two hosts, or none, is 421."""
        self.refused(self.get("/page", "Host: evil.example"), 421)
        connection = self.connect()
        connection.send(b"GET /page HTTP/1.1\r\n\r\n")
        self.assertEqual([reply.status for reply in connection.replies()], [421])

    def test_machines_are_not_asked(self) -> None:
        """Open paths answer under any name: a tracker is known by many."""
        self.assertEqual(self.get("/announce", host="tracker.example").status, 200)

    def test_name_is_not_markup(self) -> None:
        """What is echoed of a name is JSON, and short."""
        reply = self.get("/page", host="<script>" + "a" * 300)
        self.assertLess(len(self.refused(reply, 421)), 200)


class OriginTests(GuardCase):
    """Which page asks."""

    def test_f74_foreign_page(self) -> None:
        """A page from elsewhere cannot write, whatever else it shows; 403."""
        for origin in ("https://evil.example", "null", "http://localhost.evil", "https://localhost:1", "file://", "x"):
            reply = self.ask("POST", "/mine", f"Origin: {origin}", BEARER)
            self.assertIn("a page from elsewhere", self.refused(reply, 403))
        self.refused(self.ask("POST", "/page", "Origin: https://evil.example"), 403)
        self.refused(self.ask("DELETE", "/mine", "Origin: https://evil.example", BEARER), 403)
        self.assertEqual(self.hits["origins"], 8)

    def test_own_page(self) -> None:
        """A page of ours can: its origin is the name it called us by."""
        self.assertEqual(self.ask("POST", "/page", "Origin: http://localhost:8000", host="localhost:8000").status, 200)
        self.assertEqual(self.ask("POST", "/page", f"Origin: {HERE}", host="Files.example").status, 200)

    def test_friend(self) -> None:
        """A page in the list can, and may read the answer."""
        reply = self.ask("POST", "/page", "Origin: https://friend.example")
        self.assertEqual((reply.status, reply.headers["access-control-allow-origin"]), (200, "https://friend.example"))
        self.assertEqual(reply.headers["vary"], "Origin")
        reply = self.get("/page", "Origin: https://evil.example")
        self.assertNotIn("access-control-allow-origin", reply.headers)

    def test_f74_preflight(self) -> None:
        """A preflight is allowed to a page in the list, by its name and never by a star; to others it is not."""
        asked = "Access-Control-Request-Method: POST"
        reply = self.ask("OPTIONS", "/mine", "Origin: https://friend.example", asked)
        self.assertEqual((reply.status, reply.headers["access-control-allow-origin"]), (204, "https://friend.example"))
        self.assertEqual(reply.headers["access-control-allow-methods"], "DELETE, GET, POST")
        self.assertIn("Authorization", reply.headers["access-control-allow-headers"])
        reply = self.ask("OPTIONS", "/mine", "Origin: https://evil.example", asked)
        self.assertEqual([name for name in reply.headers if name.startswith("access-control")], [])

    def test_no_origin(self) -> None:
        """Without an Origin it is what the browser says of the site; without a browser there is no page."""
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            self.assertEqual(self.ask("POST", "/page", f"Sec-Fetch-Site: {site}").status, status)
        self.assertEqual(self.ask("POST", "/page").status, 200)

    def test_f80_foreign_websocket(self) -> None:
        """A WebSocket is asked for its page, too, although it begins with a GET."""
        self.serve(views={b"/ws": View(lambda request: b"in", access=Access.TOKEN)}, token=TOKEN)
        upgrade = "Upgrade: WebSocket"
        self.refused(self.get("/ws", upgrade, "Origin: https://evil.example", BEARER), 403)
        self.refused(self.get("/ws", upgrade, BEARER, host="evil.example"), 421)
        self.refused(self.get("/ws", upgrade, "Origin: http://localhost"), 401)
        self.assertEqual(self.get("/ws", upgrade, "Origin: http://localhost", BEARER).body, b"in")


class TokenTests(GuardCase):
    """The token."""

    def cookie(self, reply: Reply) -> str:
        """The cookie that an answer sets, as a browser sends it."""
        return f"Cookie: a=b; {reply.headers['set-cookie'].partition(';')[0]}"

    def test_bearer(self) -> None:
        """The token in a header opens what needs one; what does not is open anyway."""
        self.assertEqual(self.get("/mine", BEARER).status, 200)
        self.assertEqual(self.get("/mine", f"authorization: bearer  {TOKEN}").status, 200)
        self.assertEqual(self.get("/page").status, 200)

    def test_f75_missing_or_wrong(self) -> None:
        """Without it, or with another one, it is 401, and no hint."""
        for headers in (
            [],
            ["Authorization: Bearer"],
            [f"Authorization: Basic {TOKEN}"],
            [f"Authorization: Bearer {TOKEN[:-1]}"],
            [f"Authorization: Bearer {TOKEN}x"],
            ["Cookie: token=" + TOKEN],
            ["Authorization: Bearer \xe9"],
        ):
            reply = self.get("/mine", *headers)
            self.assertIn("token", self.refused(reply, 401))
            self.assertEqual(reply.headers["www-authenticate"], 'Bearer realm="p2pshare"')
            self.assertNotIn(TOKEN[:8].encode(), reply.body)

    def test_f75_constant_time(self) -> None:
        """The comparison is one whose time says nothing."""
        with mock.patch("p2pshare.web.guard.hmac.compare_digest", return_value=True) as compare:
            self.assertEqual(self.get("/mine", "Authorization: Bearer x").status, 200)
        compare.assert_called_once_with(b"x", TOKEN.encode())

    def test_f75_guessing(self) -> None:
        """Who guesses ten times is made to wait, for the right one too; nobody else is."""
        for _ in range(10):
            self.refused(self.get("/mine", "Authorization: Bearer guess"), 401)
        reply = self.get("/mine", BEARER)
        self.assertEqual((self.refused(reply, 429), reply.headers["retry-after"]), ("too many wrong tokens", "6"))
        self.assertEqual(self.connect("203.0.113.8").ask("GET", "/mine", BEARER).status, 200)
        self.assertEqual(self.hits["wrong_tokens"], 1)
        self.clock.advance(5)
        self.assertEqual(self.get("/mine", BEARER).status, 200)
        self.assertEqual(self.get("/mine", BEARER).status, 200)

    def test_missing_is_not_guessing(self) -> None:
        """A page that was never given the token may ask as often as it likes."""
        for _ in range(50):
            self.refused(self.get("/mine"), 401)

    def test_exempt_guessing(self) -> None:
        """On an exempt address nobody is made to wait: an old page there must not lock its owner out."""
        self.serve(rows(), token=TOKEN, exempt=("private",))
        connection = self.connect("127.0.0.1")
        for _ in range(30):
            self.assertEqual(connection.ask("GET", "/mine", "Authorization: Bearer guess").status, 401)
        self.assertEqual(connection.ask("GET", "/mine", BEARER).status, 200)

    def test_url(self) -> None:
        """The URL that was printed sets a cookie and leads on without the token; the cookie opens the rest."""
        reply = self.get(f"/page?a=b%20c&token={TOKEN}&d=")
        self.assertEqual((reply.status, reply.headers["location"]), (303, "/page?a=b+c&d="))
        attributes = reply.headers["set-cookie"].split("; ")[1:]
        self.assertEqual(attributes, ["Path=/", "HttpOnly", "SameSite=Strict"])
        self.assertEqual(self.get("/mine", self.cookie(reply)).status, 200)
        self.refused(self.get("/mine", self.cookie(reply) + "x"), 401)

    def test_wrong_url(self) -> None:
        """A URL with another token is 401, also where none is needed, and counts as a guess."""
        for _ in range(10):
            self.refused(self.get("/page?token=guess"), 401)
        self.refused(self.get(f"/page?token={TOKEN}"), 429)

    def test_url_leads_nowhere_else(self) -> None:
        """The way on stays on this host, however the path begins."""
        for path in ("//evil.example/", "/\\evil.example/", "/%5cevil.example/"):
            self.serve(views={path.encode(): View(lambda request: b"", access=Access.SAME)}, token=TOKEN)
            location = self.get(f"{path}?token={TOKEN}").headers["location"]
            self.assertRegex(location, r"^/[^/\\]")

    def test_cookies_of_one_machine(self) -> None:
        """Two services on one machine do not overwrite each other's cookie."""
        first = self.get(f"/page?token={TOKEN}").headers["set-cookie"]
        self.serve(rows(), token="another-token-of-another-service")
        second = self.get("/page?token=another-token-of-another-service").headers["set-cookie"]
        self.assertNotEqual(first.partition("=")[0], second.partition("=")[0])

    def test_no_token_configured(self) -> None:
        """A service without a token needs none, and takes none out of a URL."""
        self.serve(rows())
        self.assertEqual(self.get("/mine").status, 200)
        self.assertEqual(self.get("/mine?token=x").status, 200)

    def test_secure_cookie(self) -> None:
        """Over TLS the cookie never travels without."""
        seen = []

        def answer(request: Any) -> int:
            request.isSecure = lambda: True
            page = self.dispatcher._guard.admit(request, Access.SAME)
            seen.append(dict(page.headers)["Set-Cookie"])
            request.finish()
            return NOT_DONE_YET

        self.serve(views={b"/x": View(answer)}, token=TOKEN)
        self.get(f"/x?token={TOKEN}")
        self.assertTrue(seen[0].endswith("; Secure"))

    def test_printed_url(self) -> None:
        """The URL for people holds the token, written as URLs are."""
        self.assertEqual(token_url("http://h:8000/", "a+b/c="), "http://h:8000/?token=a%2Bb%2Fc%3D")
