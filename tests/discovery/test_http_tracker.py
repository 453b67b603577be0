"""Tests of announces and scrapes over HTTP."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import parse_qs
from twisted.web.iweb import IResponse

from p2pshare.discovery.http_tracker import MAX_AT_ONCE, HTTPTracker, HTTPTrackers, http_trackers
from p2pshare.errors import TrackerFailure, TrackerUnreachable
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry, ScrapeCounts
from p2pshare.wire.announce_http import (
    decode_query,
    decode_scrape_query,
    encode_compact,
    encode_failure,
    encode_response,
    encode_scrape,
)
from tests.discovery.fakes import FakeAgent, FakeResponse, agents, redirect

URL = "http://tracker.test/announce"
SCRAPE = "http://tracker.test/scrape"
HASH = b"\x00h%&=" * 4
REQUEST = AnnounceRequest(
    HASH, b"-P20100-abcdefghijkl", 6881, left=5, event=Event.STARTED, key=b"0BADCAFE", compact=True
)


class HTTPTrackerTests(SynchronousTestCase):
    """One tracker over a fake web."""

    def setUp(self) -> None:
        self.clock = Clock()

    def tracker(self, page: Any, url: str = URL, pages: dict[str, Any] | None = None) -> tuple[HTTPTracker, FakeAgent]:
        """A tracker whose announce URL answers so."""
        agent, public, _ = agents({URL: page, **(pages or {})})
        return HTTPTracker(url, agent, self.clock), public

    def failure(self, page: Any, kind: type[Exception] = TrackerUnreachable, **more: Any) -> Exception:
        """Tell how an announce fails that is answered so."""
        tracker, _ = self.tracker(page, **more)
        error = self.failureResultOf(tracker.announce(REQUEST), kind).value
        assert isinstance(error, Exception)
        self.assertTrue(str(error).isprintable())
        return error

    def test_announce(self) -> None:
        """An announce goes out as BEP 3 has it, and the reply comes back as a value."""
        tracker, public = self.tracker(FakeResponse((encode_compact(1800, 60, 1, 2, b"\x01\x02\x03\x04\x1a\xe1"),)))
        self.assertEqual(
            self.successResultOf(tracker.announce(REQUEST)),
            AnnounceResponse(1800, 60, 1, 2, (PeerEntry("1.2.3.4", 6881),)),
        )
        self.assertEqual(decode_query(parse_qs(public.asked[0].partition("?")[2].encode())), REQUEST)

    def test_passkey_stays(self) -> None:
        """A query in the tracker's URL is kept, and shown to nobody."""
        tracker, public = self.tracker(FakeResponse((b"no",)), URL + "?passkey=secret")
        error = self.failureResultOf(tracker.announce(REQUEST)).value
        self.assertTrue(public.asked[0].startswith(URL + "?passkey=secret&info_hash="))
        self.assertNotIn("secret", str(error))

    def test_s1_19_names(self) -> None:
        """Peers that go by a name keep it: whoever dials them looks it up."""
        response = AnnounceResponse(1800, peers=(PeerEntry("client2", 6882, b"p" * 20),))
        tracker, _ = self.tracker(FakeResponse((encode_response(response, compact=False),)))
        self.assertEqual(self.successResultOf(tracker.announce(REQUEST)), response)

    def test_failure_reason(self) -> None:
        """A refusal is told in the tracker's words, whatever the HTTP status around it."""
        for code in (200, 400, 403, 500):
            error = self.failure(FakeResponse((encode_failure("not registered", 120),), code), TrackerFailure)
            assert isinstance(error, TrackerFailure)
            self.assertEqual((error.reason, error.retry_in), ("not registered", 120))

    def test_f88_status_500(self) -> None:
        """An answer with another status than 200 names the status."""
        for code, phrase, words in ((500, b"Oops\x1b", "answered 500 Oops\\x1b"), (404, b"", "answered 404")):
            self.assertEqual(str(self.failure(FakeResponse((b"<html>",), code, phrase))), f"{URL}: {words}")
        good = encode_compact(1800, None, 0, 0, b"")
        self.assertEqual(
            self.successResultOf(self.tracker(FakeResponse((good,), 203))[0].announce(REQUEST)).interval, 1800
        )

    def test_no_tracker(self) -> None:
        """A page that is no tracker's is told by its first bytes."""
        error = self.failure(FakeResponse((b"<!DOCTYPE html><h1>welcome to your new server, which works",)))
        self.assertIn(f"{URL}: the reply is not bencoded", str(error))
        self.assertIn("<!DOCTYPE html>", str(error))

    def test_connection_refused(self) -> None:
        """Where nobody listens, URL and reason are named."""
        self.assertEqual(str(self.failure(ConnectionRefusedError())), f"{URL}: connection refused")

    def test_redirected(self) -> None:
        """After a redirect the last URL is the one named."""
        pages = {"http://b.test/x": FakeResponse((b"",), 410, b"Gone")}
        self.assertEqual(
            str(self.failure(redirect("http://b.test/x?k=1"), pages=pages)), "http://b.test/x: answered 410 Gone"
        )

    def test_f85_thirty_seconds(self) -> None:
        """A tracker that is silent, or has not finished after 30 seconds, is given up and hung up on."""
        hung_up: list[Deferred[IResponse]] = []
        silent: Deferred[IResponse] = Deferred(hung_up.append)
        slow = FakeResponse((b"d8:int",), endless=True)
        for page in (silent, slow):
            tracker, _ = self.tracker(page)
            announcing = tracker.announce(REQUEST)
            self.clock.advance(29.9)
            self.assertNoResult(announcing)
            self.clock.advance(0.1)
            error = self.failureResultOf(announcing, TrackerUnreachable).value
            self.assertEqual(str(error), f"{URL}: no complete answer within 30 s")
        self.assertTrue(slow.transport.disconnecting)
        self.assertEqual(hung_up, [silent])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_f85_one_mebibyte(self) -> None:
        """A reply over 1 MiB is not read to its end."""
        self.assertIn("1048576 bytes", str(self.failure(FakeResponse((b"x" * 65536,) * 100, endless=True))))

    def test_cancel(self) -> None:
        """Cancelling an announce hangs up, and leaves no timer."""
        slow = FakeResponse((b"d8:int",), endless=True)
        tracker, _ = self.tracker(slow)
        announcing = tracker.announce(REQUEST)
        announcing.cancel()
        self.failureResultOf(announcing)
        self.assertTrue(slow.transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_scrape(self) -> None:
        """A scrape asks for its torrents and gives their counts."""
        files = {HASH: ScrapeCounts(1, 2, 3)}
        tracker, public = self.tracker(None, pages={SCRAPE: FakeResponse((encode_scrape(files),))})
        self.assertEqual(self.successResultOf(tracker.scrape([HASH, b"b" * 20])), files)
        self.assertEqual(decode_scrape_query(parse_qs(public.asked[0].partition("?")[2].encode())), [HASH, b"b" * 20])

    def test_scrape_fails(self) -> None:
        """A refused scrape tells why; a tracker without one says so at once; a page is not a scrape."""
        tracker, _ = self.tracker(None, pages={SCRAPE: FakeResponse((encode_failure("no"),))})
        self.assertEqual(self.failureResultOf(tracker.scrape([HASH]), TrackerFailure).value.reason, "no")
        tracker, _ = self.tracker(None, "http://tracker.test/a")
        self.assertIn("has no scrape", str(self.failureResultOf(tracker.scrape([HASH]), TrackerUnreachable).value))
        tracker, _ = self.tracker(None, pages={SCRAPE: FakeResponse((b"de",))})
        self.assertIn(f"{SCRAPE}: ", str(self.failureResultOf(tracker.scrape([HASH]), TrackerUnreachable).value))


class HTTPTrackersTests(SynchronousTestCase):
    """The maker of tracker clients."""

    def test_schemes(self) -> None:
        """HTTP and HTTPS trackers get a client, others none."""
        make = HTTPTrackers(agents()[0], Clock())
        for url in ("http://t/announce", "HTTPS://t/announce"):
            self.assertIsNotNone(make(url))
        for url in ("udp://t:80", "wss://t", "", "http", "file:///etc/passwd", "http://[::1/"):
            self.assertIsNone(make(url))

    def test_names_in_any_script(self) -> None:
        """A host name in any script is asked for as the DNS knows it."""
        agent, public, _ = agents({"http://xn--gre-6ka8i.test/announce": FakeResponse((encode_failure("no"),))})
        tracker = HTTPTrackers(agent, Clock())("http://größe.test/announce")
        assert tracker is not None
        self.failureResultOf(tracker.announce(REQUEST), TrackerFailure)
        self.assertEqual(len(public.asked), 1)

    def test_requests_take_turns(self) -> None:
        """Of many announces at once only so many are under way; their 30 seconds begin when it is their turn."""
        clock = Clock()
        agent, public, _ = agents({URL: Deferred})
        make = HTTPTrackers(agent, clock)
        announcing = []
        for _ in range(MAX_AT_ONCE + 2):
            tracker = make(URL)
            assert tracker is not None
            announcing.append(tracker.announce(REQUEST))
        self.assertEqual(len(public.asked), MAX_AT_ONCE)
        announcing[-1].cancel()  # while it waits
        self.failureResultOf(announcing[-1], CancelledError)
        announcing[0].cancel()
        self.failureResultOf(announcing[0])
        self.assertEqual(len(public.asked), MAX_AT_ONCE + 1)
        clock.advance(29)
        self.assertNoResult(announcing[-2])
        clock.advance(1)
        for ended in announcing[1:-1]:
            self.failureResultOf(ended, TrackerUnreachable)

    def test_real_ones(self) -> None:
        """The real maker needs nothing but a reactor, and closes what it opened."""
        make = http_trackers(MemoryReactorClock())
        self.assertIsNotNone(make(URL))
        self.successResultOf(make.close())
