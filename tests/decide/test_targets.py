"""Targets of resource shares, held against a second definition of what is right that shares nothing with the code.

The second definition knows no folders to include or break down. It asks of every place in the organization, those that
are still to be made below each folder too, whether one rule alone would want whoever may come there: every account that
the policy or the organization knows and one that nobody knows, with its tags and without. A target is right if it
reaches such places only; a choice is right if it reaches the audience today, and, where right targets can, whoever
comes tomorrow. The fewest are found by trying every choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import combinations
from random import Random
from types import MappingProxyType
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.decide.audience import resolve_all
from orgshare.decide.targets import DirectoryAudience, directory_audience, trees_needed
from orgshare.policy.model import (
    Audience,
    Channel,
    DirectoryReader,
    Exclusion,
    ImageSelector,
    Nested,
    Owner,
    Partner,
    Policy,
    Rule,
)
from orgshare.words import Member, Organization, Tags

TODAY = date(2026, 11, 21)
DIRECTORY, ROOT, MANAGEMENT = "rd-1", "r-1", "1000000000000001"
OWNER, OTHER_OWNER, PARTNER = "1000000000000002", "1000000000000003", "2000000000000001"
A, B, C, D, E = (f"100000000000001{n}" for n in range(5))
STRANGER = "3000000000000001"
LEVELS = 5
TAGS: tuple[Tags, ...] = (frozenset(), frozenset({("env", "prod")}), frozenset({("env", "test")}))
REALITIES: Mapping[Nested, tuple[bool, ...]] = {"unknown": (True, False), "yes": (True,), "no": (False,)}
"""Whether a folder as a target may reach its subfolders, by what the policy says about it."""

Place = tuple[str, ...]


def below(place: Place, folders: Iterable[str]) -> bool:
    return any(folder == "root" or folder in place for folder in folders)


def reaches(target: str, account: str, place: Place, deep: bool) -> bool:
    """What a cloud does whose folders as targets reach their subfolders (``deep``), or do not.

    Root's own id may mean the organization: what it does is not documented.
    """
    return target in {DIRECTORY, ROOT, account, place[-1]} or (deep and target in place)


@dataclass(frozen=True)
class Case:
    """A policy, an organization, and what the policy means for resource shares there."""

    policy: Policy
    organization: Organization

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.policy.rules if rule.channel != "direct")

    @cached_property
    def found(self) -> DirectoryAudience:
        """What the code says."""
        audiences = [
            audience
            for audience in resolve_all(self.policy, self.organization, TODAY)
            if audience.rule.channel != "direct"
        ]
        assert not any(audience.frozen for audience in audiences)
        return directory_audience(audiences, self.policy, self.organization, OWNER)

    @property
    def realities(self) -> tuple[bool, ...]:
        return REALITIES[self.policy.directory.nested_folder_targets]

    @cached_property
    def possible(self) -> frozenset[str]:
        """All that resource sharing takes as a target and that is not the owner."""
        return frozenset({DIRECTORY, *self.organization.folders, *self.organization.members} - {ROOT, OWNER})

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every folder, and one that is still to be made below each."""
        there = tuple(self.organization.folders.values())
        return (*there, *((*place, "fd-tomorrow") for place in there))

    @cached_property
    def anybody(self) -> frozenset[str]:
        """Every account that the organization or the policy knows, and one more; but not the owner, who has it all."""
        named = {STRANGER, OTHER_OWNER, PARTNER, *self.policy.never.accounts, *self.organization.members}
        for rule in self.rules:
            named |= rule.audience.accounts | rule.audience.excluded.accounts
        return frozenset(named - {OWNER})

    def audience(self) -> frozenset[str]:
        """The members that some rule wants where they are, less the owner."""
        members = self.organization.members.values()
        return frozenset(
            m.id
            for m in members
            if m.id != OWNER and any(self.wants(r, m.id, m.folders, dict(m.tags)) for r in self.rules)
        )

    def wants(self, rule: Rule, account: str, place: Place, tags: Mapping[str, str], *, tomorrow: bool = False) -> bool:
        """Whether a rule wants an account in a place; ``tomorrow`` leaves out accepted moves of members."""
        audience = rule.audience
        placed = below(place, audience.folders) and all(tags.get(k) in values for k, values in audience.account_tags)
        named = account in audience.accounts or account in {partner.account for partner in audience.partners}
        return (placed or named) and not any(
            below(place, taken.folders)
            or (account in taken.accounts and not (tomorrow and taken.accept_moves and self.moves_to(account, place)))
            for taken in (audience.excluded, self.policy.never)
        )

    def moves_to(self, account: str, place: Place) -> bool:
        """Whether it is a member that is elsewhere; whoever is outside may be there and only missing from a listing."""
        return account in self.organization.members and not self.is_in(account, place)

    def is_in(self, account: str, place: Place) -> bool:
        member = self.organization.members.get(account)
        return member is not None and member.folders == place

    @cached_property
    def open_places(self) -> frozenset[Place]:
        """Where one rule alone wants whoever may come, so that reaching everybody there never widens."""

        def wants_anybody(rule: Rule, place: Place) -> bool:
            return all(self.wants(rule, account, place, {}, tomorrow=True) for account in self.anybody)

        return frozenset(place for place in self.places if any(wants_anybody(rule, place) for rule in self.rules))

    def right(self, target: str) -> bool:
        """Whether a target reaches nobody outside the audience, today and tomorrow, whatever the cloud really does."""
        if target in self.organization.members:
            return target in self.audience()
        return all(
            place in self.open_places
            for deep in self.realities
            for place in self.places
            if reaches(target, STRANGER, place, deep)
        )

    @cached_property
    def wide(self) -> frozenset[str]:
        """The right targets among folders and the organization."""
        return frozenset(t for t in self.possible - self.organization.members.keys() if self.right(t))

    @cached_property
    def reachable(self) -> dict[bool, tuple[Place, ...]]:
        """The places that right targets reach whoever is there: whoever comes there must not need a call of ours."""
        return {
            deep: tuple(p for p in self.places if any(reaches(target, STRANGER, p, deep) for target in self.wide))
            for deep in self.realities
        }

    def does(self, choice: frozenset[str]) -> bool:
        """Whether a choice reaches exactly the audience, today, tomorrow, and in every reality."""
        wide = choice - self.organization.members.keys()
        return wide <= self.wide and all(
            self.reached(choice, deep) - {OWNER} == self.audience()
            and all(any(reaches(t, STRANGER, place, deep) for t in wide) for place in self.reachable[deep])
            for deep in self.realities
        )

    def reached(self, choice: Iterable[str], deep: bool) -> frozenset[str]:
        members = self.organization.members.values()
        return frozenset(m.id for m in members if any(reaches(t, m.id, m.folders, deep) for t in choice))


