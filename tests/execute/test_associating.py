"""Filling and emptying one share: what became of each entity, whatever the service answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.errors import CredentialsRefused, NoAnswer, OrgshareError, Refused, TryAgain
from orgshare.execute.associating import TRIES, ShareOutcome, associate, create_share, disassociate, unknown_rows
from orgshare.ports import AssociationKind, AssociationRow, TokenPage
from orgshare.words import Association, ResourceShare, Tags

SHARE = "rs-1"
IMAGES = tuple(f"m-{n:02d}" for n in range(20))
TARGETS = tuple(str(4000000000000000 + n) for n in range(20))
TAGS: Tags = frozenset({("orgshare:deployment", "golden"), ("orgshare:audience", "a")})
LONG_AGO, TODAY = "2026-11-01T00:00:00.000Z", "2026-11-21T12:00:00.000Z"
INVALID, QUOTA = "InvalidTarget", "QuotaExceeded.SharedResource.Count"
CONFLICT, MISMATCH = "AssociateConflict", "ResourceShareStatusMismatchAction"

Trouble = Literal["", "lost", "silent", "throttle", "credentials"]
"""What happens to a call: nothing, carried out without an answer, nothing without an answer, or a refusal to look."""


@dataclass
class Service:
    """``ShareService`` of one share in memory. ``troubles`` are what happens to its calls in turn, then nothing does.

    ``codes`` are entities that are refused, ``partial`` whether a refused call serves the others all the same.
    ``again`` refuses what is there already, ``quota`` is how many images fit, ``whole`` refuses every call.
    """

    inside: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    reading_fails: bool = False
    partial: bool = False
    again: str = ""
    quota: int = 1000
    whole: str = ""
    shares_there: list[ResourceShare] = field(default_factory=list)
    shares_late: list[ResourceShare] = field(default_factory=list)
    calls: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    readings: list[str] = field(default_factory=list)
    made: int = 0

    def enabled(self) -> bool:
        raise AssertionError("nothing here asks for this")

    def share_by_id(self, share: str) -> ResourceShare | None:
        raise AssertionError("nothing here asks for this")

    def shares(self, token: str) -> TokenPage[ResourceShare]:
        self.readings.append("shares")
        if self.reading_fails:
            raise TryAgain("throttled", code="Throttling")
        number = int(token or 0)
        return TokenPage(tuple(self.shares_there[number : number + 1]),
                         str(number + 1) if number + 1 < len(self.shares_there) else "")  # fmt: skip

    def rows(
        self, kind: AssociationKind, token: str, *, share: str | None = None, entity: str | None = None
    ) -> TokenPage[AssociationRow]:
        assert (share, entity) == (SHARE, None)
        self.readings.append(kind)
        if self.reading_fails:
            raise TryAgain("throttled", code="Throttling")
        of_kind = sorted(e for e in self.inside if e.startswith("m-") == (kind == "Resource"))
        number = int(token or 0)
        page = tuple(
            AssociationRow(SHARE, Association(e, self.inside[e], LONG_AGO)) for e in of_kind[number : number + 2]
        )
        return TokenPage(page, str(number + 2) if number + 2 < len(of_kind) else "")

    def create(self, name: str, tags: Tags) -> ResourceShare:
        trouble = self._trouble()
        if self.whole:
            raise Refused("no", code=self.whole)
        made = ResourceShare(id=f"rs-made-{self.made}", name=name, tags=tags)
        self.made += trouble != "silent"
        if trouble != "silent":
            (self.shares_late if trouble == "lost" and self.shares_late else self.shares_there).append(made)
        self._answer(trouble)
        return made

    def associate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> tuple[Association, ...]:
        self._checked(share, images, targets)
        trouble = self._trouble()
        if trouble in ("silent", "throttle", "credentials"):
            self._answer(trouble)
        there = sum(e.startswith("m-") for e in self.inside)
        problems: dict[str, str] = {}
        fitting = []
        for entity in (*images, *targets):
            code = self.whole or self.codes.get(entity, "")
            code = code or (self.again if self.inside.get(entity) in ("Associated", "Associating") else "")
            if not code and entity.startswith("m-") and entity not in self.inside:
                there += 1
                code = QUOTA if there > self.quota else ""
            if code:
                problems[entity] = code
            else:
                fitting.append(entity)
        if not problems or self.partial:
            self.inside.update((entity, "Associating") for entity in fitting)
        self._answer(trouble)
        self._refuse(problems)
        return tuple(Association(entity, "Associating", TODAY) for entity in fitting)

    def disassociate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> None:
        self._checked(share, images, targets)
        trouble = self._trouble()
        if trouble in ("silent", "throttle", "credentials"):
            self._answer(trouble)
        problems: dict[str, str] = {}
        for entity in (*images, *targets):
            code = self.whole or self.codes.get(entity, "")
            gone = self.inside.get(entity, "Disassociated") in ("Disassociating", "Disassociated")
            if code or gone:
                problems[entity] = code or "DisassociateInvalid"
        if not problems or self.partial:
            self.inside.update((e, "Disassociating") for e in (*images, *targets) if e not in problems)
        self._answer(trouble)
        self._refuse(problems)

    def has(self) -> set[str]:
        return {entity for entity, status in self.inside.items() if status in ("Associating", "Associated")}

    def _checked(self, share: str, images: Sequence[str], targets: Sequence[str]) -> None:
        assert share == SHARE
        assert images or targets
        assert max(len(images), len(targets)) <= 5
        self.calls.append((tuple(images), tuple(targets)))

    def _trouble(self) -> Trouble:
        return self.troubles.pop(0) if self.troubles else ""

    def _answer(self, trouble: Trouble) -> None:
        if trouble in ("lost", "silent"):
            raise NoAnswer("no answer")
        if trouble == "throttle":
            raise TryAgain("throttled", code="Throttling")
        if trouble == "credentials":
            raise CredentialsRefused("who are you")

    def _refuse(self, problems: dict[str, str]) -> None:
        for entity, code in problems.items():
            raise Refused(f"{entity} does not fit", code=code, request_id="r")


def associated(*entities: str, status: str = "Associated") -> dict[str, str]:
    return dict.fromkeys(entities, status)


def codes(outcome: ShareOutcome) -> dict[str, str]:
    return {entity: error.code for entity, error in outcome.refused.items()}


def test_a_call_carries_five_of_each_and_nothing_is_read_where_all_is_well() -> None:
    """Seven images and twelve targets go in three calls, each with the time of its row."""
    service = Service()
    outcome = associate(service, SHARE, IMAGES[:7], TARGETS[:12])
    assert service.calls == [
        (IMAGES[:5], TARGETS[:5]), (IMAGES[5:7], TARGETS[5:10]), ((), TARGETS[10:12]),
    ]  # fmt: skip
    assert outcome == ShareOutcome(share=SHARE, accepted=dict.fromkeys((*IMAGES[:7], *TARGETS[:12]), TODAY))
    assert service.readings == []


def test_nothing_to_do_makes_no_call() -> None:
    """Neither in nor out."""
    service = Service()
    assert associate(service, SHARE, (), ()) == disassociate(service, SHARE, (), ()) == ShareOutcome(share=SHARE)
    assert (service.calls, service.readings) == ([], [])


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("culprits", [(0,), (3,), (4, 5), (0, 9), (0, 1, 2, 3, 4), tuple(range(10))])
def test_a_refused_batch_is_halved_down_to_its_culprits(culprits: tuple[int, ...], partial: bool) -> None:
    """They are named, and everybody else is served, whether a refused call serves a part or not."""
    everything = (*IMAGES[:5], *TARGETS[:5])
    bad = {everything[place] for place in culprits}
    service = Service(codes=dict.fromkeys(bad, INVALID), partial=partial, again="Repeated")
    outcome = associate(service, SHARE, IMAGES[:5], TARGETS[:5])
    assert service.has() == set(everything) - bad
    assert outcome.accepted.keys() == set(everything) - bad
    assert codes(outcome) == dict.fromkeys(bad, INVALID)
    assert (outcome.early, outcome.failed) == ({}, None)
    assert len(service.calls) <= 2 * len(everything)


def test_one_culprit_among_images_costs_the_targets_no_more_than_one_call() -> None:
    """Images and targets are told apart first."""
    service = Service(codes={IMAGES[0]: INVALID})
    associate(service, SHARE, IMAGES[:4], TARGETS[:5])
    assert service.calls == [
        (IMAGES[:4], TARGETS[:5]), (IMAGES[:4], ()), (IMAGES[:2], ()), (IMAGES[:1], ()), (IMAGES[1:2], ()),
        (IMAGES[2:4], ()), ((), TARGETS[:5]),
    ]  # fmt: skip


def test_what_is_refused_although_it_is_in_counts_as_taken() -> None:
    """After a refusal the share is read back once: of what is in it, each with the time of its row."""
    service = Service(inside=associated(IMAGES[0], TARGETS[0]), again="Repeated")
    outcome = associate(service, SHARE, IMAGES[:2], TARGETS[:2])
    assert outcome.accepted == {
        IMAGES[0]: LONG_AGO, TARGETS[0]: LONG_AGO, IMAGES[1]: TODAY, TARGETS[1]: TODAY,
    }  # fmt: skip
    assert (outcome.refused, outcome.failed) == ({}, None)
    assert sorted(service.readings) == ["Resource", "Target"]


@pytest.mark.parametrize(("bad", "kind"), [(IMAGES[1], "Resource"), (TARGETS[1], "Target")])
def test_only_what_is_in_doubt_is_read_back(bad: str, kind: str) -> None:
    """The other kind of rows is not asked for."""
    service = Service(codes={bad: INVALID})
    outcome = associate(service, SHARE, IMAGES[:3], TARGETS[:3])
    assert set(service.readings) == {kind}
    assert codes(outcome) == {bad: INVALID}


@pytest.mark.parametrize("status", ["Disassociating", "Disassociated", "Failed"])
def test_what_is_on_its_way_out_or_over_is_not_in(status: str) -> None:
    """A row that ends is no proof that ours was taken."""
    service = Service(inside=associated(IMAGES[0], status=status), codes={IMAGES[0]: CONFLICT, IMAGES[1]: INVALID})
    outcome = associate(service, SHARE, IMAGES[:3], ())
    assert outcome.accepted == {IMAGES[2]: TODAY}
    assert (set(outcome.early), codes(outcome)) == ({IMAGES[0]}, {IMAGES[1]: INVALID})


@pytest.mark.parametrize("code", ["AssociateConflict", "DisassociateConflict"])
def test_what_is_too_early_is_no_failure_and_the_others_are_served(code: str) -> None:
    """The next run tries again."""
    for act, inside in ((associate, ()), (disassociate, (*IMAGES[:3], *TARGETS[:3]))):
        service = Service(inside=associated(*inside), codes={IMAGES[1]: code, TARGETS[2]: code})
        outcome = act(service, SHARE, IMAGES[:3], TARGETS[:3])
        served = {*IMAGES[:3], *TARGETS[:3]} - {IMAGES[1], TARGETS[2]}
        assert set(outcome.early) == {IMAGES[1], TARGETS[2]}
        assert set(outcome.accepted) | outcome.ended == served
        assert (outcome.refused, outcome.failed) == ({}, None)


@pytest.mark.parametrize(
    ("code", "early"),
    [
        (MISMATCH, True),
        ("EntityNotExists.ResourceShare", False),
        ("NotEnableSharingWithResourceDirectory", False),
        ("AccountNotInResourceDirectory", False),
    ],
)
def test_a_code_that_speaks_of_the_whole_share_is_asked_for_once(code: str, early: bool) -> None:
    """It is everybody's answer, also of the batches that were not sent."""
    service = Service(whole=code)
    outcome = associate(service, SHARE, IMAGES[:12], TARGETS[:3])
    everything = {*IMAGES[:12], *TARGETS[:3]}
    assert len(service.calls) == 1
    assert (set(outcome.early), set(outcome.refused)) == ((everything, set()) if early else (set(), everything))
    assert outcome.accepted == {}


