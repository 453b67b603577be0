"""The sentences as people are shown them."""

from __future__ import annotations

from p2pshare.course.sentences import TEMPLATES, Sentence

_BLANKS = {"peer": "[id]", "other": "[other id]", "neighbors": "[id],[id]", "piece": "[index]", "count": "[number]"}


def in_words(kind: type[Sentence]) -> str:
    """Show a sentence with names for its fields."""
    return TEMPLATES[kind].format_map(_BLANKS)
