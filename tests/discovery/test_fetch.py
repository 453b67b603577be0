"""Tests of one GET to a stranger's server."""

from __future__ import annotations

from base64 import b64decode

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import ParseError
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from p2pshare.discovery.fetch import Page, fetch, shown
from p2pshare.discovery.zoned_agent import ZonedAgent
from p2pshare.errors import TrackerUnreachable
from tests.discovery.fakes import FakeResponse, agents, redirect

URL = "http://tracker.test/announce"
LOCAL = "http://127.0.0.1:8000/announce"


class FetchTests(SynchronousTestCase):
    """Pages fetched through fake agents."""

    def get(self, agent: ZonedAgent, url: str = URL, limit: int = 100) -> Page:
        """Fetch a page that is there at once."""
        return self.successResultOf(Deferred.fromCoroutine(fetch(agent, url, limit)))

    def refusal(self, agent: ZonedAgent, url: str = URL, limit: int = 100) -> str:
        """Tell why a page cannot be had."""
        failing = Deferred.fromCoroutine(fetch(agent, url, limit))
        return str(self.failureResultOf(failing, TrackerUnreachable).value)

    def test_page(self) -> None:
        """A body in parts becomes a page; the request says who asks, and that it wants no compression."""
        agent, public, _ = agents({URL: FakeResponse((b"ab", b"c"), 404, b"Not Found")})
        self.assertEqual(self.get(agent, URL + "?q=1"), Page(URL + "?q=1", 404, "Not Found", b"abc"))
        self.assertEqual(public.headers[0].getRawHeaders("User-Agent"), ["p2pshare/0.1.0"])
        self.assertEqual(public.headers[0].getRawHeaders("Accept-Encoding"), ["identity"])

    def test_body_that_ends_with_the_connection(self) -> None:
        """A server that neither tells a length nor chunks is understood; one that breaks off is not."""
        agent, _, _ = agents({URL: FakeResponse((b"abc",), ending=PotentialDataLoss("eof"))})
        self.assertEqual(self.get(agent).body, b"abc")
        broken = ResponseFailed([Failure(ConnectionDone("Connection was closed cleanly."))])
        agent, _, _ = agents({URL: FakeResponse((b"abc",), ending=broken)})
        self.assertEqual(self.refusal(agent), f"{URL}: the connection was closed before the answer was complete")

    def test_f85_body_limit(self) -> None:
        """A body at the limit is read; one byte more, announced or not, hangs up without reading on."""
        agent, _, _ = agents({URL: FakeResponse((b"x" * 60, b"x" * 40))})
        self.assertEqual(len(self.get(agent).body), 100)
        endless = FakeResponse((b"x" * 60,) * 50, endless=True)
        agent, _, _ = agents({URL: endless})
        self.assertEqual(self.refusal(agent), f"{URL}: sends more than the 100 bytes that are read")
        self.assertEqual((endless.taken, endless.transport.disconnecting), (2, True))
        announced = FakeResponse((b"x" * 60,) * 50, length=1 << 30, endless=True)
        agent, _, _ = agents({URL: announced})
        self.assertIn("announces 1073741824 bytes", self.refusal(agent))
        self.assertEqual((announced.taken, announced.transport.disconnecting), (0, True))

    def test_f85_compression_is_refused(self) -> None:
        """A compressed body, which nobody asked for, is not read: nothing can inflate."""
        bomb = FakeResponse((b"\x1f\x8b" * 40,), headers=Headers({"Content-Encoding": ["GZip"]}), endless=True)
        agent, _, _ = agents({URL: bomb})
        self.assertIn("content encoding 'gzip'", self.refusal(agent))
        self.assertEqual((bomb.taken, bomb.transport.disconnecting), (0, True))
        plain = FakeResponse((b"abc",), headers=Headers({"Content-Encoding": ["identity"]}))
        agent, _, _ = agents({URL: plain})
        self.assertEqual(self.get(agent).body, b"abc")

    def test_redirects(self) -> None:
        """Five redirects are followed, absolute and relative, of every kind."""
        pages = {
            URL: redirect("http://b.test/x/1", 301),
            "http://b.test/x/1": redirect("2?q", 302),
            "http://b.test/x/2": redirect("/3", 303),
            "http://b.test/3": redirect("//c.test/4", 307),
            "http://c.test/4": redirect("https://c.test/5", 308),
            "https://c.test/5": FakeResponse((b"there",)),
        }
        agent, public, _ = agents(pages)
        self.assertEqual(self.get(agent).body, b"there")
        self.assertEqual(public.asked, [URL, *(url + "?q" * url.endswith("x/2") for url in list(pages)[1:])])

    def test_f85_redirect_loop(self) -> None:
        """The sixth redirect is not followed."""
        agent, public, _ = agents({URL: redirect(URL)})
        self.assertIn("more than 5 redirects", self.refusal(agent))
        self.assertEqual(len(public.asked), 6)

    def test_redirect_without_location(self) -> None:
        """A redirect to nowhere is a page like any other; one to what is no URL is refused."""
        agent, _, _ = agents({URL: FakeResponse((b"moved",), 302, b"Found")})
        self.assertEqual(self.get(agent).status, 302)
        for location in (b"http://\xff/", b"http://[::1"):
            agent, _, _ = agents({URL: redirect(location)})
            self.assertIn("no URL", self.refusal(agent))

    def test_f84_own_url_may_be_local(self) -> None:
        """The tracker the user named may be in the user's own network, and may redirect within it and out of it."""
        agent, _, local = agents(
            {URL: FakeResponse((b"out",))}, {LOCAL: redirect("/b"), "http://127.0.0.1:8000/b": redirect(URL)}
        )
        self.assertEqual(self.get(agent, LOCAL).body, b"out")
        self.assertEqual(local.asked, [LOCAL, "http://127.0.0.1:8000/b"])

    def test_f84_redirect_from_public_to_local(self) -> None:
        """A redirect from a public tracker into the own network is refused, and nothing is asked there."""
        agent, _, local = agents({URL: redirect(LOCAL)}, {LOCAL: FakeResponse((b"secret",))})
        self.assertEqual(self.refusal(agent), f"{LOCAL}: 10.0.0.1 is not a public address")
        self.assertEqual(local.asked, [])

    def test_f84_redirect_out_and_back(self) -> None:
        """Once a public server has had its say, there is no way back into the own network."""
        agent, _, local = agents({URL: redirect(LOCAL)}, {"http://10.0.0.5/a": redirect(URL), LOCAL: FakeResponse()})
        self.assertIn("not a public address", self.refusal(agent, "http://10.0.0.5/a"))
        self.assertEqual(local.asked, ["http://10.0.0.5/a"])

    def test_connection_failures(self) -> None:
        """What keeps us from a server is told in plain words."""
        for error, words in (
            (ConnectionRefusedError("111"), "connection refused"),
            (TimeoutError(), "no connection in time"),
            (DNSLookupError("no results"), "no address found for this host"),
            (ResponseFailed([Failure(ParseError("wrong number of parts", b"x"))]), "wrong number of parts"),
            (ResponseFailed([Failure(ValueError("not enough values to unpack"))]), "the answer is not HTTP"),
        ):
            agent, _, _ = agents({URL: error})
            self.assertEqual(self.refusal(agent), f"{URL}: {words}")

    def test_public_fails_local_answers(self) -> None:
        """A host with addresses in both zones is found in the own network when the public one does not answer."""
        agent, _, local = agents({URL: ConnectionRefusedError()}, {URL: FakeResponse((b"here",))})
        self.assertEqual(self.get(agent).body, b"here")
        self.assertEqual(local.asked, [URL])

    def test_user_and_password(self) -> None:
        """A user name in the URL goes into a header, and into no message."""
        url = "http://me:s%20cret@tracker.test/announce?passkey=x"
        agent, public, _ = agents({URL: ConnectionRefusedError("no")})
        self.assertEqual(self.refusal(agent, url), f"{URL}: connection refused")
        self.assertEqual(public.asked, [URL + "?passkey=x"])
        (authorization,) = public.headers[0].getRawHeaders("Authorization", [""])
        self.assertEqual(b64decode(authorization.removeprefix("Basic ")), b"me:s cret")

    def test_what_is_no_url(self) -> None:
        """A URL that cannot be written on the wire is refused, not raised."""
        agent, _, _ = agents()
        for url in ("http://größe.test/", "http://[::1/"):
            self.assertIn("this is no URL", self.refusal(agent, url))


class ShownTests(SynchronousTestCase):
    """URLs for people."""

    def test_secrets_are_left_out(self) -> None:
        """Query, fragment, user name and password are not shown, controls are escaped."""
        self.assertEqual(shown("http://u:p@t:80/a?passkey=x#y"), "http://t:80/a")
        self.assertEqual(shown("http://[::1/a?passkey=x"), "http://[::1/a")
        self.assertEqual(shown("http://t/\x1b[1m"), "http://t/\\x1b[1m")