def test_a_full_quota_stops_images_and_not_targets() -> None:
    """The first that fit are in, the others are not tried one by one, and every target is served."""
    service = Service(quota=7)
    outcome = associate(service, SHARE, IMAGES[:20], TARGETS[:20])
    assert service.has() == {*IMAGES[:7], *TARGETS[:20]}
    assert codes(outcome) == dict.fromkeys(IMAGES[7:20], QUOTA)
    assert outcome.failed is None
    full = service.calls.index(((IMAGES[7],), ()))
    assert all(not images for images, _ in service.calls[full + 1 :])


@pytest.mark.parametrize("trouble", ["lost", "silent"])
@pytest.mark.parametrize("again", ["", "Repeated", CONFLICT])
def test_after_a_lost_answer_the_same_is_sent_again_and_read_back_if_that_is_refused(
    trouble: Trouble, again: str
) -> None:
    """Carried out or not: in the end everything is in, and is said to be."""
    service = Service(troubles=[trouble], again=again)
    outcome = associate(service, SHARE, IMAGES[:3], TARGETS[:3])
    assert service.calls[:2] == [(IMAGES[:3], TARGETS[:3])] * 2
    assert service.has() == outcome.accepted.keys() == {*IMAGES[:3], *TARGETS[:3]}
    assert (outcome.refused, outcome.early, outcome.failed) == ({}, {}, None)
    assert bool(service.readings) is (trouble == "lost" and again != "")