def organization(members: Iterable[Member], places: Iterable[Place] = ()) -> Organization:
    """An organization with these members and folders, and the folders above them."""
    rows = list(members)
    ends = [*places, *(m.folders for m in rows), (ROOT,)]
    folders = {place[depth - 1]: place[:depth] for place in ends for depth in range(1, len(place) + 1)}
    return Organization(
        id=DIRECTORY,
        management=MANAGEMENT,
        root=ROOT,
        members=MappingProxyType({m.id: m for m in rows}),
        folders=MappingProxyType(folders),
        listed=frozenset(folders),
    )


def rule(audience: Audience, name: str = "golden", channel: Channel = "auto") -> Rule:
    return Rule(name, ImageSelector(names=("golden-*",)), audience, channel)


def policy(*audiences: Audience, never: Exclusion | None = None, nested: Nested = "unknown") -> Policy:
    return Policy(
        deployment="golden-images",
        mode="enforce",
        state="state",
        directory=DirectoryReader(MANAGEMENT, nested_folder_targets=nested),
        owners=(Owner(OWNER, ("cn-hangzhou",)), Owner(OTHER_OWNER, ("cn-hangzhou",))),
        rules=tuple(rule(audience, f"rule-{number}") for number, audience in enumerate(audiences)),
        never=never or Exclusion(),
    )


T = TypeVar("T")


@dataclass(frozen=True)
class Dice:
    """Draws that are made often: building a strategy for each would cost more than the tests themselves."""

    draw: st.DrawFn

    def one(self, *of: T) -> T:
        return of[self.draw(st.integers(0, len(of) - 1))]

    def some(self, of: Sequence[T], low: int, high: int) -> list[T]:
        return [self.one(*of) for _ in range(self.one(*range(low, high + 1)))]


