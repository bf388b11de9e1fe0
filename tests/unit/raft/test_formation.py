"""Forming a cluster once, and finding out who was emptied."""

from molecule.raft.formation import Formation

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
        self.members[receiver].hear(sender, self.members[sender].frame().formation)

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
    assert not member.frame().formation.births

    assert member.take_unsaved()
    member.saved()

    assert dict(member.frame().formation.births) == {"a": "a1", "b": "b1", "c": "c1"}


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

    member.hear("b", a_formation("b", cluster="other").frame().formation)

    assert "'other'" in (member.refusal or "")


def test_a_single_voter_forms_alone() -> None:
    alone = Formation(cluster="test", me="a", voters=("a",), birth="a1")
    while alone.take_unsaved():
        alone.saved()

    assert alone.is_formed
