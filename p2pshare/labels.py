"""What kind of file a name stands for: the category and the tags that nodes give to what they share."""

from __future__ import annotations

from collections.abc import Mapping

OTHER = "other"

_EXTENSIONS: Mapping[str, str] = {
    "document": "txt doc docx pdf xls xlsx ppt pptx",
    "image": "jpg jpeg png gif bmp",
    "video": "mp4 avi mkv mov wmv",
    "audio": "mp3 wav flac aac ogg",
    "archive": "zip rar 7z tar gz",
}
_CATEGORIES = {extension: name for name, extensions in _EXTENSIONS.items() for extension in extensions.split()}
_TAGS: Mapping[str, tuple[str, ...]] = {
    "music": ("music", "song"),
    "video": ("video", "movie"),
    "photo": ("photo", "image"),
    "document": ("document", "doc"),
}


def category_of(filename: str) -> str:
    """Give the category of a file by its extension."""
    _, dot, extension = filename.rpartition(".")
    return _CATEGORIES.get(extension.lower(), OTHER) if dot else OTHER


def tags_of(filename: str) -> tuple[str, ...]:
    """Give the tags of a file by the words in its name."""
    name = filename.lower()
    return tuple(tag for tag, words in _TAGS.items() if any(word in name for word in words))