@st.composite
def organizations(draw: st.DrawFn, folders: int = 7, accounts: tuple[str, ...] = (A, B, C, D, E)) -> Organization:
    """Trees of up to five levels below Root, with members anywhere in them and folders without any."""
    dice = Dice(draw)
    places: list[Place] = [(ROOT,)]
    for number in range(dice.one(*range(1, folders + 1))):
        above = dice.one(*(place for place in places if len(place) <= LEVELS))
        places.append((*above, f"fd-{number}"))
    ids = [OWNER, *accounts[: dice.one(*range(1, len(accounts) + 1))], *dice.some([PARTNER, OTHER_OWNER], 0, 1)]
    return organization([Member(i, dice.one(*places), tags=dice.one(*TAGS)) for i in ids], places)


@st.composite
def policies(draw: st.DrawFn, where: Organization) -> Policy:
    """Policies of one to three rules with any audience that this organization allows, most of them by folders."""
    dice = Dice(draw)
    folders = sorted(where.folders.keys() - {ROOT})
    accounts = [*where.members, OTHER_OWNER]

    def exclusion() -> Exclusion:
        kind = dice.one("none", "folders", "moves", "accounts", "owner")
        taken = dice.some(accounts, 1, 2) if kind in {"moves", "accounts"} else [OWNER] if kind == "owner" else []
        inside = dice.some([*folders, *folders, *folders, ROOT], int(kind == "folders"), 2) if kind != "none" else []
        return Exclusion(frozenset(taken), frozenset(inside), accept_moves=kind == "moves" or dice.one(False, True))

    def audience() -> Audience:
        kind = dice.one("folders", "folders", "folders", "accounts", "partners", "tags")
        return Audience(
            folders=tuple(dice.some(["root", "root", ROOT, *folders], int(kind in {"folders", "tags"}), 2)),
            accounts=frozenset(dice.some(accounts, 1, 2) if kind == "accounts" else ()),
            partners=(Partner(PARTNER),) if kind == "partners" else (),
            account_tags=(("env", frozenset({"prod"})),) if kind == "tags" else (),
            excluded=exclusion(),
        )

    channels: tuple[Channel, ...] = ("auto", "auto", "auto", "directory", "direct")
    rules = [rule(audience(), f"rule-{n}", dice.one(*channels)) for n in range(dice.one(1, 2, 3))]
    never = exclusion() if dice.one(False, False, True) else Exclusion()
    return replace(policy(never=never, nested=dice.one(*REALITIES)), rules=tuple(rules))


@st.composite
def cases(draw: st.DrawFn, folders: int = 7, accounts: tuple[str, ...] = (A, B, C, D, E)) -> Case:
    where = draw(organizations(folders, accounts))
    return Case(draw(policies(where)), where)


@settings(max_examples=300)
@given(cases())
def test_targets_reach_exactly_the_audience_whatever_folder_targets_really_do(case: Case) -> None:
    """Today the targets reach every member that is wanted and, but for the owner, nobody else."""
    assert case.found.accounts == case.audience()
    assert case.found.targets <= case.possible
    for deep in case.realities:
        assert case.reached(case.found.targets, deep) - {OWNER} == case.audience()


@settings(max_examples=300)
@given(cases())
def test_a_target_is_admitted_exactly_if_it_reaches_nobody_else_today_and_tomorrow(case: Case) -> None:
    """Every possible target, Root's own id and what is no target at all are judged as trying all places judges them.

    A folder that nobody listed is right only where everybody is wanted.
    """
    for target in case.possible | {ROOT}:
        assert case.found.admits(target) == case.right(target), target
    assert not case.found.admits(STRANGER)
    assert case.found.admits("fd-unlisted") == case.right(ROOT)


def smaller(possible: Iterable[str], size: int) -> Iterator[frozenset[str]]:
    for fewer in range(size):
        yield from map(frozenset, combinations(sorted(possible), fewer))


@settings(max_examples=300)
@given(cases(folders=4, accounts=(A, B, C)))
def test_no_smaller_choice_of_targets_does_without_widening(case: Case) -> None:
    """Of all choices among the organization, its folders and its members, none that is smaller is right as well."""
    assert case.does(case.found.targets)
    assert not any(case.does(choice) for choice in smaller(case.possible, len(case.found.targets)))


