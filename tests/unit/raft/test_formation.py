"""Forming a cluster once, and finding out who was emptied."""

from molecule.raft.configuration import Configuration, Member
from molecule.raft.formation import Formation

NOBODY = Configuration()
NAMES = ("a", "b", "c")


class Forming:
    """Voters that tell each other everything they may tell."""

    def __init__(self, *names: str) -> None:
        self.members = {name: a_formation(name) for name in names or NAMES}

    def save_all(self) -> None:
        for member in self.members.values():
            if member.take_unsaved():
                member.saved()

    def tell(self, sender: str, receiver: str) -> None:
        self.members[receiver].hear(sender, self.members[sender].frame(NOBODY, NOBODY).formation)

    def tell_all(self) -> None:
        for sender in self.members:
            for receiver in self.members:
                if sender != receiver:
                    self.tell(sender, receiver)
        self.save_all()


def a_formation(name: str, *, birth: str = "", cluster: str = "test") -> Formation:
    return Formation(cluster=cluster, me=name, voters=NAMES, birth=birth or f"{name}1")


def formed() -> Forming:
    forming = Forming()
    for _ in range(3):
        forming.tell_all()
    return forming


def test_empty_voters_form_a_cluster_once_all_have_met() -> None:
    forming = formed()

    assert all(member.is_formed for member in forming.members.values())
    assert {m.promised["b"] for m in forming.members.values()} == {"b1"}


def test_two_of_three_form_nothing() -> None:
    forming = Forming("a", "b")
    for _ in range(5):
        forming.tell_all()

    assert not any(member.is_formed for member in forming.members.values())


def test_a_promise_is_told_only_after_it_is_durable() -> None:
    forming = Forming()
    forming.tell("b", "a")
    forming.tell("c", "a")
    member = forming.members["a"]
    assert not member.frame(NOBODY, NOBODY).formation.births

    assert member.take_unsaved()
    member.saved()

    assert dict(member.frame(NOBODY, NOBODY).formation.births) == {"a": "a1", "b": "b1", "c": "c1"}


def test_a_voter_that_missed_the_end_forms_with_those_who_did_not() -> None:
    forming = Forming()
    forming.tell_all()
    forming.tell("b", "a")
    forming.tell("c", "a")
    forming.save_all()
    assert forming.members["a"].is_formed

    forming.tell("a", "c")
    forming.save_all()

    assert forming.members["c"].is_formed


def test_an_emptied_voter_is_refused_by_a_formed_cluster() -> None:
    forming = formed()
    forming.members["c"] = a_formation("c", birth="c2")

    forming.tell("a", "c")

    refusal = forming.members["c"].refusal
    assert refusal is not None
    assert "emptied" in refusal
    assert "let it join again" in refusal


def test_an_emptied_voter_forms_nothing_with_another_emptied_one() -> None:
    forming = formed()
    forming.members["b"] = a_formation("b", birth="b2")
    forming.members["c"] = a_formation("c", birth="c2")
    for _ in range(3):
        forming.tell("b", "c")
        forming.tell("c", "b")
        forming.save_all()

    assert not forming.members["b"].is_formed
    assert not forming.members["c"].is_formed


def test_a_voter_emptied_between_promise_and_agreement_is_refused() -> None:
    forming = Forming()
    forming.tell_all()
    forming.members["c"] = a_formation("c", birth="c2")

    forming.tell("a", "c")
    forming.tell("c", "b")

    assert "emptied" in (forming.members["c"].refusal or "")
    assert "emptied while the cluster was being formed" in (forming.members["b"].refusal or "")


def test_a_promise_survives_a_restart() -> None:
    forming = Forming()
    forming.tell_all()
    kept = forming.members["a"].record()

    forming.members["a"] = Formation(
        cluster="test", me="a", voters=NAMES, birth="a1", promised=dict(kept.births)
    )
    forming.tell_all()

    assert forming.members["a"].is_formed


def test_a_voter_of_another_cluster_is_refused_by_name() -> None:
    member = a_formation("a")

    member.hear("b", a_formation("b", cluster="other").frame(NOBODY, NOBODY).formation)

    assert "'other'" in (member.refusal or "")


def test_a_single_voter_forms_alone() -> None:
    alone = Formation(cluster="test", me="a", voters=("a",), birth="a1")
    while alone.take_unsaved():
        alone.saved()

    assert alone.is_formed