@pytest.mark.parametrize("act", [associate, disassociate])
def test_a_service_that_never_answers_is_given_up(act: Callable[..., ShareOutcome]) -> None:
    """After three calls; nobody is said to be served or refused, and nothing more is sent."""
    service = Service(inside=associated(*IMAGES[:9]), troubles=["silent"] * 9)
    outcome = act(service, SHARE, IMAGES[:9], TARGETS[:3])
    assert len(service.calls) == TRIES == 3
    assert isinstance(outcome.failed, NoAnswer)
    assert (outcome.accepted, outcome.ended, outcome.refused, outcome.early) == ({}, frozenset(), {}, {})


@pytest.mark.parametrize(("trouble", "kind"), [("throttle", TryAgain), ("credentials", CredentialsRefused)])
def test_what_was_served_before_the_work_was_given_up_stays_served(trouble: Trouble, kind: type[OrgshareError]) -> None:
    """The third of four batches ends it."""
    service = Service(troubles=["", "", trouble])
    outcome = associate(service, SHARE, IMAGES[:20], ())
    assert outcome.accepted.keys() == set(IMAGES[:10]) == service.has()
    assert isinstance(outcome.failed, kind)
    assert outcome.refused == {}


def test_a_refusal_that_could_not_be_read_back_is_said_with_the_failure() -> None:
    """Whether it is in is not known: whoever records this must not take it for never made."""
    service = Service(codes={IMAGES[1]: INVALID}, reading_fails=True)
    outcome = associate(service, SHARE, IMAGES[:3], ())
    assert outcome.accepted.keys() == {IMAGES[0], IMAGES[2]}
    assert isinstance(outcome.failed, TryAgain)