@st.composite
def later(draw: st.DrawFn, before: Organization) -> Organization:
    """The organization after some folders were made, accounts joined, left or moved, and tags changed."""
    dice = Dice(draw)
    places = list(before.folders.values())
    for number in range(dice.one(0, 1, 2, 3)):
        above = dice.one(*(place for place in places if len(place) <= LEVELS))
        places.append((*above, f"fd-new-{number}"))
    members = dict(before.members)
    for account in dice.some([*before.members, STRANGER, PARTNER, OTHER_OWNER], 1, 6):
        if account != OWNER and dice.one(*range(5)) == 0:
            members.pop(account, None)
        else:
            members[account] = Member(account, dice.one(*places), tags=dice.one(*TAGS))
    return organization(members.values(), places)


@settings(max_examples=300)
@given(cases(), st.data())
def test_what_happens_later_lets_nobody_in_whom_the_policy_does_not_want_then(case: Case, data: st.DataObject) -> None:
    """Whoever a folder or the organization reaches later is in the audience then, or an accepted mover.

    Looked at are the members that the targets chosen before reach after joins, moves, leaves, new folders and changed
    tags. Those that are reached by a target that is their own id are left out: such an account keeps access until the
    next run, wherever it moved. Each of the others is the owner, or in the audience as the policy resolves it then, or
    both: it is under an ``except`` or ``never`` with ``accept_moves``, and it is not where it was. So what still holds
    with ``accept_moves`` is that nobody gets in without moving, and nobody who is not named there.
    """
    then = Case(case.policy, data.draw(later(case.organization)))
    taken = [case.policy.never, *(r.audience.excluded for r in case.rules)]
    accepted = frozenset[str]().union(*(t.accounts for t in taken if t.accept_moves))
    wide = case.found.targets - case.organization.members.keys()
    for deep in case.realities:
        for account in then.reached(wide, deep) - then.audience() - {OWNER}:
            assert account in accepted
            assert not case.is_in(account, then.organization.members[account].folders)


@settings(max_examples=300)
@given(cases(), st.data())
def test_whoever_comes_to_an_included_folder_is_reached_without_a_change(case: Case, data: st.DataObject) -> None:
    """Everybody who is later in a place that a right target reaches is reached by the targets chosen before.

    These are the folders that were there and are right targets, and everywhere if the organization is one; folders
    made later below such a folder belong to them where folder targets reach subfolders. Where that is unknown or not
    so, whoever is in a new folder may wait for the next run.
    """
    then = data.draw(later(case.organization))
    wide = case.found.targets - case.organization.members.keys()
    for member in then.members.values():
        for deep in case.realities:
            if any(reaches(target, STRANGER, member.folders, deep) for target in case.wide):
                assert any(reaches(target, STRANGER, member.folders, deep) for target in wide)


@settings(max_examples=150)
@given(cases(), st.randoms(use_true_random=False))
def test_targets_do_not_depend_on_any_order(case: Case, random: Random) -> None:
    """Rules, members and folders in another order lead to the same targets."""
    rules, members = list(case.policy.rules), list(case.organization.members.items())
    folders = list(case.organization.folders.items())
    for rows in (rules, members, folders):
        random.shuffle(rows)
    other = Case(
        replace(case.policy, rules=tuple(rules)),
        replace(case.organization, members=MappingProxyType(dict(members)), folders=MappingProxyType(dict(folders))),
    )
    assert other.found == case.found


def only_needed(case: Case, *, above_named: bool) -> Organization:
    """What is known of the organization when only the needed trees were listed."""
    whole = case.organization
    needed = trees_needed(case.policy)
    exclusions = [case.policy.never, *(r.audience.excluded for r in case.policy.rules)]
    named = {f for r in case.policy.rules for f in r.audience.folders}.union(*(e.folders for e in exclusions))
    on_paths = {folder for member in whole.members.values() for folder in member.folders}
    if above_named:
        on_paths |= {above for folder in named - {"root"} for above in whole.folders[folder]}
    return replace(
        whole,
        folders=MappingProxyType({
            folder: place
            for folder, place in whole.folders.items()
            if folder in named | on_paths | {ROOT} or below(place, needed)
        }),
        listed=frozenset(folder for folder, place in whole.folders.items() if below(place, needed)),
    )  # fmt: skip


