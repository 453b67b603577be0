"""``p2pshare verify``."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from tests.cli.sample import content, objects, run, torrent_of


class VerifyTests(SynchronousTestCase):
    """Content of five pieces; a.bin begins with piece 0, b.bin with piece 3."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.root = content(self.folder)
        self.file, self.metainfo = torrent_of(self.root)

    def test_right(self) -> None:
        """Content that is as its torrent says: one line, exit code 0; named itself, or by the folder around it."""
        for path in (self.root, self.folder):
            result = run("verify", self.file, path)
            self.assertEqual(result.exit_code, 0, result.output)
            self.assertEqual(result.output, "photos: complete, all 5 pieces are right\n")

    def test_present_folder(self) -> None:
        """Without a path the content is looked for here."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.assertEqual(run("verify", self.file.name).exit_code, 0)

    def test_wrong(self) -> None:
        """Each fault is named, and the exit code is 6."""
        with (self.root / "a.bin").open("r+b") as file:
            file.write(b"?")
        (self.root / "b.bin").write_bytes(b"short")
        (self.root / "empty").unlink()
        result = run("verify", self.file, self.root)
        self.assertEqual(result.exit_code, ExitCode.VERIFICATION_FAILED)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "missing     empty",
                "wrong size  b.bin: 5 bytes, not 25,000",
                "damaged     a.bin",
                "damaged     deep/c.txt",
            ],
        )
        self.assertEqual(result.stderr, "p2pshare: photos: 3 of 5 pieces are wrong or missing (0, 3-4)\n")

    def test_longer_file(self) -> None:
        """A file with bytes too many is wrong although all pieces are right."""
        with (self.root / "deep" / "c.txt").open("ab") as file:
            file.write(b"!")
        result = run("verify", self.file, self.root)
        self.assertEqual(result.exit_code, ExitCode.VERIFICATION_FAILED)
        self.assertEqual(result.stdout, "wrong size  deep/c.txt: 6 bytes, not 5\n")
        self.assertEqual(result.stderr, "p2pshare: photos: all pieces are right, but not all files\n")

    def test_many_faults(self) -> None:
        """Of very many bad pieces only the first ranges are printed."""
        root = content(self.folder, "large", size=16384 * 50)
        file, _ = torrent_of(root)
        with (root / "a.bin").open("r+b") as damaged:
            for piece in range(0, 50, 2):
                damaged.seek(piece * 16384)
                damaged.write(b"??????????")
        result = run("verify", file, root)
        self.assertIn(
            "25 of 76 pieces are wrong or missing (0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 15 more)", result.stderr
        )

    def test_json(self) -> None:
        """As JSON one object says it all, right or wrong; the exit code stays."""
        result = run("verify", "--json", self.file, self.root)
        self.assertEqual(result.exit_code, 0)
        (found,) = objects(result)
        self.assertEqual((found["complete"], found["pieces_done"], found["bad_pieces"]), (True, 5, []))
        (self.root / "b.bin").unlink()
        result = run("verify", "--json", self.file, self.root)
        self.assertEqual(result.exit_code, ExitCode.VERIFICATION_FAILED)
        (found,) = objects(result)
        self.assertEqual((found["complete"], found["pieces_done"], found["bad_pieces"]), (False, 3, [3, 4]))
        self.assertEqual((found["missing_files"], found["damaged_files"]), (["b.bin"], ["a.bin", "deep/c.txt"]))
        self.assertEqual(found["info_hash"], self.metainfo.info_hash.hex())

    def test_quiet(self) -> None:
        """With --quiet the exit code is the answer."""
        self.assertEqual(run("verify", "-q", self.file, self.root).output, "")

    def test_no_content(self) -> None:
        """If there is nothing that could be the content, that is one line and exit code 1, also as JSON."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        result = run("verify", "--json", self.file, elsewhere)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        (found,) = objects(result)
        self.assertEqual((found["event"], found["exit_code"]), ("error", 1))
        self.assertIn("neither the folder 'photos' nor one that holds it", result.stderr)
