"""Categories and tags of file names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.labels import category_of, tags_of


class CategoryTests(SynchronousTestCase):
    """What the extension says."""

    def test_extensions(self) -> None:
        """Upper and lower case are alike; only the last extension counts."""
        for name, expected in (
            ("thesis.PDF", "document"),
            ("a.b.jpeg", "image"),
            ("film.mkv", "video"),
            ("song.ogg", "audio"),
            ("backup.tar.gz", "archive"),
            ("disk.img", "other"),
        ):
            self.assertEqual(category_of(name), expected, name)

    def test_none(self) -> None:
        """A name that only looks like an extension says nothing."""
        self.assertEqual([category_of(name) for name in ("", "pdf", "pdf.", "zip-")], ["other"] * 4)


class TagTests(SynchronousTestCase):
    """What the words in the name say."""

    def test_words(self) -> None:
        """Each tag comes once, in a fixed order, wherever its word stands."""
        self.assertEqual(tags_of("My SONGS and music.zip"), ("music",))
        self.assertEqual(tags_of("documentary movie with photos.mkv"), ("video", "photo", "document"))
        self.assertEqual(tags_of("plain.txt"), ())
