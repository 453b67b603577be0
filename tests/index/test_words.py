"""Tests of p2pshare.index.words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.index.words import TYPED, fold, gram, grams, searchable, words


class FoldTests(SynchronousTestCase):
    """fold()"""

    def test_what_makes_no_difference(self) -> None:
        """Capitals, accents, compatibility forms and kinds of white space are the same."""
        for text, folded in (
            ("Café del MAR", "cafe del mar"),
            ("Cafe\u0301", "cafe"),
            ("STRASSE straße", "strasse strasse"),
            ("Ελλάδα Ёлка", "ελλαδα елка"),
            ("ﬁle ＡＢＣ", "file abc"),
            ("  a\t\n\u00a0b\0c\ud800d ", "a b c d"),
        ):
            self.assertEqual(fold(text), folded)

    def test_other_marks_are_letters(self) -> None:
        """In scripts where a mark makes another letter, it stays."""
        self.assertNotEqual(fold("か"), fold("が"))
        self.assertNotEqual(fold("की"), fold("क"))

    @given(st.text(max_size=50))
    def test_twice_is_once(self, text: str) -> None:
        """What is folded already stays as it is, and is text that any database takes."""
        folded = fold(text)
        self.assertEqual(fold(folded), folded)
        folded.encode()
        self.assertNotIn("\0", folded)


class WordsTests(SynchronousTestCase):
    """words()"""

    def test_each_once(self) -> None:
        """Words are folded, and told once, in order."""
        self.assertEqual(words("Live  at LIVE\tthe"), ("live", "at", "the"))
        self.assertEqual(words(" \n\0 "), ())

    def test_only_so_much_counts(self) -> None:
        """Of a long text only the beginning is looked at, also when folding makes it longer."""
        self.assertEqual(words("x" * 10_000), ("x" * TYPED,))
        self.assertEqual(sum(map(len, words("ﷺ" * TYPED))) <= TYPED, True)


class SpellingTests(SynchronousTestCase):
    """searchable(), gram() and grams()"""

    def test_no_word_crosses_a_border(self) -> None:
        """Texts are told once each, a line for each, and cut at the limit."""
        self.assertEqual(searchable(["Song", "SONG", "live"], 100), "song\nlive")
        self.assertEqual(searchable(["song", "live"], 7), "song\nli")

    def test_letters_of_any_script(self) -> None:
        """A short word becomes one run of letters and digits, whatever it holds."""
        self.assertEqual((gram("a"), gram('"*'), gram("音楽")), ("61", "22x2a", "97f3x697d"))

    def test_all_grams(self) -> None:
        """All words of one and two characters that occur are spelled; none holds white space."""
        self.assertEqual(grams("ab c\nd"), " ".join(sorted(map(gram, ["a", "b", "c", "d", "ab"]))))

    @given(st.text(max_size=2).map(fold).filter(lambda word: bool(word) and " " not in word))
    def test_different_words_differ(self, word: str) -> None:
        """A gram says which word it spells."""
        self.assertEqual("".join(chr(int(code, 16)) for code in gram(word).split("x")), word)
