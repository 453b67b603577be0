"""Tests for who has what we lack, and for saying so."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.interest import Interest
from p2pshare.swarm.member import Member
from p2pshare.wire import messages

SIZE = 4


class RecordingCopies:
    """Counts the copies of each piece the slow way, and must never come to less than none."""

    def __init__(self) -> None:
        self.copies = [0] * SIZE

    def joined(self, has: Bitfield) -> None:
        for piece in has:
            self.copies[piece] += 1

    def left(self, has: Bitfield) -> None:
        for piece in has:
            self.copies[piece] -= 1
        assert min(self.copies) >= 0

    def got_have(self, piece: int) -> None:
        self.copies[piece] += 1


class SayingLink:
    """Writes down what is said, and what of it can wait."""

    def __init__(self) -> None:
        self.said: list[messages.Message] = []
        self.mentioned: list[messages.Message] = []

    def send(self, message: messages.Message) -> None:
        self.said.append(message)

    def mention(self, message: messages.Message) -> None:
        self.said.append(message)
        self.mentioned.append(message)


def bits(*pieces: int) -> Bitfield:
    """A field of these pieces."""
    made = Bitfield(SIZE)
    for piece in pieces:
        made.add(piece)
    return made


class InterestTests(SynchronousTestCase):
    """Counted, not compared."""

    def setUp(self) -> None:
        self.copies = RecordingCopies()
        self.have = bits(0)
        self.members: dict[RemotePeer, Member] = {}
        self.interest = Interest(self.copies, self.have, self.members)

    def join(self) -> tuple[Member, list[messages.Message]]:
        """A peer that holds nothing yet."""
        remote = RemotePeer(Address("9.9.9.9", 1), b"-XX0001-............", True, Bitfield(SIZE), 0.0)
        link = SayingLink()
        member = Member(link, remote, joined=True)  # type: ignore[arg-type]
        self.members[remote] = member
        return member, link.said

    def verify(self, piece: int) -> None:
        """Hold one piece more."""
        self.have.add(piece)
        self.interest.verified(piece)

    def test_told_once(self) -> None:
        """Interest is said when the first wanted piece appears, and not again with the second."""
        member, said = self.join()
        self.interest.got_pieces(member, bits(0))
        self.assertEqual((said, member.wanted), ([], 0))
        self.assertTrue(self.interest.got_have(member, 1))
        self.assertTrue(self.interest.got_have(member, 2))
        self.assertFalse(self.interest.got_have(member, 2))
        self.assertEqual((said, member.wanted), ([messages.Interested()], 2))
        self.assertEqual(self.copies.copies, [1, 1, 1, 0])

    def test_s1_13_have_to_everyone(self) -> None:
        """A verified piece is told to every peer once, and interest ends with the last wanted piece."""
        one, said_to_one = self.join()
        two, said_to_two = self.join()
        three, said_to_three = self.join()
        self.interest.got_pieces(one, bits(0, 1))
        self.interest.got_pieces(two, bits(0, 1, 2))
        self.verify(1)
        self.assertEqual(said_to_one, [messages.Interested(), messages.Have(1), messages.NotInterested()])
        self.assertEqual(said_to_two, [messages.Interested(), messages.Have(1)])
        self.assertEqual(said_to_three, [messages.Have(1)])
        self.assertEqual([member.wanted for member in (one, two, three)], [0, 1, 0])

    def test_have_of_what_a_peer_lacks_is_urgent(self) -> None:
        """Whoever lacks a verified piece hears of it at once; to whoever has it, it is only mentioned."""
        one, _ = self.join()
        two, _ = self.join()
        self.interest.got_pieces(one, bits(0, 1, 2))
        self.interest.got_pieces(two, bits(0, 2))
        self.verify(1)
        mentioned = [member.link.mentioned for member in (one, two)]  # type: ignore[attr-defined]
        self.assertEqual(mentioned, [[messages.Have(1)], []])

    def test_have_makes_a_seed(self) -> None:
        """A peer that becomes a seed by its last have, and leaves, leaves no copy behind."""
        member, _ = self.join()
        self.interest.got_pieces(member, bits(0, 1, 2))
        self.interest.got_have(member, 3)
        self.assertTrue(member.remote.is_seed)
        self.assertEqual(self.copies.copies, [1, 1, 1, 1])
        self.interest.left(member)
        self.assertEqual(self.copies.copies, [0, 0, 0, 0])

    def test_f24_summary_of_haves(self) -> None:
        """Another bitfield is taken when it adds to what was told, as aria2 sums up many haves; counted once."""
        member, said = self.join()
        self.interest.got_have(member, 1)
        self.interest.got_pieces(member, bits(1, 2))
        self.assertEqual((self.copies.copies, member.wanted), ([0, 1, 1, 0], 2))
        self.assertEqual(said, [messages.Interested()])

    def test_f24_twice(self) -> None:
        """Another bitfield that tells nothing new, or takes a piece back, is refused and changes nothing."""
        member, _ = self.join()
        self.assertTrue(self.interest.got_pieces(member, bits(1, 2)))
        for again in (bits(1, 2), bits(1), bits(), bits(0, 1, 3)):
            self.assertFalse(self.interest.got_pieces(member, again))
        self.assertEqual((self.copies.copies, member.wanted), ([0, 1, 1, 0], 2))

    def test_f93_lost(self) -> None:
        """A piece that is missing again is wanted of those who have it, and of nobody else."""
        one, said_to_one = self.join()
        two, said_to_two = self.join()
        self.interest.got_pieces(one, bits(0))
        self.interest.got_pieces(two, bits())
        self.have.discard(0)
        self.interest.lost(0)
        self.assertEqual((said_to_one, said_to_two), ([messages.Interested()], []))
        self.verify(0)
        self.assertEqual(said_to_one[1:], [messages.Have(0), messages.NotInterested()])

    def test_wanted_while_somebody_lacks_it(self) -> None:
        """A piece is wanted as long as one peer that is here lacks it."""
        self.assertFalse(self.interest.is_wanted(1))  # nobody is here
        one, _ = self.join()
        two, _ = self.join()
        three, _ = self.join()
        self.assertTrue(self.interest.is_wanted(1))
        self.interest.got_have(one, 1)
        self.interest.got_pieces(two, bits(0, 1))
        self.assertTrue(self.interest.is_wanted(1))
        del self.members[three.remote]
        self.interest.left(three)
        self.assertFalse(self.interest.is_wanted(1))
        self.assertEqual([self.interest.is_wanted(piece) for piece in (0, 2, 3)], [True, True, True])


class InterestOnTheWireTests(SynchronousTestCase):
    """Copies are only counted for peers that are there."""

    def test_joins_late(self) -> None:
        """Somebody who is not introduced yet hears no have: the bitfield has to come first."""
        copies, have, members = RecordingCopies(), bits(), dict[RemotePeer, Member]()
        interest = Interest(copies, have, members)
        link = SayingLink()
        remote = RemotePeer(Address("9.9.9.9", 1), b"-XX0001-............", True, Bitfield(SIZE), 0.0)
        members[remote] = Member(link, remote)  # type: ignore[arg-type]
        have.add(1)
        interest.verified(1)
        self.assertEqual(link.said, [])
