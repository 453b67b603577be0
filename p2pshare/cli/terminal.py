"""What may be written to a person's terminal, and what is written for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping
from io import TextIOWrapper

import click


def printable(text: str) -> str:
    """
    Escape everything in ``text`` that a terminal would act on instead of showing it.

    Names come from strangers' torrents: ANSI sequences, newlines, overrides of the writing direction and bytes that
    are no UTF-8 become visible escapes such as ``\\x1b``. Letters and spaces of all scripts stay.
    """
    return "".join(char if _is_harmless(char) else _escape(char) for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # Zs: the other spaces, such as U+3000


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def write_json(value: Mapping[str, object]) -> None:
    """Write one object as one line of ASCII on standard output."""
    click.echo(json.dumps(value))


def never_fail_to_encode() -> None:
    """Let standard output and error escape what their encoding lacks (``LANG=C``), instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