# --- newcomers and those who left ---------------------------------------------------------------

GROWN = Configuration((Member("a", "a:1", "a1"),), index=7).with_learner(Member("d", "d:1", "d1"))


def a_newcomer(birth: str = "d1") -> Formation:
    return Formation(cluster="test", me="d", voters=("a",), birth=birth)


def a_member() -> Formation:
    return Formation(cluster="test", me="a", voters=("a",), birth="a1", is_formed=True)


def test_a_newcomer_forms_nothing_and_waits_until_a_member_knows_it() -> None:
    newcomer = a_newcomer()
    newcomer.hear("a", a_member().frame(NOBODY, NOBODY).formation)
    assert not newcomer.take_unsaved()
    assert "does not know it" in (newcomer.waits_because or "")

    newcomer.hear("a", a_member().frame(GROWN, NOBODY).formation)
    assert newcomer.take_unsaved()
    newcomer.saved()

    assert newcomer.is_formed
    assert newcomer.waits_because is None


def test_a_newcomer_that_a_member_knows_with_another_folder_waits_and_says_why() -> None:
    # The member may have missed that the old one was replaced, so this is no refusal.
    newcomer = a_newcomer("d2")

    newcomer.hear("a", a_member().frame(GROWN, GROWN).formation)

    assert newcomer.binding_refusal is None
    assert "another data folder" in (newcomer.waits_because or "")


def test_whoever_was_removed_stops_however_long_it_took_part() -> None:
    newcomer = a_newcomer()
    newcomer.hear("a", a_member().frame(GROWN, GROWN).formation)
    newcomer.saved()
    shrunk = GROWN.without("d", removed_kept=9)

    newcomer.hear("a", a_member().frame(shrunk, GROWN).formation)
    assert newcomer.binding_refusal is None, "a removal that may be undone is no removal"
    newcomer.hear("a", a_member().frame(shrunk, shrunk).formation)

    assert "was removed" in (newcomer.binding_refusal or "")


def test_the_same_node_returns_with_another_folder() -> None:
    shrunk = GROWN.without("d", removed_kept=9)
    again = shrunk.with_learner(Member("d", "d:1", "d2"))
    newcomer = a_newcomer("d2")

    newcomer.hear("a", a_member().frame(again, again).formation)
    newcomer.saved()

    assert newcomer.is_formed
    assert newcomer.binding_refusal is None


def test_a_founder_of_one_that_was_emptied_stops_once_it_hears_a_member() -> None:
    emptied = Formation(cluster="test", me="a", voters=("a",), birth="a2")
    while emptied.take_unsaved():
        emptied.saved()
    assert emptied.is_formed
    other = Formation(cluster="test", me="d", voters=("a",), birth="d1", is_formed=True)

    emptied.hear("d", other.frame(GROWN, GROWN).formation)

    assert "emptied" in (emptied.binding_refusal or "")


def of_another_cluster(name: str) -> Formation:
    """A voter of three, formed under the same names."""
    births = {each: f"{each}9" for each in NAMES}
    return Formation("test", name, NAMES, births[name], promised=births, is_formed=True)


def test_a_folder_of_another_cluster_of_the_same_names_ends_nobody_but_itself() -> None:
    forming = formed()
    forming.members["b"] = of_another_cluster("b")
    forming.tell_all()

    assert not forming.members["a"].binding_refusal
    assert not forming.members["c"].binding_refusal
    assert "emptied" in (forming.members["b"].binding_refusal or "")


def test_one_member_alone_does_not_end_a_voter_when_each_knows_the_other_otherwise() -> None:
    forming = formed()
    forming.members["b"] = of_another_cluster("b")
    for _ in range(3):
        forming.tell("a", "b")
        forming.tell("b", "a")

    assert not any(forming.members[name].binding_refusal for name in "ab")


def test_a_member_that_is_itself_again_contradicts_no_more() -> None:
    forming = formed()
    member = forming.members["a"]
    for name, knows in (("b", of_another_cluster("b")), ("b", forming.members["b"])):
        member.hear(name, knows.frame(NOBODY, NOBODY).formation)
    member.hear("c", of_another_cluster("c").frame(NOBODY, NOBODY).formation)

    assert not member.binding_refusal
