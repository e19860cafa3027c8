"""Whom resource shares reach: surely, as it seems, and possibly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.decide.coverage import UNDER_WAY, Coverage, Reach, Reached, coverage_of_images, is_stuck
from orgshare.policy.model import Nested
from orgshare.words import Association, ResourceShare
from tests.support.facts import JUST_NOW, MANAGEMENT, NOW, ORGANIZATION, OWNER, PARTNER, STRANGER, A, B, C, D, E

MEMBERS = frozenset(ORGANIZATION.members)
NESTED: tuple[Nested, ...] = ("unknown", "yes", "no")
FIRM, OVER = "Associated", ("Disassociated", "Failed")
UNSURE = ("Associating", "Disassociating", "Whatever")
STATUSES = (FIRM, *UNSURE, *OVER)
SHARE_STATUSES = ("Active", "Pending", "Deleting", "Deleted", "Whatever")


def ago(**since: float) -> str:
    """The vendor's text for a time before now."""
    return (NOW - timedelta(**since)).strftime("%Y-%m-%dT%H:%M:%SZ")


def reach(
    nested: Nested = "unknown",
    *,
    settled: Iterable[str] = MEMBERS,
    established: Iterable[str] | None = None,
    elsewhere: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Reach:
    """Whom targets reach; whoever is settled and nobody else is established, unless that is said."""
    settled = frozenset(settled)
    return Reach(ORGANIZATION, nested, settled, settled if established is None else frozenset(established), elsewhere)


def row(entity: str, status: str = FIRM, *, created: str = JUST_NOW, updated: str = "") -> Association:
    return Association(entity, status, created, updated)


def share(
    name: str,
    images: Iterable[Association],
    targets: Iterable[Association],
    *,
    status: str = "Active",
    external: bool = False,
) -> ResourceShare:
    return ResourceShare(
        id=f"rs-{name}", status=status, external=external, images=tuple(images), targets=tuple(targets)
    )


def covered(
    *shares: ResourceShare,
    by: Reach | None = None,
    without: Iterable[tuple[str, str]] = (),
    at: datetime = NOW,
) -> dict[str, Coverage]:
    return dict(coverage_of_images(shares, by or reach(), at, without=frozenset(without)))


def everybody(*accounts: str) -> Coverage:
    """Coverage of these accounts beyond doubt."""
    return Coverage(frozenset(accounts), frozenset(accounts), frozenset(accounts))


def perhaps(*accounts: str) -> Coverage:
    """Coverage of these accounts that is only possible."""
    return Coverage(possible=frozenset(accounts))


def test_the_organization_reaches_every_settled_member_surely_and_its_management_account_perhaps() -> None:
    """Nothing is documented about the management account."""
    assert reach(settled=MEMBERS - {E}).of("rd-1") == Reached(MEMBERS - {E}, MEMBERS | {MANAGEMENT})


def test_the_id_of_root_reaches_everybody_perhaps_and_nobody_surely() -> None:
    """Whether it works as a target is not documented."""
    assert reach().of("r-1") == Reached(frozenset(), MEMBERS | {MANAGEMENT})


@pytest.mark.parametrize(
    ("nested", "sure", "possible"),
    [("unknown", {A}, {A, B}), ("yes", {A, B}, {A, B}), ("no", {A}, {A})],
)
def test_a_folder_reaches_its_own_members_and_those_below_as_far_as_that_is_known(
    nested: Nested, sure: set[str], possible: set[str]
) -> None:
    """fd-prod holds A, its subfolder fd-eu holds B, and C, D and E are elsewhere."""
    assert reach(nested).of("fd-prod") == Reached(frozenset(sure), frozenset(possible))
    assert reach(nested).of("fd-eu") == Reached(frozenset({B}), frozenset({B}))
    assert reach(nested).of("fd-test") == Reached(frozenset({C, D}), frozenset({C, D}))


@pytest.mark.parametrize("nested", NESTED)
def test_who_came_lately_is_reached_perhaps(nested: Nested) -> None:
    """A is settled in its folder, C in another, and B is not settled at all."""
    by = reach(nested, settled={A, C})
    assert by.of("fd-prod").sure == {A}
    assert by.of("fd-eu").sure == frozenset()
    assert by.of(B) == Reached(frozenset(), frozenset({B}))
    assert by.of("rd-1").sure == {A, C}
    assert by.of("fd-prod").possible == reach(nested).of("fd-prod").possible


def test_who_moved_lately_is_sure_of_everything_but_folders() -> None:
    """A has been a member for long and came to its folder lately; B is new; C has been where it is."""
    by = reach("yes", settled={C}, established={A, C})
    assert by.of("rd-1").sure == {A, C}
    assert [by.of(account).sure for account in (A, B, C)] == [{A}, frozenset(), {C}]
    assert [by.of(folder).sure for folder in ("fd-prod", "fd-test")] == [frozenset(), {C}]
    assert by.of_all(["fd-prod", "fd-test", A]).sure == {A, C}


@pytest.mark.parametrize("external", [True, False])
def test_a_member_reaches_itself_whatever_its_share_takes(external: bool) -> None:
    """Being a member is enough, and being settled makes it sure."""
    assert reach().of(A, external=external) == Reached(frozenset({A}), frozenset({A}))
    assert reach(settled=()).of(A, external=external) == Reached(frozenset(), frozenset({A}))


@pytest.mark.parametrize(
    ("account", "external", "sure"),
    [
        (PARTNER, True, {PARTNER}),
        (PARTNER, False, set()),
        (STRANGER, True, {STRANGER}),
        (MANAGEMENT, True, set()),
        (MANAGEMENT, False, set()),
    ],
)
def test_an_outsider_is_surely_reached_only_by_a_share_that_takes_outsiders(
    account: str, external: bool, sure: set[str]
) -> None:
    """The management account is never surely reached, and everybody named is reached perhaps."""
    assert reach().of(account, external=external) == Reached(frozenset(sure), frozenset({account}))


@pytest.mark.parametrize("target", ["", "vpc-1", "svc.example.com", "rd-2", "r-2", "fd-unknown", "FD-prod", "12a"])
def test_what_is_no_place_and_no_account_reaches_nobody(target: str) -> None:
    """A target that nobody can resolve says nothing about any account."""
    assert reach("yes").of(target, external=True) == Reached()


def test_who_vanished_is_counted_where_it_was_seen_and_covers_nothing() -> None:
    """Every folder above it, Root's id and the organization may still reach it; single accounts do not."""
    gone = {STRANGER: ("r-1", "fd-prod", "fd-eu"), PARTNER: ("r-1", "fd-test"), "4000000000000001": ("r-1",)}
    for nested in NESTED:
        by = reach(nested, elsewhere=gone)
        assert by.of("rd-1").elsewhere == by.of("r-1").elsewhere == set(gone)
        assert by.of("fd-prod").elsewhere == by.of("fd-eu").elsewhere == {STRANGER}
        assert by.of("fd-test").elsewhere == {PARTNER}
        assert by.of(A).elsewhere == frozenset()
        assert not by.of("rd-1").possible & gone.keys()


def test_several_targets_reach_together_what_each_does() -> None:
    """Sure, possible and elsewhere are unions, each for itself."""
    by = reach(settled=MEMBERS - {D}, elsewhere={STRANGER: ("r-1", "fd-test")})
    assert by.of_all([]) == Reached()
    assert by.of_all(["fd-prod"]) == by.of("fd-prod")
    assert by.of_all(["fd-prod", "fd-test", E]) == Reached(
        frozenset({A, C, E}), frozenset({A, B, C, D, E}), frozenset({STRANGER})
    )


def test_the_same_target_may_reach_more_in_a_share_that_takes_outsiders() -> None:
    """What was worked out for one kind of share is not used for the other."""
    by = reach()
    assert by.of(PARTNER).sure == frozenset()
    assert by.of(PARTNER, external=True).sure == {PARTNER}
    assert by.of(PARTNER).sure == frozenset()


@pytest.mark.parametrize("status", SHARE_STATUSES)
@pytest.mark.parametrize("of_image", STATUSES)
@pytest.mark.parametrize("of_target", STATUSES)
def test_coverage_is_sure_only_where_share_image_and_target_all_stand(
    status: str, of_image: str, of_target: str
) -> None:
    """What is over gives nothing, everything else is possible; a second, standing target serves its own account."""
    found = covered(share("1", [row("m-gold", of_image), row("m-silver")], [row(A, of_target), row(C)], status=status))
    if status == "Deleted":
        assert found == {}
        return
    rows = {"m-silver": FIRM} | ({} if of_image in OVER else {"m-gold": of_image})
    expected = {}
    for image, of in rows.items():
        firm = {C} | ({A} if of_target == FIRM else set())
        standing = firm if of == FIRM and status == "Active" else set()
        live = {C} | (set() if of_target in OVER else {A})
        expected[image] = Coverage(frozenset(standing), frozenset(standing), frozenset(live))
    assert found == expected


def test_what_is_under_way_for_a_quarter_of_an_hour_is_not_expected_any_more() -> None:
    """A stuck target reaches nobody, a stuck image is reached by nobody; a moment earlier both are possible."""
    stuck, young = ago(minutes=15), ago(minutes=14, seconds=59)
    assert covered(share("1", [row("m-gold")], [row(A, "Associating", created=stuck), row(B)])) == {
        "m-gold": everybody(B)
    }
    assert covered(share("1", [row("m-gold", "Associating", created=stuck), row("m-silver")], [row(A)])) == {
        "m-silver": everybody(A)
    }
    assert covered(share("1", [row("m-gold", "Associating", created=young)], [row(A)])) == {"m-gold": perhaps(A)}
    assert covered(share("1", [row("m-gold")], [row(A, "Associating", created=young)])) == {"m-gold": perhaps(A)}


@pytest.mark.parametrize(
    ("of", "stuck"),
    [
        (row(A, "Associating", created=ago(minutes=15)), True),
        (row(A, "Associating", created=ago(minutes=14)), False),
        (row(A, "Associating", created=ago(days=9), updated=ago(minutes=14)), False),
        (row(A, "Associating", created=ago(days=9), updated=ago(minutes=16)), True),
        (row(A, "Associating", created=ago(minutes=16), updated="soon"), True),
        (row(A, "Associating", created="2026-11-21T11:44:59.999Z"), True),
        (row(A, "Associating", created="once"), False),
        (row(A, "Associating", created=""), False),
        (row(A, "Disassociating", created=ago(days=9)), False),
        (row(A, "Associated", created=ago(days=9)), False),
        (row(A, "Whatever", created=ago(days=9)), False),
    ],
)
def test_only_an_association_that_has_long_been_on_its_way_is_stuck(of: Association, stuck: bool) -> None:
    """Its last change counts; without a time that can be read nothing is concluded."""
    assert timedelta(minutes=15) == UNDER_WAY
    assert is_stuck(of, NOW) is stuck


def test_several_shares_cover_together() -> None:
    """A by a share that stands, B by one that is pending, C by a target on its way, and D by both kinds."""
    found = covered(
        share("1", [row("m-gold")], [row(A), row(D), row(C, "Associating", created=ago(minutes=1))]),
        share("2", [row("m-gold"), row("m-silver")], [row(B), row(D)], status="Pending"),
        share("3", [row("m-bronze")], [row(E)]),
    )
    assert found == {
        "m-gold": Coverage(frozenset({A, D}), frozenset({A, D}), frozenset({A, B, C, D})),
        "m-silver": perhaps(B, D),
        "m-bronze": everybody(E),
    }


def test_what_is_sure_by_one_share_stays_sure_beside_any_other() -> None:
    """Another share that is on its way out or in takes nothing away."""
    for status in SHARE_STATUSES:
        for of in UNSURE:
            one = share("1", [row("m-gold")], [row(A), row(B)])
            other = share("2", [row("m-gold", of)], [row(A), row(B, of)], status=status)
            assert covered(one, other) == covered(other, one) == {"m-gold": everybody(A, B)}


def test_rows_that_are_looked_away_from_cover_nobody() -> None:
    """Only in their own share: the same image and account in another one stay."""
    shares = (
        share("1", [row("m-gold"), row("m-silver")], [row(A), row(B)]),
        share("2", [row("m-gold")], [row(A), row(C)]),
    )
    assert covered(*shares, without=[("rs-1", A)]) == {"m-gold": everybody(A, B, C), "m-silver": everybody(B)}
    assert covered(*shares, without=[("rs-1", "m-gold")]) == {
        "m-gold": everybody(A, C), "m-silver": everybody(A, B),
    }  # fmt: skip
    assert covered(*shares, without=[("rs-1", A), ("rs-1", B)]) == {
        "m-gold": everybody(A, C), "m-silver": Coverage(),
    }  # fmt: skip
    assert covered(*shares, without=[("rs-1", "m-silver"), ("rs-3", A), ("rs-2", A)]) == {"m-gold": everybody(A, B, C)}


def test_who_came_lately_is_associated_and_not_sure() -> None:
    """So its direct grant stays, and no new one is made."""
    by = reach(settled=MEMBERS - {B})
    assert covered(share("1", [row("m-gold")], [row("fd-prod")]), by=by) == {
        "m-gold": Coverage(frozenset({A}), frozenset({A, B}), frozenset({A, B}))
    }


def test_a_share_that_takes_outsiders_serves_its_own_only() -> None:
    """The same outsider in a share that takes none is only possible."""
    assert covered(
        share("1", [row("m-gold")], [row(PARTNER)], external=True), share("2", [row("m-silver")], [row(PARTNER)])
    ) == {
        "m-gold": everybody(PARTNER),
        "m-silver": Coverage(frozenset(), frozenset({PARTNER}), frozenset({PARTNER})),
    }


TIMES = st.sampled_from([ago(minutes=1), ago(minutes=14), ago(minutes=15), ago(days=2), "2026-11-21T11:59:00.123Z", ""])
TARGETS = ("rd-1", "r-1", "fd-prod", "fd-eu", "fd-test", "fd-none", A, B, C, MANAGEMENT, PARTNER, OWNER, "nonsense")
IMAGES = ("m-gold", "m-silver", "m-bronze")


def rows(of: tuple[str, ...]) -> st.SearchStrategy[tuple[Association, ...]]:
    """One row for some of these, in any order."""
    one = st.builds(Association, st.sampled_from(of), st.sampled_from(STATUSES), TIMES, TIMES)
    return st.lists(one, max_size=5, unique_by=lambda r: r.entity).map(tuple)


SHARES = st.lists(
    st.builds(
        ResourceShare,
        id=st.sampled_from([f"rs-{n}" for n in range(4)]),
        status=st.sampled_from(SHARE_STATUSES),
        external=st.booleans(),
        images=rows(IMAGES),
        targets=rows(TARGETS),
    ),
    max_size=4,
    unique_by=lambda one: one.id,
).map(tuple)
SOME = st.sampled_from(sorted(MEMBERS))


@settings(max_examples=300, deadline=None)
@given(
    shares=SHARES,
    nested=st.sampled_from(NESTED),
    settled=st.frozensets(SOME),
    moved=st.frozensets(SOME),
    without=st.frozensets(st.tuples(st.sampled_from(["rs-0", "rs-1"]), st.sampled_from([*IMAGES, "rd-1", A, B]))),
    order=st.randoms(use_true_random=False),
)
def test_coverage_never_says_more_than_the_rows(
    shares: tuple[ResourceShare, ...],
    nested: Nested,
    settled: frozenset[str],
    moved: frozenset[str],
    without: frozenset[tuple[str, str]],
    order: object,
) -> None:
    """Sure is within associated within possible; sure rests on standing rows; less is seen with rows looked away."""
    by = reach(nested, settled=settled, established=settled | moved)
    found = covered(*shares, by=by)
    for image, coverage in found.items():
        assert coverage.sure <= coverage.associated <= coverage.possible
        assert coverage.sure & MEMBERS <= settled | moved
        standing = [one for one in shares if one.firm and any(row.entity == image and row.firm for row in one.images)]
        firm = {(target.entity, one.external) for one in standing for target in one.targets if target.firm}
        reached = [by.of(target, external=external) for target, external in sorted(firm)]
        assert coverage.sure == frozenset[str]().union(*(r.sure for r in reached))
        assert coverage.associated == frozenset[str]().union(*(r.possible for r in reached))
        live = [one for one in shares if one.live and any(row.entity == image and row.live for row in one.images)]
        widest = [by.of(t.entity, external=one.external).possible for one in live for t in one.targets if t.live]
        assert coverage.possible <= frozenset[str]().union(*widest)
    less = covered(*shares, by=by, without=without)
    assert less.keys() <= found.keys()
    for image, coverage in less.items():
        whole = found[image]
        assert coverage.sure <= whole.sure
        assert coverage.associated <= whole.associated
        assert coverage.possible <= whole.possible
    shuffled = list(shares)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert covered(*shuffled, by=by) == found


@settings(max_examples=100, deadline=None)
@given(shares=SHARES, settled=st.frozensets(SOME))
def test_knowing_about_nested_folders_never_takes_from_what_was_sure(
    shares: tuple[ResourceShare, ...], settled: frozenset[str]
) -> None:
    """Whatever is sure while it is unknown is sure either way, and whatever is possible either way is possible."""
    unknown, yes, no = (covered(*shares, by=reach(nested, settled=settled)) for nested in NESTED)
    for image, coverage in unknown.items():
        assert coverage.sure == yes[image].sure & no[image].sure
        assert coverage.possible == yes[image].possible | no[image].possible
