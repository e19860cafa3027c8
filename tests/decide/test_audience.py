"""Whom a rule speaks of."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.decide.audience import Resolved, resolve_all
from orgshare.policy.model import Partner, Rule
from orgshare.words import Organization
from tests.support.facts import (
    MANAGEMENT,
    ORGANIZATION,
    OWNER,
    PARTNER,
    A,
    B,
    C,
    D,
    E,
    member,
    organization,
    policy,
    rule,
)

TODAY = date(2026, 11, 21)


def resolve(one: Rule, where: Organization = ORGANIZATION, **never: tuple[str, ...]) -> Resolved:
    return resolve_all(policy(one, **never), where, TODAY)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        (rule(folders=["root"]), {OWNER, A, B, C, D, E}),
        (rule(folders=["r-1"]), {OWNER, A, B, C, D, E}),
        (rule(folders=["fd-prod"]), {A, B}),
        (rule(folders=["fd-eu"]), {B}),
        (rule(folders=["fd-eu", "fd-test"]), {B, C, D}),
        (rule(tags={"env": "prod"}), {A, B}),
        (rule(folders=["fd-test"], tags={"env": "test"}), {C}),
        (rule(folders=["fd-test"], tags={"env": "prod"}), set()),
        (rule(accounts=[D]), {D}),
        (rule(accounts=[MANAGEMENT]), {MANAGEMENT}),
        (rule(folders=["fd-prod"], accounts=[D], partners=[PARTNER]), {A, B, D, PARTNER}),
        (rule(folders=["root"], without_folders=["fd-prod"]), {OWNER, C, D, E}),
        (rule(folders=["root"], without_accounts=[A, OWNER]), {B, C, D, E}),
        (rule(accounts=[A, D], without_accounts=[A]), {D}),
        (rule(partners=[PARTNER], without_accounts=[PARTNER]), set()),
    ],
)
def test_an_audience_is_folders_narrowed_by_tags_plus_accounts_plus_partners_less_exceptions(
    named: Rule, wanted: set[str]
) -> None:
    """Each key of an audience adds or takes away exactly what the policy's documentation says."""
    assert resolve(named).wanted == wanted


def test_the_management_account_is_no_member_of_root() -> None:
    """Naming Root does not name the management account."""
    assert MANAGEMENT not in resolve(rule(folders=["root"])).wanted


def test_never_wins_over_every_key_of_every_rule() -> None:
    """An account or folder under never is in no audience, whichever key named it."""
    named = rule(folders=["root"], accounts=[A], partners=[PARTNER])
    assert resolve(named, never_accounts=(A, PARTNER), never_folders=("fd-test",)).wanted == {OWNER, B, E}


@pytest.mark.parametrize(("until", "wanted"), [(TODAY, {PARTNER}), (date(2026, 11, 20), set()), (None, {PARTNER})])
def test_a_partner_is_wanted_through_the_last_day_that_the_policy_gives(until: date | None, wanted: set[str]) -> None:
    """On the day of until a partner is still wanted, on the next it is not."""
    assert resolve(rule(partners=[Partner(PARTNER, until=until)])).wanted == wanted


def test_a_partner_that_is_a_member_is_treated_as_a_member_and_reported() -> None:
    """A partner that joined is wanted, is not among the partners, and is named for a finding."""
    resolved = resolve(rule(partners=[A, PARTNER]))
    assert resolved.wanted == {A, PARTNER}
    assert resolved.partners == {PARTNER}
    assert resolved.partner_members == {A}


def test_an_account_outside_the_organization_gets_nothing_by_being_named_under_accounts() -> None:
    """accounts are members only: one that is outside is unknown and not wanted."""
    resolved = resolve(rule(accounts=[A, PARTNER]))
    assert resolved.wanted == {A}
    assert [unknown.id for unknown in resolved.unknown] == [PARTNER]
    assert not resolved.frozen


def test_an_unknown_folder_that_is_named_is_reported_and_freezes_nothing() -> None:
    """A typo in folders is an unknown id; what is lost by it is for the guard."""
    resolved = resolve(rule(folders=["fd-prod", "fd-typo"]))
    assert resolved.wanted == {A, B}
    assert resolved.frozen == ""
    assert [unknown.id for unknown in resolved.unknown] == ["fd-typo"]


def test_a_folder_without_members_is_known_because_it_was_asked_for() -> None:
    """An empty folder is no typo: nobody is in it today."""
    resolved = resolve(rule(folders=["fd-empty"]), organization(member(A, "fd-prod"), folders=["fd-empty"]))
    assert (resolved.wanted, resolved.unknown) == (frozenset(), ())


@pytest.mark.parametrize(
    "named",
    [
        rule(folders=["root"], without_folders=["fd-typo"]),
        rule(folders=["root"], without_accounts=["9999999999999999"]),
    ],
)
def test_an_unknown_exception_freezes_its_rule(named: Rule) -> None:
    """What an unknown id in except was meant to take away is not known, so the rule does nothing."""
    assert "which" in resolve(named).frozen


def test_an_unknown_id_under_never_freezes_every_rule() -> None:
    """never bears on every rule."""
    both = resolve_all(policy(rule("a"), rule("b"), never_folders=["fd-typo"]), ORGANIZATION, TODAY)
    assert all(resolved.frozen for resolved in both)


def test_a_folder_that_could_not_be_read_freezes_the_rules_that_name_it() -> None:
    """A folder is not missing because asking for it failed."""
    where = organization(member(A, "fd-prod"), unread=["fd-far"])
    resolved = resolve(rule(folders=["fd-prod", "fd-far"]), where)
    assert resolved.frozen == "folder fd-far could not be read"
    assert resolved.unknown == ()


def test_owners_and_partners_of_the_policy_are_known_ids() -> None:
    """Taking away an owner or a partner that the policy itself names freezes nothing."""
    assert not resolve(rule(folders=["root"], partners=[PARTNER], without_accounts=[OWNER, PARTNER])).frozen


FOLDERS = ("fd-1", "fd-2", "fd-3", "fd-4", "fd-5")


@st.composite
def trees(draw: st.DrawFn) -> Organization:
    """Random trees of up to five levels with members anywhere in them."""
    parents: dict[str, tuple[str, ...]] = {}
    for number, folder in enumerate(FOLDERS):
        above = draw(st.sampled_from([(), *(parents[f] for f in FOLDERS[:number])]))
        parents[folder] = (*above, folder)
    places = st.sampled_from([(), *parents.values()])
    members = [member(account, *draw(places)) for account in (A, B, C, D, E)]
    return organization(*members, folders=FOLDERS)


@given(trees(), st.sets(st.sampled_from(FOLDERS)), st.sets(st.sampled_from(FOLDERS)), st.sets(st.sampled_from([A, B])))
def test_nobody_below_an_excepted_folder_is_ever_in_an_audience(
    where: Organization, folders: set[str], without: set[str], accounts: set[str]
) -> None:
    """For every tree, the audience is who is below a named folder or named, and below no excepted one."""
    resolved = resolve(rule(folders=sorted(folders), accounts=sorted(accounts), without_folders=sorted(without)), where)
    expected = {
        m.id
        for m in where.members.values()
        if (folders.intersection(m.folders) or m.id in accounts) and not without.intersection(m.folders)
    }
    assert resolved.wanted == expected
