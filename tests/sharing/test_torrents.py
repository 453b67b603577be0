"""Tests of p2pshare.sharing.torrents."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import metainfo
from p2pshare.errors import MetainfoError
from p2pshare.sharing.digest import Digest, digest_file
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.torrents import info_hash_of, signature_of, torrent_of
from p2pshare.sharing.walk import Stamp
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.signatures import Signature


class TorrentTests(SynchronousTestCase):
    """A file and its torrent."""

    def share(self, name: str, content: bytes) -> SharedFile:
        """Write a file and digest it."""
        path = Path(self.mktemp()) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        self.path = path
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return SharedFile(name, digest_file(descriptor), 1000.0)
        finally:
            os.close(descriptor)

    def test_as_created(self) -> None:
        """It is the torrent that anybody gets who makes one of that file with the usual settings."""
        file = self.share("größe.bin", os.urandom(100_000))
        made = create(self.path, CreateSettings())
        self.assertEqual(torrent_of(file), made)
        self.assertEqual(info_hash_of(file), made.info_hash)

    def test_one_swarm(self) -> None:
        """Neither the folder nor the time makes another torrent of it; another name and other content do."""
        file = self.share("a.bin", b"x" * 40_000)
        same = SharedFile("deep/down/a.bin", evolve(file.digest, stamp=Stamp(40_000, 7, 8, 9)), 5.0, 3)
        self.assertEqual(info_hash_of(same), info_hash_of(file))
        self.assertNotEqual(info_hash_of(evolve(file, name="b.bin")), info_hash_of(file))
        self.assertNotEqual(info_hash_of(self.share("a.bin", b"y" * 40_000)), info_hash_of(file))

    def test_announce(self) -> None:
        """A torrent for others names the tracker, and is the same swarm."""
        file = self.share("a.bin", b"x")
        given = metainfo.parse(metainfo.dump(torrent_of(file, "http://index.test/announce")))
        self.assertEqual(given.announce_tiers, (("http://index.test/announce",),))
        self.assertEqual(given.info_hash, info_hash_of(file))

    def test_empty(self) -> None:
        """An empty file has no torrent."""
        file = self.share("a.bin", b"")
        self.assertIsNone(info_hash_of(file))
        self.assertRaises(MetainfoError, torrent_of, file)

    def test_signature(self) -> None:
        """It is known how the file looked when it was read."""
        self.assertEqual(signature_of(self.share("a.bin", b"x")), Signature.of(self.path.stat()))

    def test_too_large(self) -> None:
        """More pieces than a torrent file may name are refused, not served."""
        pieces = bytes(20 * 600_000)
        file = SharedFile("a", Digest(Stamp(600_000 << 24, 1, 2, 3), "ab" * 32, 1 << 24, pieces), 0.0)
        self.assertRaises(MetainfoError, torrent_of, file)