def test_taking_out_what_is_not_there_is_done() -> None:
    """Read back to be sure: only one that is still there is refused."""
    service = Service(
        inside={**associated(*IMAGES[:4], *TARGETS[:2]), IMAGES[1]: "Disassociated", IMAGES[2]: "Disassociating"},
        codes={IMAGES[3]: "DisassociateInvalid"},
    )
    outcome = disassociate(service, SHARE, IMAGES[:6], TARGETS[:3])
    assert outcome.ended == {*IMAGES[:3], *IMAGES[4:6], *TARGETS[:3]}
    assert codes(outcome) == {IMAGES[3]: "DisassociateInvalid"}
    assert outcome.failed is None


@pytest.mark.parametrize("trouble", ["lost", "silent"])
def test_taking_out_is_sent_again_after_a_lost_answer(trouble: Trouble) -> None:
    """Where it was carried out, the second call is refused and the reading shows that all are on their way out."""
    service = Service(inside=associated(*IMAGES[:3], *TARGETS[:3]), troubles=[trouble])
    outcome = disassociate(service, SHARE, IMAGES[:3], TARGETS[:3])
    assert outcome.ended == {*IMAGES[:3], *TARGETS[:3]}
    assert (service.has(), outcome.refused, outcome.failed) == (set(), {}, None)