@settings(max_examples=300)
@given(cases(), st.booleans())
def test_the_trees_that_are_needed_are_enough_to_choose_the_same_targets(case: Case, above_named: bool) -> None:
    """Empty folders outside the needed trees change no target of all rules together nor of one alone."""
    known = only_needed(case, above_named=above_named)
    assert Case(case.policy, known).found.targets == case.found.targets
    whole = resolve_all(case.policy, case.organization, TODAY)
    for full, partly in zip(whole, resolve_all(case.policy, known, TODAY), strict=True):
        if full.rule.channel != "direct":
            chosen = directory_audience([full], case.policy, case.organization, OWNER)
            assert directory_audience([partly], case.policy, known, OWNER).targets == chosen.targets


PROD, EU, ASIA, TEST, EMPTY = (
    (ROOT, "fd-prod"),
    (ROOT, "fd-prod", "fd-eu"),
    (ROOT, "fd-prod", "fd-asia"),
    (ROOT, "fd-test"),
    (ROOT, "fd-test", "fd-empty"),
)
ACME = organization(
    [
        Member(OWNER, (ROOT,)),
        Member(A, PROD, tags=frozenset({("env", "prod")})),
        Member(B, EU, tags=frozenset({("env", "prod")})),
        Member(C, TEST),
        Member(D, TEST),
        Member(E, (ROOT,)),
    ],
    [PROD, EU, ASIA, TEST, EMPTY],
)
"""The owner and E are in Root, A in fd-prod, B in fd-eu below it, C and D in fd-test; the other folders are empty."""
EVERYBODY = Audience(folders=("root",))


def targets(*audiences: Audience, never: Exclusion | None = None, nested: Nested = "unknown") -> set[str]:
    return set(Case(policy(*audiences, never=never, nested=nested), ACME).found.targets)


@pytest.mark.parametrize("nested", ["unknown", "yes", "no"])
def test_a_rule_for_everybody_targets_the_organization_alone(nested: Nested) -> None:
    """Root without exceptions is one target, and never Root's own id."""
    assert targets(EVERYBODY, nested=nested) == {DIRECTORY}
    assert targets(Audience(folders=(ROOT,)), nested=nested) == {DIRECTORY}


@pytest.mark.parametrize(
    ("nested", "chosen"),
    [("unknown", {"fd-prod", "fd-eu", "fd-asia"}), ("yes", {"fd-prod"}), ("no", {"fd-prod", "fd-eu", "fd-asia"})],
)
def test_a_folder_needs_its_subfolders_as_targets_unless_folders_reach_them(nested: Nested, chosen: set[str]) -> None:
    """Only where a folder is known to reach its subfolders is it enough alone."""
    assert targets(Audience(folders=("fd-prod",)), nested=nested) == chosen


@pytest.mark.parametrize(
    ("nested", "chosen"),
    [("unknown", {A, "fd-asia", "fd-test", "fd-empty"}), ("yes", {A, "fd-asia", "fd-test"}),
     ("no", {"fd-prod", "fd-asia", "fd-test", "fd-empty"})],
)  # fmt: skip
def test_an_excluded_folder_breaks_root_down_to_its_siblings_and_single_accounts(
    nested: Nested, chosen: set[str]
) -> None:
    """What is above the excluded folder is no target where it may reach it; its own members are targets singly."""
    without = Exclusion(folders=frozenset({"fd-eu"}))
    assert targets(replace(EVERYBODY, excluded=without), nested=nested) == {E, *chosen}
    assert targets(EVERYBODY, never=without, nested=nested) == {E, *chosen}


def test_an_audience_by_tags_gets_account_targets_only() -> None:
    """A folder whose members all have the tag today is no target: one of them may lose it."""
    assert targets(Audience(folders=("fd-prod",), account_tags=(("env", frozenset({"prod"})),))) == {A, B}


def test_an_empty_folder_that_the_policy_includes_is_a_target() -> None:
    """Nobody is in the folder, and whoever comes is reached."""
    assert targets(Audience(folders=("fd-empty",))) == {"fd-empty"}


def test_an_empty_folder_that_the_policy_excludes_breaks_down_what_is_above() -> None:
    """Nobody is in the excluded folder today, and nobody who comes may be reached."""
    without = Exclusion(folders=frozenset({"fd-empty"}))
    assert targets(Audience(folders=("fd-test",), excluded=without), nested="yes") == {C, D}


