"""
How text is compared when somebody searches. Knows no database.

A word that was typed is found wherever it occurs, inside other words too; capitals and accents make no difference.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# Characters of a search that count. As long as a file name may be, so one that is pasted whole is found.
TYPED = 256
SHORT = 2  # code points; longer words are found by their trigrams, these by grams of our own

_SPACE = " "
_ACCENTS: dict[int, str | None] = dict.fromkeys(range(0x300, 0x370))  # combining marks: dropped
_NO_TEXT: dict[int, str | None] = dict.fromkeys(
    (*range(0x20), 0x7F, *range(0xD800, 0xE000)), _SPACE
)  # incl. surrogates
_DROPPED = _ACCENTS | _NO_TEXT


def fold(text: str) -> str:
    """
    Bring text into the form in which it is compared: small letters without accents, any white space as one space.

    Only marks of Latin, Greek and Cyrillic letters are accents; in other scripts a mark makes another letter.
    """
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(_DROPPED).casefold()
    return _SPACE.join(unicodedata.normalize("NFC", plain).split())


def words(typed: str) -> tuple[str, ...]:
    """Give the words of a search, each once; all of them have to occur in what is found."""
    return tuple(dict.fromkeys(fold(typed[:TYPED])[:TYPED].split()))


def searchable(texts: Iterable[str], most: int) -> str:
    """
    Join what an entry shall be found by, one text a line, so that no word matches over the border of two.

    :param most: characters; what is beyond is not found.
    """
    return "\n".join(dict.fromkeys(fold(text) for text in texts))[:most]


def gram(word: str) -> str:
    """Spell a word of one or two characters, of any script or none, in letters that every tokenizer keeps together."""
    return "x".join(f"{ord(character):x}" for character in word)


def grams(text: str) -> str:
    """Spell all words of one and two characters that occur in a searchable text."""
    found = set(text)
    found.update(map(str.__add__, text, text[1:]))
    return _SPACE.join(sorted(gram(word) for word in found if not any(character.isspace() for character in word)))