def test_what_cannot_be_taken_out_spares_no_other() -> None:
    """It is named, and stays."""
    service = Service(inside=associated(*IMAGES[:5], *TARGETS[:5]), codes={TARGETS[3]: "LeavingFailed.Account"})
    outcome = disassociate(service, SHARE, IMAGES[:5], TARGETS[:5])
    assert outcome.ended == {*IMAGES[:5], *TARGETS[:5]} - {TARGETS[3]}
    assert codes(outcome) == {TARGETS[3]: "LeavingFailed.Account"}
    assert service.has() == {TARGETS[3]}
    assert service.readings == []


def test_what_stands_in_a_share_unknown_is_found_before_anything_is_taken_out() -> None:
    """Neither what was read before, nor what was filled in since, nor what is over."""
    service = Service(
        inside={**associated(*IMAGES[:5], *TARGETS[:4]), IMAGES[3]: "Disassociating", IMAGES[4]: "Failed"}
    )
    before = ResourceShare(
        id=SHARE,
        images=(Association(IMAGES[0], "Associated", LONG_AGO), Association(IMAGES[2], "Disassociated", LONG_AGO)),
        targets=(Association(TARGETS[0], "Associating", LONG_AGO),),
    )
    assert unknown_rows(service, before, [IMAGES[1], TARGETS[1]]) == {*IMAGES[2:4], *TARGETS[2:4]}
    assert unknown_rows(Service(), before, []) == frozenset()
    with pytest.raises(TryAgain):
        unknown_rows(Service(reading_fails=True), before, [])


# --- creating


def existing(name: str, *, tags: Tags = TAGS, status: str = "Active") -> ResourceShare:
    return ResourceShare(id=f"rs-{name}", status=status, tags=tags)


def test_a_share_is_made_with_its_tags_and_nothing_is_read() -> None:
    """Whatever there is already: who asks for one has looked before."""
    service = Service(shares_there=[existing("old")])
    assert create_share(service, "golden-a", TAGS, frozenset()) == ResourceShare(
        id="rs-made-0", name="golden-a", tags=TAGS
    )
    assert (service.made, service.readings) == (1, [])


def test_after_a_lost_answer_the_share_is_found_by_its_tags() -> None:
    """And no second one is made."""
    service = Service(troubles=["lost"], shares_there=[existing("x", tags=frozenset()), existing("y")][:1])
    assert create_share(service, "golden-a", TAGS, frozenset()).id == "rs-made-0"
    assert service.made == 1


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([existing("b"), existing("a"), existing("c")], "rs-a"),
        ([existing("a", status="Deleted"), existing("b", status="Deleting"), existing("c")], "rs-c"),
        ([existing("a", status="Pending"), existing("b")], "rs-a"),
        ([existing("a", tags=frozenset(list(TAGS)[:1])), existing("b", tags=TAGS | {("more", "")})], "rs-b"),
    ],
)
def test_of_several_that_fit_the_smallest_id_is_taken(there: list[ResourceShare], found: str) -> None:
    """One with all the tags, more of them or not, that is not going."""
    service = Service(troubles=["silent"], shares_there=there)
    assert create_share(service, "golden-a", TAGS, frozenset()).id == found
    assert service.made == 0


def test_a_share_that_was_there_before_is_not_taken_for_the_new_one() -> None:
    """It may have got other targets than those that its tags speak of."""
    service = Service(troubles=["silent", "lost"], shares_there=[existing("a"), existing("b")])
    assert create_share(service, "golden-a", TAGS, frozenset({"rs-a", "rs-b"})).id == "rs-made-0"
    other = Service(troubles=["silent"], shares_there=[existing("a"), existing("b"), existing("c")])
    assert create_share(other, "golden-a", TAGS, frozenset({"rs-a"})).id == "rs-b"
    assert (service.made, other.made) == (1, 0)


