"""Where pieces lie, and what the key of a content is."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import ConfigError, StorageError
from p2pshare.storage.create import CreateSettings, create
from p2pshare.textswarm.layout import Key, check_key, check_output, key_of, split


class LayoutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "example.txt"
        self.file.write_bytes(bytes(range(256)) * 16)

    def test_key_of_the_name(self) -> None:
        """The first implementation's key is the hash of the name, whatever is in the file."""
        self.assertEqual(key_of(self.file, Key.NAME), ("e1bc3ba85b832a12e5537300fa1def22727f330e", 4096))

    def test_key_of_the_content(self) -> None:
        """The other key is the info hash of a torrent with these pieces, by the same rules as any torrent's."""
        self.file.write_bytes(bytes(4096))
        info = b"d6:lengthi4096e4:name11:example.txt12:piece lengthi1460e6:pieces60:"
        digests = b"".join(sha1(bytes(size)).digest() for size in (1460, 1460, 1176))
        self.assertEqual(key_of(self.file, Key.CONTENT), (sha1(info + digests + b"e").hexdigest(), 4096))
        other = create(self.file, CreateSettings(piece_length=16384))
        self.assertNotEqual(key_of(self.file, Key.CONTENT)[0], other.info_hash.hex())  # other pieces, other key

    def test_s0_12_split(self) -> None:
        """The pieces, one after the other, are the file; all but the last have 1,460 bytes."""
        split(self.file, self.folder / "seed" / "k")
        pieces = [(self.folder / "seed" / "k" / f"piece_{index}").read_bytes() for index in range(3)]
        self.assertEqual([len(piece) for piece in pieces], [1460, 1460, 1176])
        self.assertEqual(b"".join(pieces), self.file.read_bytes())

    def test_nothing_to_share(self) -> None:
        """An empty file has no pieces, and one that is not there none either."""
        self.file.write_bytes(b"")
        self.assertRaises(StorageError, key_of, self.file, Key.NAME)
        self.assertRaises(StorageError, key_of, self.folder / "none", Key.NAME)

    def test_names(self) -> None:
        """An output is a plain name, a key 40 hexadecimal digits in small letters."""
        self.assertEqual((check_output("out.txt"), check_key("AB" * 20)), ("out.txt", "ab" * 20))
        for name in ("..", "a/b", "", "\x1b[31m"):
            self.assertRaises(ConfigError, check_output, name)
        for key in ("ab" * 19, "zz" * 20, ""):
            self.assertRaises(ConfigError, check_key, key)
