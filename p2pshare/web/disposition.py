"""The name under which a browser is to save a download (RFC 6266), whatever the name is."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$&'()+,-.;=@[]^_`{}~")
# RFC 8187, attr-char: what may stand in an extended value as it is.
_UNQUOTED = "!#$&+-.^_`|~"


def attachment(name: str) -> str:
    """
    Write a Content-Disposition that saves a file under ``name``.

    Old clients read the first name, in ASCII; the others read the second, which is exact but for path separators and
    control characters.
    """
    shown = "".join(_shown(character) for character in name) or "_"
    simple = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode("ascii")
    simple = "".join(character if character in _PLAIN else "_" for character in simple).strip() or "download"
    if simple == shown:
        return f'attachment; filename="{simple}"'
    return f"attachment; filename=\"{simple}\"; filename*=UTF-8''{quote(shown, safe=_UNQUOTED)}"


def _shown(character: str) -> str:
    # Controls, among them line ends and those that turn the direction of writing, lone surrogates, separators.
    is_hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "_" if is_hidden or character in '/\\"' else character