def test_an_excluded_account_leaves_account_targets_only() -> None:
    """The account may move into any folder, so none is a target, not even one far from it."""
    for without in (Exclusion(accounts=frozenset({C})), Exclusion(accounts=frozenset({C, OWNER}))):
        assert targets(replace(EVERYBODY, excluded=without)) == {A, B, D, E}
        assert targets(EVERYBODY, never=without) == {A, B, D, E}


def test_accepted_moves_break_folders_down_around_the_excluded_account_only() -> None:
    """All folders are targets but the one that the account is in and those above it."""
    without = Exclusion(accounts=frozenset({B}), accept_moves=True)
    assert targets(replace(EVERYBODY, excluded=without)) == {A, E, "fd-asia", "fd-test", "fd-empty"}
    assert targets(replace(EVERYBODY, excluded=without), never=Exclusion(accounts=frozenset({C}))) == {A, D, E}


def test_taking_away_the_owner_breaks_nothing_down() -> None:
    """The owner has its images anyway, so the organization still is the one target."""
    assert targets(EVERYBODY, never=Exclusion(accounts=frozenset({OWNER}))) == {DIRECTORY}


def test_taking_away_the_management_account_spares_the_organization_and_uses_folders() -> None:
    """It is in no folder, but whether the organization as a target reaches it is not known."""
    without = Exclusion(accounts=frozenset({MANAGEMENT}))
    folders = {"fd-prod", "fd-eu", "fd-asia", "fd-test", "fd-empty"}
    assert targets(replace(EVERYBODY, excluded=without)) == {E, *folders}
    assert targets(EVERYBODY, never=without) == {E, *folders}


def test_a_rule_with_exceptions_does_not_narrow_what_another_rule_includes_whole() -> None:
    """Each rule includes folders for itself, and the audience of all is the union."""
    careful = replace(EVERYBODY, excluded=Exclusion(accounts=frozenset({C})))
    assert targets(careful, Audience(folders=("fd-prod",)), nested="yes") == {"fd-prod", D, E}


def test_an_account_named_singly_is_a_target_only_where_no_folder_reaches_it() -> None:
    """The account in the folder is reached already, the one outside it is not."""
    assert targets(Audience(folders=("fd-prod",), accounts=frozenset({A, C})), nested="yes") == {"fd-prod", C}


def test_an_account_below_a_target_is_a_target_itself_where_folders_do_not_reach_their_subfolders() -> None:
    """The account is wanted, in a folder that is taken away from the one above, which is a target."""
    without = Audience(folders=("fd-prod",), excluded=Exclusion(folders=frozenset({"fd-eu"})))
    assert targets(without, Audience(accounts=frozenset({B})), nested="no") == {"fd-prod", "fd-asia", B}


@pytest.mark.parametrize(
    ("audience", "nested", "needed"),
    [
        (EVERYBODY, "unknown", set()),
        (replace(EVERYBODY, excluded=Exclusion(folders=frozenset({"fd-eu"}))), "yes", {"root"}),
        (replace(EVERYBODY, excluded=Exclusion(accounts=frozenset({A}))), "unknown", set()),
        (replace(EVERYBODY, excluded=Exclusion(accounts=frozenset({A}), accept_moves=True)), "unknown", {"root"}),
        (Audience(folders=("fd-prod",)), "yes", set()),
        (Audience(folders=("fd-prod",)), "unknown", {"fd-prod"}),
        (Audience(folders=("fd-prod",)), "no", {"fd-prod"}),
        (Audience(folders=("fd-prod",), account_tags=(("env", frozenset({"prod"})),)), "unknown", set()),
        (Audience(accounts=frozenset({A})), "unknown", set()),
    ],
)  # fmt: skip
def test_a_tree_is_needed_only_where_targets_are_chosen_inside_it(
    audience: Audience, nested: Nested, needed: set[str]
) -> None:
    """No call is spent on subfolders where the organization, one folder or single accounts are the targets."""
    assert trees_needed(policy(audience, nested=nested)) == needed


def test_a_rule_that_shares_only_directly_needs_no_tree() -> None:
    """Its accounts are granted the images one by one, so no call is spent on folders."""
    direct = rule(Audience(folders=("fd-prod",)), channel="direct")
    assert trees_needed(replace(policy(), rules=(direct,))) == set()
