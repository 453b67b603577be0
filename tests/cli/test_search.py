"""``p2pshare search``, and how an index is chosen and asked."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from p2pshare.errors import IndexRefused, IndexUnreachable
from tests.cli.sample import objects, run
from tests.cli.services import FakeService, a_file, a_node, a_torrent, serve

SEARCH, NODES, TORRENTS = "/api/v1/files/search", "/api/v1/peers", "/api/tracker/torrents"


class SearchTests(SynchronousTestCase):
    """The command with an index that answers from memory."""

    def setUp(self) -> None:
        self.index = FakeService()
        serve(self, self.index)

    def finds(self, *files: dict[str, Any], total: int | None = None) -> None:
        """Let the index find these."""
        self.index.answers[SEARCH] = {
            "results": list(files),
            "count": len(files),
            "query": "",
            "total": len(files) if total is None else total,
        }

    def test_rows(self) -> None:
        """In a pipe, each file is a line of name, size, category, where it comes from, and id."""
        self.finds(a_file(), a_file(id="b" * 16, filename="live.flac", info_hash="cd" * 20, owner="gone"))
        self.index.answers |= {NODES: [a_node(), a_node(id="gone", is_online=False)], TORRENTS: [a_torrent()]}
        result = run("search", "music")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "song.mp3\t2.0 KiB\taudio\tonline\t00112233445566aa",
                f"live.flac\t2.0 KiB\taudio\t2 seeds, offline\t{'b' * 16}",
            ],
        )
        self.assertEqual(self.index.closed, 1)

    def test_question(self) -> None:
        """Words and options become the query that the index knows."""
        self.finds()
        run(
            "search",
            "two",
            "words",
            "--category",
            "audio",
            "--tag",
            "a",
            "--tag",
            "b",
            "--sort",
            "size",
            "--limit",
            "7",
        )
        self.assertEqual(
            self.index.asked[0],
            ("GET", SEARCH, {"q": "two words", "category": "audio", "tags": ["a", "b"], "sort": "size", "limit": 7}),
        )

    def test_nothing_found(self) -> None:
        """Nothing found is no error, and said in one line that is no row."""
        self.finds()
        result = run("search", "unheard-of")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertEqual(result.stderr, "nothing found for 'unheard-of' at http://127.0.0.1:8000\n")
        self.assertEqual(len(self.index.asked), 1, "and nothing else is asked")

    def test_null_for_nothing(self) -> None:
        """An index that says null where it has nothing is understood."""
        self.index.answers[SEARCH] = {"results": None, "count": 0, "query": "x"}
        self.assertIn("nothing found", run("search", "x").stderr)

    def test_more_than_shown(self) -> None:
        """That there is more than was asked for is said."""
        self.finds(a_file(), total=312)
        self.assertEqual(run("search").stderr, "1 of 312; more with --limit\n")

    def test_json(self) -> None:
        """As JSON, each file is the object of the index, with seeds and whether its owner is online."""
        self.finds(a_file(surprise=1))
        self.index.answers[NODES] = [a_node()]
        result = run("search", "--json")
        self.assertEqual(objects(result), [{**a_file(surprise=1), "seeds": None, "online": True}])

    def test_index_unreachable(self) -> None:
        """If the index does not answer, that is one line and exit code 4."""
        self.index.answers[SEARCH] = IndexUnreachable("http://127.0.0.1:8000: connection refused")
        result = run("search", "x")
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertEqual(result.stderr, "p2pshare: http://127.0.0.1:8000: connection refused\n")
        self.assertEqual(self.index.closed, 1)

    def test_not_an_index(self) -> None:
        """A reply of another shape names what was expected."""
        self.index.answers[SEARCH] = ["hello"]
        result = run("search", "x")
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertIn("what it answers is no result of a search", result.stderr)

    def test_names_cannot_steer_the_terminal(self) -> None:
        """Names come from strangers and are escaped; a line stays a line."""
        self.finds(a_file(filename="a\x1b[2J\tb\nc"))
        self.assertIn("a\\x1b[2J\\tb\\nc\t2.0 KiB", run("search").stdout)


class ChoiceOfIndexTests(SynchronousTestCase):
    """Which index is asked, and what it is told."""

    def setUp(self) -> None:
        self.index = FakeService(answers={SEARCH: {"results": []}})
        serve(self, self.index)

    def asked(self, *arguments: str, **env: str) -> str:
        """Tell which index a search asks."""
        result = run(*arguments, env=dict(env))
        self.assertEqual(result.exit_code, 0, result.output)
        return self.index.base

    def test_order(self) -> None:
        """The option goes before the environment, that before the tracker, that before this machine."""
        tracker = ("-t", "udp://u.example:1,http://t.example:8000/api/tracker")
        self.assertEqual(self.asked("search"), "http://127.0.0.1:8000")
        self.assertEqual(self.asked(*tracker, "search"), "http://t.example:8000")
        self.assertEqual(self.asked(*tracker, "search", P2PSHARE_INDEX="env.example:81"), "http://env.example:81")
        self.assertEqual(
            self.asked("search", "--index", "https://o.example/x/", P2PSHARE_INDEX="env.example"), "https://o.example"
        )

    def test_bad_address(self) -> None:
        """An address that is none is wrong usage."""
        result = run("search", "--index", "http://")
        self.assertEqual(result.exit_code, ExitCode.USAGE)
        self.assertIn("not an address such as", result.stderr)

    def test_token_is_shown_to_who_asks(self) -> None:
        """The user's token goes to an index that wants one, and to no other."""
        self.asked("search", P2PSHARE_TOKEN="s" * 32)
        self.assertIsNone(self.index.shown)
        self.index.token = "s" * 32
        self.asked("search", P2PSHARE_TOKEN="s" * 32)
        self.assertEqual(self.index.shown, "s" * 32)

    def test_token_wrong_or_missing(self) -> None:
        """Without the right token the error says where to name it, and nothing is asked for ever."""
        self.index.token = "s" * 32
        for env in ({"P2PSHARE_TOKEN": "wrong" * 8}, {"P2PSHARE_TOKEN": ""}):
            result = run("search", env=env)
            self.assertEqual(result.exit_code, ExitCode.ERROR)
            self.assertIn("name its token in P2PSHARE_TOKEN", result.stderr)

    def test_refusal(self) -> None:
        """Another refusal is passed on in the words of the index."""
        self.index.answers[SEARCH] = IndexRefused("q: too long", 400)
        result = run("search", "x")
        self.assertEqual((result.exit_code, result.stderr), (ExitCode.ERROR, "p2pshare: q: too long\n"))
