"""Limits of what strangers may have the index keep; what is beyond is refused with words they may see."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import Attribute

from p2pshare.errors import RequestRefused

# Characters. A file name has 255 bytes on every common disk, a path 4,096.
NAME = 1024
LABEL = 256  # an owner, an address, a category, a tag, a region
TAGS = 32
LARGEST = (1 << 63) - 1  # what a database counts to

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_CONTROL = re.compile("[\0-\x1f\x7f\ud800-\udfff]")

Check = Callable[[Any, "Attribute[Any]", Any], None]


def text(least: int, most: int, forbidden: re.Pattern[str] = _CONTROL) -> Check:
    """Make a validator for text of some characters."""

    def check(_: object, attribute: Attribute[Any], value: str) -> None:
        if not least <= len(value) <= most:
            raise RequestRefused(f"{attribute.name}: {len(value)} characters, expected {least} to {most}")
        if unfit := forbidden.search(value):
            raise RequestRefused(f"{attribute.name}: holds the character U+{ord(unfit[0]):04X}, which is not allowed")

    return check


def number(least: int, most: int = LARGEST) -> Check:
    """Make a validator for whole numbers."""

    def check(_: object, attribute: Attribute[Any], value: int) -> None:
        if not least <= value <= most:
            raise RequestRefused(f"{attribute.name}: {value}, expected {least} to {most}")

    return check


filename = text(1, NAME, _NO_TEXT)  # POSIX allows control characters
label = text(0, LABEL)
identity = text(1, LABEL)


def tags(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    """Validate tags."""
    if len(value) > TAGS:
        raise RequestRefused(f"{attribute.name}: {len(value)} of them, expected {TAGS} at most")
    for tag in value:
        label(instance, attribute, tag)