def test_a_call_that_was_not_carried_out_is_made_again() -> None:
    """The listing shows nothing, so it was not done; three times at most."""
    service = Service(troubles=["silent", "silent"])
    assert create_share(service, "golden-a", TAGS, frozenset()).id == "rs-made-0"
    silent = Service(troubles=["silent"] * 5)
    with pytest.raises(NoAnswer):
        create_share(silent, "golden-a", TAGS, frozenset())
    assert (service.made, silent.made, len(silent.troubles)) == (1, 0, 2)


def test_a_share_that_cannot_be_made_or_looked_for_is_an_error() -> None:
    """The quota is refused at once; a listing that fails after a lost answer makes no second share."""
    with pytest.raises(Refused):
        create_share(Service(whole="QuotaExceeded.ResourceShare.Count"), "golden-a", TAGS, frozenset())
    service = Service(troubles=["lost"], reading_fails=True)
    with pytest.raises(TryAgain):
        create_share(service, "golden-a", TAGS, frozenset())
    assert service.made == 1


# --- whatever happens

TROUBLES: st.SearchStrategy[list[Trouble]] = st.lists(
    st.sampled_from(["", "", "lost", "silent", "throttle", "credentials"]), max_size=8
)


def some(of: Iterable[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(of)), unique=True)


@settings(max_examples=400, deadline=None)
@given(
    images=some(IMAGES),
    targets=some(TARGETS),
    inside=some(IMAGES + TARGETS),
    bad=st.dictionaries(st.sampled_from(IMAGES + TARGETS), st.sampled_from([INVALID, CONFLICT, MISMATCH]), max_size=3),
    troubles=TROUBLES,
    again=st.sampled_from(["", "Repeated", CONFLICT]),
    partial=st.booleans(),
    quota=st.integers(0, 25),
    reading_fails=st.booleans(),
)
def test_what_an_outcome_of_joining_says_is_what_the_share_has(
    images: list[str],
    targets: list[str],
    inside: list[str],
    bad: dict[str, str],
    troubles: list[Trouble],
    again: str,
    partial: bool,
    quota: int,
    reading_fails: bool,
) -> None:
    """Whoever is accepted is in; who is refused is not, unless the work was given up; nobody is forgotten."""
    service = Service(
        inside=associated(*inside), codes=bad, troubles=troubles, again=again, partial=partial, quota=quota,
        reading_fails=reading_fails,
    )  # fmt: skip
    outcome = associate(service, SHARE, images, targets)
    asked, now = {*images, *targets}, service.has()
    assert set(inside) <= now <= set(inside) | asked
    accepted, refused, early = outcome.accepted.keys(), outcome.refused.keys(), outcome.early.keys()
    assert accepted <= now & asked
    assert not accepted & (refused | early)
    assert not refused & early
    if outcome.failed is None:
        assert accepted | refused | early == asked
        assert not refused & now
    assert outcome.ended == frozenset()


@settings(max_examples=300, deadline=None)
@given(
    images=some(IMAGES),
    targets=some(TARGETS),
    inside=some(IMAGES + TARGETS),
    bad=st.dictionaries(
        st.sampled_from(IMAGES + TARGETS), st.sampled_from([INVALID, "DisassociateConflict"]), max_size=3
    ),
    troubles=TROUBLES,
    partial=st.booleans(),
)
def test_what_an_outcome_of_leaving_says_is_what_the_share_has(
    images: list[str],
    targets: list[str],
    inside: list[str],
    bad: dict[str, str],
    troubles: list[Trouble],
    partial: bool,
) -> None:
    """Whoever is said to be gone is, and nobody else is touched."""
    service = Service(inside=associated(*inside), codes=bad, troubles=troubles, partial=partial)
    outcome = disassociate(service, SHARE, images, targets)
    asked, now = {*images, *targets}, service.has()
    assert set(inside) - asked <= now <= set(inside)
    assert outcome.ended <= asked - now
    assert outcome.accepted == {}
    if outcome.failed is None:
        assert outcome.ended | outcome.refused.keys() | outcome.early.keys() == asked
        assert asked - bad.keys() <= outcome.ended
