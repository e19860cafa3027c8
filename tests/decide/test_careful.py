"""Rules of several modes and channels over one image, folders of all kinds: the careful answer, in single cases."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from orgshare.decide.audience import resolve_all
from orgshare.decide.deciding import make_reach
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.selection import selector
from orgshare.decide.targets import DirectoryAudience, directory_audience, trees_needed
from orgshare.decide.wants import Want, want
from orgshare.policy.model import Channel, ImageSelector, Mode, Nested, Policy, Rule
from tests.decide.sharing import BRONZE, GOLD, SILVER
from tests.support.facts import (
    MANAGEMENT,
    ORGANIZATION,
    OWNER,
    A,
    B,
    C,
    D,
    E,
    facts,
    image,
    policy,
    reading,
    rule,
)

TODAY = date(2026, 11, 21)


def wanted(*rules: Rule, mode: Mode = "enforce") -> Want:
    of = policy(*rules, mode=mode)
    return want(of, resolve_all(of, ORGANIZATION, TODAY), ORGANIZATION, tuple(range(len(rules))), OWNER)


def nested(of: Policy, answer: Nested) -> Policy:
    return replace(of, directory=replace(of.directory, nested_folder_targets=answer))


def audience(*rules: Rule, answer: Nested = "unknown") -> DirectoryAudience:
    of = nested(policy(*rules), answer)
    return directory_audience(resolve_all(of, ORGANIZATION, TODAY), of, ORGANIZATION, OWNER)


@pytest.mark.parametrize(
    ("modes", "whole", "mode"),
    [
        (("enforce", "add"), "enforce", "add"),
        (("add", "enforce", "observe"), "enforce", "observe"),
        (("enforce", "observe"), "enforce", "observe"),
        (("enforce", "enforce"), "enforce", "enforce"),
        ((), "add", "add"),
        (("observe", "observe"), "observe", "enforce"),
    ],
)
def test_the_mode_of_an_image_is_the_most_careful_of_its_rules(
    modes: tuple[Mode, ...], whole: Mode, mode: Mode
) -> None:
    """Without any rule that of the whole; a plan that only observes shows everything."""
    rules = (rule(f"{number}", accounts=[A], mode=of) for number, of in enumerate(modes))
    assert wanted(*rules, mode=whole).mode == mode


@pytest.mark.parametrize(
    ("channel", "by_directory", "direct"),
    [("auto", {A, B}, {A, B}), ("directory", {A, B}, set()), ("direct", set(), {A, B})],
)
def test_a_channel_says_which_ways_are_open(channel: Channel, by_directory: set[str], direct: set[str]) -> None:
    """The directory alone leaves no other way, direct grants alone need no targets; the owner needs neither."""
    found = wanted(rule(folders=["fd-prod"], accounts=[OWNER], channel=channel))
    assert found.directory.accounts == by_directory
    assert found.direct == direct
    assert found.everybody == {A, B}
    assert found.frozen == ""


def test_of_several_channels_each_pair_has_the_ways_of_all_its_rules() -> None:
    """The directory for whom any rule lets it serve, a direct grant for whom any rule does not forbid it."""
    found = wanted(
        rule("one", folders=["fd-prod"], channel="directory"),
        rule("two", accounts=[B, C]),
        rule("three", accounts=[D, E], channel="auto"),
    )
    assert found.directory.accounts == {A, B, D, E}
    assert found.direct == {B, C, D, E}


def test_a_rule_that_is_frozen_adds_nothing_and_says_why_for_the_whole_image() -> None:
    """The first that is."""
    found = wanted(
        rule("one", accounts=[A]),
        rule("two", folders=["root"], without_folders=["fd-typo"]),
        rule("three", folders=["root"], without_folders=["fd-other"]),
    )
    assert found.frozen == "except names folder fd-typo, which does not exist; correct the id or remove it"
    assert found.addable == {A}
    assert found.in_order == (A,)


@pytest.mark.parametrize(
    ("answer", "admitted"), [("no", {"fd-prod": True, "fd-eu": False}), ("yes", {"fd-prod": False, "fd-eu": False}),
                             ("unknown", {"fd-prod": False, "fd-eu": False})]
)  # fmt: skip
def test_a_folder_without_its_subfolder_is_a_target_only_where_it_does_not_reach_it(
    answer: Nested, admitted: dict[str, bool]
) -> None:
    """Where that is not known it is none, and its members are targets themselves."""
    found = audience(rule(folders=["fd-prod"], without_folders=["fd-eu"], channel="auto"), answer=answer)
    assert {folder: found.admits(folder) for folder in admitted} == admitted
    assert found.targets == ({"fd-prod"} if answer == "no" else {A})
    assert not found.admits("rd-1")


@pytest.mark.parametrize("name", ["root", "r-1"])
@pytest.mark.parametrize("answer", ["yes", "no", "unknown"])
def test_taking_root_away_leaves_nobody_and_no_target(name: str, answer: Nested) -> None:
    """By its id or by the word for it, under the rule or under never."""
    found = audience(rule(folders=["fd-prod"], without_folders=[name], channel="auto"), answer=answer)
    assert found == DirectoryAudience()
    never = policy(rule(folders=["fd-prod", "root"], channel="auto"), never_folders=[name])
    assert directory_audience(resolve_all(never, ORGANIZATION, TODAY), never, ORGANIZATION, OWNER) == found


@pytest.mark.parametrize(("taken", "needed"), [(OWNER, {"fd-prod"}), (MANAGEMENT, {"fd-prod"}), (A, set())])
def test_the_tree_is_needed_although_the_owner_or_the_management_account_is_taken_away(
    taken: str, needed: set[str]
) -> None:
    """Neither moves into a folder; anybody else may, so then there are single accounts only."""
    of = policy(rule(folders=["fd-prod"], without_accounts=[taken], channel="auto"))
    assert trees_needed(of) == needed


def test_a_rule_selects_by_everything_that_it_asks_for() -> None:
    """With tags that match and others that do not, with a name and without one."""
    asks = {
        "by id": ImageSelector(ids=frozenset({"m-gold", "m-silver"})),
        "by tag": ImageSelector(tags=(("share", frozenset({"org"})),)),
        "by another tag": ImageSelector(tags=(("share", frozenset({"nobody"})),)),
        "by id and tag": ImageSelector(ids=frozenset({"m-gold"}), tags=(("share", frozenset({"nobody"})),)),
        "by name": ImageSelector(names=("g*", "b*")),
        "by name and tag": ImageSelector(names=("g*",), tags=(("share", frozenset({"org"})),)),
    }
    select = selector(policy(*(rule(name, images=images, accounts=[A]) for name, images in asks.items())))
    found = {each.name: [list(asks)[index] for index in select(each)] for each in (GOLD, SILVER, BRONZE)}
    assert found == {
        "gold": ["by id", "by tag", "by name", "by name and tag"],
        "silver": ["by id", "by tag"],
        "bronze": ["by tag", "by name"],
    }
    assert select(image("", tags={})) == ()


def elsewhere(**changes: object) -> Facts:
    of = facts(policy(rule(folders=["fd-prod"], channel="auto")), reading(GOLD), reading(SILVER), reading(BRONZE))
    return replace(of, elsewhere={"1000000000000099": ("r-1", "fd-prod")}, **changes)


def test_who_vanished_counts_where_it_was_until_it_is_proven_to_have_left() -> None:
    """Whoever is proven to have left is nowhere."""
    assert make_reach(elsewhere()).of("fd-prod").elsewhere == {"1000000000000099"}
    left = elsewhere(proof=Proof(departed=frozenset({"1000000000000099"})))
    assert make_reach(left).of("fd-prod").elsewhere == frozenset()


@pytest.mark.parametrize(
    ("answer", "sure", "possible"), [("yes", {A, B}, {A, B}), ("no", {A}, {A}), ("unknown", {A}, {A, B})]
)
def test_what_the_policy_says_of_folders_decides_whom_they_reach(
    answer: Nested, sure: set[str], possible: set[str]
) -> None:
    """And it is asked of everybody who is settled."""
    of = elsewhere()
    reached = make_reach(replace(of, policy=nested(of.policy, answer))).of("fd-prod")
    assert reached.sure == sure
    assert reached.possible == possible
