"""Tests of p2pshare.bencoding."""

from __future__ import annotations

import tracemalloc
from enum import IntEnum
from hashlib import sha1
from random import Random
from unittest import SkipTest

import bencodepy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.bencoding import MAX_DEPTH, MAX_TOKENS, Raw, decode, decode_prefix, decode_with_span, encode
from p2pshare.errors import BencodeError
from tests.strategies import bencode_fragments, bencode_values

TORRENT = encode(
    {
        "announce": "http://tracker.example/announce",
        "announce-list": [["http://a.example/announce", "udp://b.example:80"], ["http://c.example/announce"]],
        "creation date": 1700000000,
        "info": {
            "files": [{"length": 5, "path": ["sub", "a.txt"]}, {"attr": "p", "length": 0, "path": ["b"]}],
            "name": "sample",
            "piece length": 16384,
            "pieces": bytes(range(20)),
        },
    }
)


def outcome(data: bytes, strict_order: bool = True) -> object:
    """Decode, with a refusal as a value; anything else that is raised ends the test."""
    try:
        return decode(data, strict_order=strict_order)
    except BencodeError:
        return BencodeError


def mutations(sample: bytes, random: Random, count: int) -> list[bytes]:
    """Change, drop or insert one byte, ``count`` times."""
    mutants = []
    for _ in range(count):
        place = random.randrange(len(sample))
        byte = random.choice([b"0", b"1", b"9", b"-", b":", b"d", b"e", b"i", b"l", random.randbytes(1)])
        mutants.append(sample[:place] + random.choice([b"", byte]) + sample[place + random.randrange(2) :])
    return mutants


