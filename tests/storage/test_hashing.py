"""Hashing pieces over files, on one thread and on several."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import Geometry
from p2pshare.storage.disk import OSDisk
from p2pshare.storage.hashing import BUFFER_SIZE, Progress, hash_pieces, run_size

KIB, MIB = 1024, 1024**2


class HashPiecesTests(SynchronousTestCase):
    """A few files, some absent, and what their pieces hash to."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.opened: list[int] = []
        self.contents: list[bytes | None] = []

    def write(self, *contents: bytes | None) -> None:
        """Put the files there; None is one that is missing."""
        self.contents = list(contents)
        for index, content in enumerate(contents):
            if content is not None:
                (self.folder / str(index)).write_bytes(content)

    def open(self, file: int) -> int | None:
        self.opened.append(file)
        return os.open(self.folder / str(file), os.O_RDONLY) if self.contents[file] is not None else None

    def hashed(
        self, geometry: Geometry, pieces: Iterable[int] | None = None, threads: int = 1
    ) -> dict[int, bytes | None]:
        told: list[tuple[int, bytes | None]] = []
        every = range(geometry.num_pieces) if pieces is None else pieces
        hash_pieces(
            geometry,
            self.open,
            every,
            lambda run, digests: told.extend(zip(run, digests, strict=True)),
            threads=threads,
        )
        self.assertEqual(len(dict(told)), len(told), "no piece is told twice")
        return dict(told)

    def expected(self, geometry: Geometry) -> dict[int, bytes]:
        line = b"".join(content or b"" for content in self.contents)
        size = geometry.piece_length
        return {
            piece: hashlib.sha1(line[piece * size : (piece + 1) * size]).digest()
            for piece in range(geometry.num_pieces)
        }

    def lengths(self) -> tuple[int, ...]:
        return tuple(len(content or b"") for content in self.contents)

    def test_pieces_of_every_size(self) -> None:
        """Pieces smaller and larger than the buffer, dividing it or not, are hashed right over file borders."""
        random = Random(0)
        self.write(*(random.randbytes(size) for size in (5, 0, 1_500_000, 70_000, 1, 2 * BUFFER_SIZE, 17)))
        for piece_length in (1460, 16 * KIB, MIB - 1, MIB, MIB + 1, 3 * MIB, 16 * MIB):
            geometry = Geometry(piece_length, self.lengths())
            for threads in (1, 3):
                self.assertEqual(self.hashed(geometry, threads=threads), self.expected(geometry))

    def test_only_the_pieces_asked_for(self) -> None:
        """Any selection can be hashed, in runs or alone; nothing else is read."""
        self.write(Random(0).randbytes(100_000))
        geometry = Geometry(KIB, (100_000,))
        chosen = [0, 1, 2, 50, 7, 97]
        expected = self.expected(geometry)
        self.assertEqual(self.hashed(geometry, chosen), {piece: expected[piece] for piece in chosen})
        self.assertEqual(self.hashed(geometry, []), {})

    def test_nothing_to_hash(self) -> None:
        """Empty files have no pieces and are not opened."""
        self.write(b"", b"")
        self.assertEqual(self.hashed(Geometry(KIB, (0, 0))), {})
        self.assertEqual(self.opened, [])

    def test_missing_files_spoil_only_their_pieces(self) -> None:
        """Pieces that need no byte of the missing file are hashed, those that do come without a digest."""
        self.write(b"a" * 250, None, b"c" * 250)
        digests = self.hashed(Geometry(100, (250, 100, 250)))
        self.assertEqual([piece for piece in digests if digests[piece] is None], [2, 3])
        self.assertEqual(digests[5], hashlib.sha1(b"c" * 100).digest())

    def test_short_files_spoil_only_what_is_cut_off(self) -> None:
        """The part of a file that is there is hashed."""
        self.write(b"a" * 250, b"b" * 10)
        digests = self.hashed(Geometry(100, (500, 100)))
        self.assertEqual([piece for piece in digests if digests[piece] is None], [2, 3, 4, 5])

    def test_short_large_pieces(self) -> None:
        """A piece longer than the buffer has no digest when its end is missing; the next one is not touched by that."""
        self.write(b"a" * (2 * MIB - 1), b"b" * 2 * MIB)
        digests = self.hashed(Geometry(2 * MIB, (2 * MIB, 2 * MIB)))
        self.assertEqual(digests, {0: None, 1: hashlib.sha1(b"b" * 2 * MIB).digest()})

    def test_pad_files_are_zeros(self) -> None:
        """Padding is hashed without being opened, also when it is larger than the buffer."""
        self.write(b"a" * 10, None, b"b" * 10)
        pad = 3 * MIB
        for piece_length in (100, 2 * MIB):
            geometry = Geometry(piece_length, (10, pad, 10), frozenset({1}))
            line = b"a" * 10 + bytes(pad) + b"b" * 10
            digests = self.hashed(geometry)
            for piece in (0, geometry.num_pieces - 1):
                begin = piece * piece_length
                self.assertEqual(digests[piece], hashlib.sha1(line[begin : begin + piece_length]).digest())
        self.assertNotIn(1, self.opened)

    def test_files_are_opened_once_a_run(self) -> None:
        """One thread that goes through the pieces in order opens each file once, small or large."""
        self.write(*(b"x" * 10 for _ in range(50)), b"y" * 3 * MIB)
        self.hashed(Geometry(KIB, self.lengths()))
        self.assertEqual(self.opened, list(range(51)))

    def test_pieces_are_told_in_runs(self) -> None:
        """Consecutive pieces come together, 4 MiB at most; larger ones, and those with gaps between, come alone."""
        self.write(bytes(13 * MIB))
        told: list[range] = []
        for piece_length, pieces in ((MIB, range(13)), (MIB, (1, 2, 5, 7)), (5 * MIB, range(3))):
            geometry = Geometry(piece_length, self.lengths())
            hash_pieces(geometry, self.open, pieces, lambda run, digests: told.append(run), threads=1)
        expected = [range(4), range(4, 8), range(8, 12), range(12, 13)]
        expected += [range(1, 3), range(5, 6), range(7, 8)]
        expected += [range(1), range(1, 2), range(2, 3)]
        self.assertEqual(told, expected)

    def test_small_files_are_opened_ahead(self) -> None:
        """Sixteen files are open before the first of them is read, so that the disk can fetch them; no more at once."""
        events: list[tuple[str, int]] = []

        class Watched(OSDisk):
            def preadv(self, fd: int, *rest: object) -> int:
                events.append(("read", fd))
                return super().preadv(fd, *rest)  # type: ignore[arg-type]

            def close(self, fd: int) -> None:
                events.append(("close", fd))
                super().close(fd)

        def opened(file: int) -> int | None:
            descriptor = self.open(file)
            assert descriptor is not None
            events.append(("open", descriptor))
            return descriptor

        self.write(*(bytes([number]) * 10 for number in range(40)))
        geometry = Geometry(KIB, self.lengths())
        told: list[bytes | None] = []
        hash_pieces(geometry, opened, [0], lambda run, digests: told.extend(digests), threads=1, disk=Watched())
        self.assertEqual(told, [self.expected(geometry)[0]])
        self.assertEqual([event for event, _ in events[:32]], ["open"] * 16 + ["read"] * 16)
        open_now, most = 0, 0
        for event, _ in events:
            open_now += {"open": 1, "close": -1}.get(event, 0)
            most = max(most, open_now)
        self.assertEqual((open_now, most), (0, 17))  # the last one of the batch before may go on in this one

    def test_no_descriptor_is_left_open(self) -> None:
        """All files are closed at the end, also after an error."""
        self.write(b"x" * 100, b"y" * 100)
        before = len(os.listdir("/proc/self/fd"))
        self.hashed(Geometry(10, (100, 100)))
        self.assertRaises(ZeroDivisionError, hash_pieces, Geometry(10, (100, 100)), self.open, [0], lambda *_: 1 // 0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_files_that_cannot_be_read_are_told(self) -> None:
        """A file that is there and cannot be opened is told once, with its error; its pieces have no digest."""
        self.write(b"a" * 100)

        def refuse(file: int) -> int | None:
            raise PermissionError(13, "Permission denied")

        told: list[object] = []
        hash_pieces(
            Geometry(10, (100,)),
            refuse,
            range(10),
            lambda run, digests: told.extend(digests),
            on_error=lambda file, error: told.append((file, error.strerror)),
            threads=1,
        )
        self.assertEqual(told, [(0, "Permission denied")] + [None] * 10)

    def test_a_read_that_fails_spoils_its_pieces(self) -> None:
        """An error of the disk in the middle of a file is told like one at its beginning."""
        told: list[object] = []
        hash_pieces(
            Geometry(10, (10,)),
            lambda file: os.open(self.folder, os.O_RDONLY),  # a folder can be opened but not read
            [0],
            lambda run, digests: told.extend(digests),
            on_error=lambda file, error: told.append((file, error.strerror)),
            threads=1,
        )
        self.assertEqual(told, [(0, "Is a directory"), None])

    def test_an_error_of_the_listener_ends_the_work(self) -> None:
        """What on_piece raises comes out, nothing is told after it, and no more is read, on any number of threads."""
        self.write(b"a" * 64 * MIB)
        geometry = Geometry(MIB, (64 * MIB,))
        for threads in (1, 3):
            told: list[range] = []

            def stop(run: range, digests: object, told: list[range] = told) -> None:
                told.append(run)
                raise KeyboardInterrupt

            self.assertRaises(KeyboardInterrupt, hash_pieces, geometry, self.open, range(64), stop, threads=threads)
            self.assertEqual(len(told), 1)


class RunSizeTests(SynchronousTestCase):
    """How many bytes consecutive pieces have."""

    def test_the_last_piece_may_be_short(self) -> None:
        """All pieces count in full but the last of the content; no pieces are no bytes."""
        geometry = Geometry(10, (25,))
        sizes = [run_size(geometry, run) for run in (range(2), range(1, 3), range(2, 3), range(0))]
        self.assertEqual(sizes, [20, 15, 5, 0])


class ProgressTests(SynchronousTestCase):
    """How often a listener hears of progress."""

    def told(self, total: int, step: int) -> list[int]:
        heard: list[int] = []
        progress = Progress(lambda done, of: heard.append(done), total)
        for done in range(0, total, step):
            progress.add(min(step, total - done))
        return heard

    def test_small_content(self) -> None:
        """Below 1 MiB there is nothing to tell but the beginning and the end."""
        self.assertEqual(self.told(1000, 1), [0, 1000])

    def test_every_thousandth(self) -> None:
        """Small pieces of a large content are told together, the last always."""
        heard = self.told(4000 * MIB + 5, MIB)
        self.assertEqual(heard[:3], [0, 4 * MIB, 8 * MIB])
        self.assertEqual(heard[-1], 4000 * MIB + 5)
        self.assertLessEqual(len(heard), 1002)

    def test_huge_content(self) -> None:
        """On terabytes something is told at least every 32 MiB."""
        self.assertEqual(self.told(2**20 * MIB, 16 * MIB)[:3], [0, 32 * MIB, 64 * MIB])

    def test_nothing_to_do(self) -> None:
        """Empty content is complete from the start; without a listener nothing happens."""
        self.assertEqual(self.told(0, 1), [0])
        Progress(None, 5).add(5)
