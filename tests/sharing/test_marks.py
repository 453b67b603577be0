"""What is remembered of shared files besides their content: downloads, and what is not to be shared."""

from __future__ import annotations

from p2pshare.sharing.library import FileAdded, FileRemoved
from tests.sharing.test_library import INTERVAL, LibraryCase
from tests.sharing.test_registrar import RegistrarCase, shared


class MarkTests(LibraryCase):
    def restart(self) -> None:
        """Stop, and start again with what was kept."""
        self.successResultOf(self.library.stopService())
        self.told()
        self.start()

    def test_withdrawn_over_a_restart(self) -> None:
        """What was withdrawn stays so over a restart, and so does what was restored."""
        self.write("a.txt")
        self.write("b.txt")
        self.start()
        self.library.withdraw("a.txt")
        self.library.withdraw("b.txt")
        self.library.restore("b.txt")
        self.restart()
        self.assertEqual(self.told(), [(FileAdded, "b.txt")])
        self.assertEqual(self.library.withdrawn, {"a.txt"})

    def test_downloads(self) -> None:
        """Downloads are counted at once and kept, also those of a file that is read again meanwhile."""
        self.write("a.txt")
        self.write("b.txt")
        library = self.start()
        for name in ("a.txt", "b.txt", "a.txt", "unknown"):
            library.count_download(name)
        self.assertEqual([library.files[name].downloads for name in ("a.txt", "b.txt")], [2, 1])
        self.clock.advance(INTERVAL)
        library.count_download("a.txt")
        self.write("a.txt", b"other content")
        self.clock.advance(INTERVAL)
        library.count_download("b.txt")
        self.restart()
        self.assertEqual([self.library.files[name].downloads for name in ("a.txt", "b.txt")], [3, 2])

    def test_downloads_during_a_read(self) -> None:
        """A download that is counted while its file is read again is kept once."""
        self.write("a.txt")
        library = self.start()
        self.write("a.txt", b"other content")
        self.holds = True
        self.clock.advance(INTERVAL)
        library.count_download("a.txt")
        self.held.pop()()
        self.holds = False
        self.restart()
        self.assertEqual(self.library.files["a.txt"].downloads, 1)

    def test_settled(self) -> None:
        """A file whose writer says that it is done is read at once; others are left alone for a while."""
        self.start()
        self.write("a.txt", age=0.0)
        self.write("b.txt", age=0.0)
        self.library.poke("a.txt")
        self.clock.advance(0)
        self.assertEqual(self.told(), [(FileAdded, "a.txt")])

    def test_settled_only_now(self) -> None:
        """What was said of a name does not hold for a file that comes later."""
        self.start()
        self.library.restore("a.txt")
        self.clock.advance(0)
        self.write("a.txt", age=0.0)
        self.library.poke()
        self.clock.advance(0.3)
        self.assertEqual(self.told(), [])

    def test_withdrawn_meanwhile(self) -> None:
        """A file that is withdrawn while it is read is not shared."""
        self.start()
        self.write("a.txt")
        self.holds = True
        self.clock.advance(INTERVAL)
        self.library.withdraw("a.txt")
        self.held.pop()()
        self.assertNotIn((FileRemoved, "a.txt"), self.told())
        self.assertEqual(self.library.files, {})


class IndexNameTests(RegistrarCase):
    """Under which ids an index lists files."""

    def test_both_ways(self) -> None:
        """A listed file is found by its id there, and its id by the file; unlisted, neither is."""
        self.share("a.txt")
        file = self.library.files["a.txt"]
        self.index.is_up = False
        registrar = self.start()
        self.assertIsNone(registrar.index_id(file))
        self.index.is_up = True
        self.run_for(11)
        index_id = registrar.index_id(file)
        assert index_id is not None
        self.assertEqual(registrar.name_of(index_id), "a.txt")
        self.library.remove("a.txt")
        self.run_for(1)
        self.assertEqual((registrar.index_id(file), registrar.name_of(index_id)), (None, None))
        self.assertEqual(registrar._names, {})

    def test_one_content_two_names(self) -> None:
        """Where two names have one id, it leads to the other once the first is gone."""
        for name in ("a.txt", "b.txt"):
            self.library.add(shared(name, "same"))
        file = self.library.files["a.txt"]
        registrar = self.start()
        self.run_for(1)
        index_id = registrar.index_id(file)
        assert index_id is not None
        self.assertEqual(registrar.index_id(self.library.files["b.txt"]), index_id)
        self.library.remove("b.txt")
        self.run_for(1)
        self.assertEqual(registrar.name_of(index_id), "a.txt")