class DecodeTests(SynchronousTestCase):
    """What decode lets pass and what it refuses."""

    def assertRefused(self, *inputs: bytes) -> None:
        for data in inputs:
            with self.assertRaises(BencodeError, msg=repr(data[:60])):
                decode(data)

    def test_examples_of_bep3(self) -> None:
        """Every example of BEP 3 is read as it says."""
        for data, value in [
            (b"4:spam", b"spam"),
            (b"i3e", 3),
            (b"i-3e", -3),
            (b"i0e", 0),
            (b"l4:spam4:eggse", [b"spam", b"eggs"]),
            (b"d3:cow3:moo4:spam4:eggse", {b"cow": b"moo", b"spam": b"eggs"}),
            (b"d4:spaml1:a1:bee", {b"spam": [b"a", b"b"]}),
            (b"0:", b""),
            (b"le", []),
            (b"de", {}),
            (b"d0:i1ee", {b"": 1}),
        ]:
            self.assertEqual(decode(data), value)

    def test_f1_nesting(self) -> None:
        """Lists and dicts may be 32 deep; deeper ones are refused without recursion, however deep."""
        for opening, middle, closing in [(b"l", b"", b"e"), (b"d1:a", b"le", b"e")]:
            within = MAX_DEPTH - 1 if middle else MAX_DEPTH
            decode(opening * within + middle + closing * within)
            self.assertRefused(
                opening * (within + 1) + middle + closing * (within + 1),
                opening * 100_000,
                opening * 100_000 + middle + closing * 100_000,
            )

    def test_f2_string_longer_than_the_rest(self) -> None:
        """A string that claims more bytes than there are is refused before anything of that size is made."""
        tracemalloc.start()
        try:
            self.assertRefused(b"99999999999:", b"9999999:x", b"2:x", b"1:", b"l5:abcde5:abcd", b"9" * 5000 + b":")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 1 << 20)

    def test_f3_integers(self) -> None:
        """An integer is canonical and fits in 64 bits, and so is a length."""
        for number in (-(1 << 63), (1 << 63) - 1, 10**18, -(10**18), 999_999_999_999_999_999):
            self.assertEqual(decode(b"i%de" % number), number)
        self.assertRefused(
            *(b"i%se" % text for text in (b"", b"-", b"-0", b"03", b"-03", b"00", b" 1", b"1 ", b"+5", b"1_0", b"1.0")),
            *(b"i%de" % number for number in (1 << 63, -(1 << 63) - 1, 10**19, 1 << 64)),
            b"i" + b"7" * 5000 + b"e",
            "i\u0663e".encode(),
            *(b"i1", b"i", b"i1:", b"ie1"),
            *(b"03:abc", b"+3:abc", b"-1:a", b"3 :abc", b"1_0:aaaaaaaaaa", b"d+1:ai1ee", b"3", b"3abc", b":abc"),
        )

    def test_f3_negative_key_length_does_not_hang(self) -> None:
        """The inputs that send bencode.py backwards for ever are refused."""
        self.assertRefused(b"d1:ai1e-6:", b"d1:ale-5:", b"d-2:i1e", b"d1:ai1e-6:e")

    def test_f4_keys(self) -> None:
        """Keys are strings in rising order, each once, each with a value."""
        self.assertRefused(
            b"d1:bi1e1:ai2ee",
            b"d1:ai1e1:ai2ee",
            b"ld1:ai1e1:ai2eee",
            b"d1:ad1:bi1e1:bi1eee",
            b"d2:aai1e1:bi1e1:bi1ee",
            b"di1ei2ee",
            b"dlei2ee",
            b"d1:ae",
            b"d1:ai1e1:be",
        )
        self.assertEqual(decode(b"d1:ad1:bi1ee1:bi2ee"), {b"a": {b"b": 1}, b"b": 2})

    def test_f4_trailing_bytes(self) -> None:
        """Bytes after the value are refused, so is a value that does not end."""
        self.assertRefused(b"i1ei2e", b"dee", b"0:0", b"le ", b"4:spam\n", b"", b"l", b"d", b"li1e", b"e", b"x")

    def test_f4_order_may_be_free_but_keys_stay_single(self) -> None:
        """With strict_order off, keys come in any order, but a key that comes twice is still refused."""
        self.assertEqual(decode(b"d1:bi1e1:ai2ee", strict_order=False), {b"b": 1, b"a": 2})
        self.assertEqual(
            decode(b"d1:bd1:b0:1:a0:e1:ai2ee", strict_order=False), {b"b": {b"b": b"", b"a": b""}, b"a": 2}
        )
        for data in (b"d1:ai1e1:ai2ee", b"d1:bi1e1:ai1e1:bi2ee", b"d1:ad1:b0:1:a0:1:b0:eee", b"d1:c0:1:a0:1:b0:1:a0:e"):
            with self.assertRaisesRegex(BencodeError, "twice"):
                decode(data, strict_order=False)

    def test_f5_tokens(self) -> None:
        """500,000 tokens are read, one more is refused."""
        self.assertEqual(len(decode(b"l" + b"0:" * (MAX_TOKENS - 2) + b"e")), MAX_TOKENS - 2)
        self.assertRefused(b"l" + b"0:" * (MAX_TOKENS - 1) + b"e")

    def test_f5_token_bombs_stay_small(self) -> None:
        """No token costs more than 100 bytes, whether its bomb is refused or just within the limit: 50 MB in all."""
        tokens = 30_000  # memory is traced slowly, and grows in proportion
        self.patch(bencoding, "MAX_TOKENS", tokens)
        for unit, count in [
            (b"le", 2),
            (b"0:", 1),
            (b"de", 2),
            (b"d1:a0:e", 4),
            (b"l0:e", 3),
            (b"i-300e", 1),
            (b"2:ab", 1),
        ]:
            within = b"l" + unit * ((tokens - 2) // count) + b"e"
            beyond = b"l" + unit * tokens + b"e"
            tracemalloc.start()
            try:
                self.assertRefused(beyond)
                self.assertLess(tracemalloc.get_traced_memory()[1], 100_000, unit)
                decode(within)
                self.assertLess(tracemalloc.get_traced_memory()[1], 100 * tokens, unit)
            finally:
                tracemalloc.stop()

    def test_size_limit(self) -> None:
        """Input of max_size bytes is read, a longer one refused unseen."""
        self.assertEqual(decode(b"3:abc", max_size=5), b"abc")
        with self.assertRaisesRegex(BencodeError, "5 bytes, at most 4"):
            decode(b"3:abc", max_size=4)

    @given(st.binary(max_size=60) | bencode_fragments, st.booleans())
    @example(b"d1:ai1e-6:", True)
    @settings(max_examples=200)
    def test_f6_any_bytes(self, data: bytes, strict_order: bool) -> None:
        """Any bytes at all give a value or BencodeError, and what is read strictly is written back as it was."""
        value = outcome(data, strict_order)
        if strict_order and value is not BencodeError:
            self.assertEqual(encode(value), data)

    def test_f6_every_truncation(self) -> None:
        """A torrent cut at any byte is refused."""
        for length in range(len(TORRENT)):
            self.assertIs(outcome(TORRENT[:length]), BencodeError)

    def test_f6_mutations(self) -> None:
        """A torrent with one byte changed, lost or added is refused, or is canonical still."""
        for mutant in mutations(TORRENT, Random(0), 5000):
            if (value := outcome(mutant)) is not BencodeError:
                self.assertEqual(encode(value), mutant)

    def test_refusal_says_what_and_where(self) -> None:
        """A refusal names the byte, what stands there and what is expected."""
        for data, message in [
            (b"li1ex", r"byte 4: b'x', expected is a value"),
            (b"d1:ai1e", r"byte 7: the end, expected is a key"),
            (b"i03e", r"byte 0: b'i03e', expected is an integer"),
            (b"9:abc", r"byte 0: a string of 9 bytes, only 3 are left"),
            (b"d1:bi1e1:ai1ee", r"byte 7: key b'a' after b'b', not in rising order"),
            (b"i1ee", r"byte 3: 1 bytes follow the value"),
        ]:
            with self.assertRaisesRegex(BencodeError, message):
                decode(data)

    def test_only_bytes_are_read(self) -> None:
        """A str or a memoryview is a mistake of the caller, not of the sender."""
        for data in ("i1e", memoryview(b"i1e"), bytearray(b"i1e")):
            self.assertRaises(TypeError, decode, data)


class DifferentialTests(SynchronousTestCase):
    """Decoding beside bencode2, a stricter parser written by somebody else."""

    def setUp(self) -> None:
        try:
            import bencode2
        except ImportError:
            print("bencode2 is not installed: nothing to compare our decoder with")
            raise SkipTest("bencode2 is not installed") from None
        self.bdecode = bencode2.bdecode

    def assertNotLooser(self, data: bytes) -> None:
        if (value := outcome(data)) is not BencodeError:
            self.assertEqual(self.bdecode(data), value)

    @given(bencode_fragments)
    @settings(max_examples=200)
    def test_f6_not_looser_than_bencode2(self, data: bytes) -> None:
        """What we read, bencode2 reads too, and as the same value."""
        self.assertNotLooser(data)

    def test_f6_mutations_not_looser_than_bencode2(self) -> None:
        """So it is with torrents in which one byte is wrong, and with values we wrote."""
        self.assertNotLooser(TORRENT)
        for mutant in mutations(TORRENT, Random(1), 5000):
            self.assertNotLooser(mutant)


class SpanTests(SynchronousTestCase):
    """Finding a value's own bytes."""

    def test_f4_info_hash_of_the_raw_span(self) -> None:
        """The span of info holds the very bytes of the file, which an info_hash is made of."""
        info = b"d4:name1:x6:pieces0:e"
        value, span = decode_with_span(b"d8:announce1:u4:info" + info + b"e", b"info")
        self.assertEqual(value, {b"announce": b"u", b"info": {b"name": b"x", b"pieces": b""}})
        assert span is not None
        found = (b"d8:announce1:u4:info" + info + b"e")[slice(*span)]
        self.assertEqual(sha1(found).digest(), sha1(info).digest())

    def test_kinds_of_values(self) -> None:
        """Strings, integers, lists and dicts are found alike, wherever they stand."""
        for wanted in (b"announce", b"announce-list", b"creation date", b"info"):
            value, span = decode_with_span(TORRENT, wanted)
            assert span is not None
            self.assertEqual(decode(TORRENT[slice(*span)]), value[wanted])

    def test_only_the_outermost_dict_counts(self) -> None:
        """The same key deeper inside is not meant, nor is a string in a list or a value that reads alike."""
        self.assertEqual(decode_with_span(b"d1:ad4:infoi1ee1:b4:infoe", b"info")[1], None)
        self.assertEqual(decode_with_span(b"d1:ad4:infoi1ee4:infoi2ee", b"info")[1], (21, 24))

    def test_not_a_dict(self) -> None:
        """Something else than a dict is refused."""
        for data in (b"l4:infoi1ee", b"i1e", b"4:info", b"l4:infoe", b""):
            self.assertRaises(BencodeError, decode_with_span, data, b"info")


class PrefixTests(SynchronousTestCase):
    """Reading a value that other bytes follow."""

    def test_bytes_after_the_value(self) -> None:
        """The value is read and the place of what follows is told (BEP 9: a dict, then metadata)."""
        header = b"d8:msg_typei1e5:piecei0e10:total_sizei34256ee"
        self.assertEqual(
            decode_prefix(header + b"xxxx"), ({b"msg_type": 1, b"piece": 0, b"total_size": 34256}, len(header))
        )
        self.assertEqual(decode_prefix(header), decode_prefix(header + b"\xff" * 9))

    def test_cut_header(self) -> None:
        """A value that does not end is refused."""
        self.assertRaises(BencodeError, decode_prefix, b"d8:msg_typei1e")


class Colour(IntEnum):
    RED = 7


class EncodeTests(SynchronousTestCase):
    """What encode writes and what it refuses."""

    @given(bencode_values)
    @settings(max_examples=200)
    def test_f6_round_trip(self, value: object) -> None:
        """What is written is read back as it was, and bencode.py writes the same bytes."""
        data = encode(value)
        self.assertEqual(decode(data), value)
        self.assertEqual(bencodepy.encode(value), data)

    def test_people_and_wire_types(self) -> None:
        """Text is UTF-8, tuples are lists, and subclasses count as what they are made of."""
        self.assertEqual(encode(("\u00e9", [Colour.RED], -1)), b"l2:\xc3\xa9li7eei-1ee")

    def test_keys_are_sorted_as_bytes(self) -> None:
        """Keys are sorted by their bytes, whether they were given as bytes or as text."""
        self.assertEqual(
            encode({"b": 1, b"a": 2, "\u00e9": 3, b"\xff": 4, "": 5}), b"d0:i5e1:ai2e1:bi1e2:\xc3\xa9i3e1:\xffi4ee"
        )

    def test_raw_is_inserted(self) -> None:
        """Bytes that are bencoded already stay as they are, canonical or not."""
        self.assertEqual(encode({"info": Raw(b"d1:bi1e1:ai1ee")}), b"d4:infod1:bi1e1:ai1eee")

    def test_refusals_name_the_way(self) -> None:
        """What has no bencoding is refused with the way to it."""
        for value, error, message in [
            (
                {"info": {"files": [1, {b"length": 1.5}]}},
                TypeError,
                r"^info\.files\[1\]\.length: float has no bencoding$",
            ),
            ({"a": None}, TypeError, r"^a: NoneType"),
            ([True], TypeError, r"^\[0\]: bool"),
            (None, TypeError, r"^NoneType has no bencoding$"),
            ([[bytearray(1)]], TypeError, r"^\[0\]\[0\]: bytearray"),
            ({"x": {1: 2}}, TypeError, r"^x: the key 1 is neither"),
            ({b"\xff": [set()]}, TypeError, r"^\\xff\[0\]: set"),
            ({"x": {"a": 1, b"a": 2}}, ValueError, r"^x: the same key"),
            ([1 << 63], ValueError, r"^\[0\]: an integer beyond"),
            ([-(1 << 63) - 1], ValueError, r"^\[0\]: an integer beyond"),
            ({"name": "\ud800"}, ValueError, r"^name: '\\ud800' has no UTF-8 form"),
        ]:
            with self.assertRaisesRegex(error, message):
                encode(value)

    def test_endless_nesting(self) -> None:
        """What decode would find too deep is not written, so a list within itself is no trap."""
        deep: list[object] = []
        for _ in range(MAX_DEPTH - 1):
            deep = [deep]
        self.assertEqual(decode(encode(deep)), deep)
        self.assertRaises(ValueError, encode, [deep])
        deep.append(deep)
        self.assertRaises(ValueError, encode, deep)
