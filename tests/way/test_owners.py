"""Several owners, each through its own role and in its own regions: what befalls one of them stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orgshare.errors import StopRun
from orgshare.focus import Focus, Selection
from orgshare.way.applying import Applied, carry_out_plan
from tests.support.channels import by_shares, directly, found, until_settled
from tests.support.trial import (
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    A,
    B,
    C,
    D,
    E,
    Trial,
    calls_of,
    policy,
    rule,
    world,
)
from tests.way.test_rules import in_step

Trials = Callable[..., Trial]

SECOND, THIRD = "1000000000000021", "1000000000000022"
OWNERS = (OWNER, SECOND, THIRD)
SLOW = 40
"""Seconds that a request takes in a run of hours; the lease is renewed in between."""

LIST_SHARES = "resourcesharing:ListResourceShares"
ROLE = "acs:ram::{}:role/orgshare"
IMAGES = {
    OWNER: ("m-bronze", "m-gold", "m-silver"),
    SECOND: ("m-second-0", "m-second-1", "m-second-2"),
    THIRD: ("m-third-0", "m-third-1", "m-third-2"),
}
ALL = tuple(image for images in IMAGES.values() for image in images)


def owners(*regions: str, without: str = "") -> list[dict[str, Any]]:
    """The owners of a policy: the first runs orgshare, the others are reached through a role."""
    where: Any = list(regions) or "all"
    own = {"account": OWNER, "regions": where}
    others = [{"account": a, "regions": where, "role": ROLE.format(a)} for a in (SECOND, THIRD)]
    return [each for each in (own, *others) if each["account"] != without]


def three(**changes: Any) -> dict[str, Any]:
    """Three owners with three images each, the last image of each in another region; each role trusts the first."""
    document = world(**changes)
    for account, name in ((SECOND, "second"), (THIRD, "third")):
        document["directory"]["members"][account] = {"name": name, "folder": "root"}
        document["roles"][ROLE.format(account)] = {"trusts": [OWNER]}
        for number in range(3):
            document["images"][f"m-{name}-{number}"] = {
                "owner": account, "region": OTHER_REGION if number == 2 else REGION, "name": f"{name}-{number}",
                "tags": {"share": "org"},
            }  # fmt: skip
    return document


def everywhere(*accounts: str, but: str = "") -> dict[str, set[str]]:
    """These accounts have every image, those of one owner aside."""
    return {image: set() if image in IMAGES.get(but, ()) else set(accounts) for image in ALL}


def of_second(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES[SECOND]}


@pytest.fixture(params=["direct", "auto"])
def several(trial: Trials, request: pytest.FixtureRequest) -> Trial:
    """Three owners in all their regions, by each channel; nothing is shared yet."""
    return trial(world=three(), policy=policy(owners=owners(REGION, OTHER_REGION), rules=[rule(channel=request.param)]))


def gaps(applied: Applied) -> set[str]:
    return {gap.name for gap in applied.plan.incomplete if gap.where == "shard"}


def shards(account: str) -> set[str]:
    return {f"ecs/{account}/{region}" for region in (REGION, OTHER_REGION)}


def distrusted(t: Trial) -> None:
    t.patch(roles={ROLE.format(SECOND): {"trusts": [THIRD]}})


def gone(t: Trial) -> None:
    t.patch(roles={ROLE.format(SECOND): None})


def powerless(t: Trial) -> None:
    t.patch(roles={ROLE.format(SECOND): {"policies": []}})


def fault(kind: str, operation: str = "ecs:DescribeImages", **more: Any) -> Callable[[Trial], None]:
    return lambda t: t.patch(faults=[{"operation": operation, "account": SECOND, "kind": kind, "every": 1, **more}])


TROUBLES: list[tuple[str, Callable[[Trial], None]]] = [
    ("its role trusts nobody here", distrusted),
    ("its role is gone", gone),
    ("its role may do nothing", powerless),
    ("it never answers", fault("no-answer")),
    ("it answers nonsense", fault("malformed")),
    ("it is throttled for ever", fault("throttle")),
    ("its session is refused", fault("error", code="InvalidSecurityToken.Expired", status=403)),
    ("its keys are refused", fault("error", code="InvalidAccessKeyId.NotFound", status=404)),
    ("its shares cannot be read", fault("error", LIST_SHARES, code="InternalError", status=500)),
    ("its shares are refused", fault("error", LIST_SHARES, code="InvalidSecurityToken.Expired", status=403)),
]  # fmt: skip


@pytest.mark.parametrize("trouble", [of for _, of in TROUBLES], ids=[name for name, _ in TROUBLES])
def test_what_befalls_one_owner_is_its_own(trial: Trials, trouble: Callable[[Trial], None]) -> None:
    """The others are put in order, it is named and left as it is, and nothing is lost or held because of it."""
    t = trial(world=three(), policy=policy(owners=owners(REGION, OTHER_REGION)))
    t.apply()
    assert t.access() == everywhere(A, B)
    trouble(t)
    t.move(C, "fd-prod")
    t.move(B, "fd-test")
    applied = t.apply()
    assert gaps(applied) == shards(SECOND)
    assert t.access() == {**everywhere(A, C), **of_second(A, B)}
    assert (applied.plan.held, applied.failed) == ((), ())
    t.patch(faults=[], roles={ROLE.format(SECOND): {"trusts": [OWNER], "policies": None}})
    t.apply()
    assert t.access() == everywhere(A, C)
    assert in_step(t)


def test_one_region_of_one_owner_is_its_own(several: Trial) -> None:
    """Of an owner with one region in trouble the other goes on, as do all regions of the others."""
    t = several
    here = {"operation": "ecs:DescribeImages", "account": SECOND, "region": REGION, "kind": "no-answer", "every": 1}
    t.patch(faults=[here])
    until = [t.apply() for _ in range(3)]
    assert gaps(until[-1]) == {f"ecs/{SECOND}/{REGION}"}
    t.patch(faults=[])
    until_settled(t)
    assert t.access() == everywhere(A, B)


def test_each_owner_shares_its_own_images_through_its_own_role(several: Trial) -> None:
    """Each in resource shares, or by grants, of its own account and region; no account changes another's."""
    t = several
    until_settled(t)
    assert t.access() == everywhere(A, B)
    made = {(share.owner, share.region) for share in t.cloud.world().resource_shares.values() if share.images}
    channels = by_shares(t) == everywhere(A, B), directly(t) == everywhere(A, B)
    assert channels in ((True, False), (False, True))
    assert made == (
        {(OWNER, REGION)} | {(a, r) for a in (SECOND, THIRD) for r in (REGION, OTHER_REGION)} if channels[0] else set()
    )


def test_the_owners_have_each_others_images_and_never_their_own(trial: Trials) -> None:
    """An owner below a folder is a member like others for what it does not own."""
    document = three()
    document["directory"]["members"][SECOND]["folder"] = "fd-prod"
    t = trial(world=document, policy=policy(owners=owners(REGION, OTHER_REGION)))
    t.apply()
    assert t.access() == {**everywhere(A, B, SECOND), **of_second(A, B)}


@pytest.mark.parametrize("trouble", ["never answers", "may not ask"])
def test_an_owner_whose_regions_cannot_be_read_is_left_alone(trial: Trials, trouble: str) -> None:
    """With regions: all DescribeRegions is asked of each owner; where one does not answer, the others go on."""
    t = trial(world=three(), policy=policy(owners=owners()))
    t.apply()
    assert t.access() == everywhere(A, B)
    fault("no-answer", "ecs:DescribeRegions")(t) if trouble == "never answers" else powerless(t)
    t.move(C, "fd-prod")
    applied = t.apply()
    assert gaps(applied) == {f"ecs/{SECOND}/*"}
    assert found(applied, "orphaned") == set()
    assert t.access() == {**everywhere(A, B, C), **of_second(A, B)}


def test_a_region_that_is_new_is_found_by_asking(trial: Trials) -> None:
    """regions: all has no list of its own: an image in a region that the account gets later is shared."""
    t = trial(world=three(regions=[REGION, OTHER_REGION]), policy=policy(owners=owners()))
    asked = calls_of(t, t.apply)
    assert asked["ecs:DescribeRegions"] == 3
    t.patch(regions=[REGION, OTHER_REGION, "eu-central-1"])
    t.patch(images={"m-eu": {"owner": THIRD, "region": "eu-central-1", "name": "eu", "tags": {"share": "org"}}})
    t.apply()
    assert t.access() == {**everywhere(A, B), "m-eu": {A, B}}


def test_a_role_that_is_taken_away_during_a_run_leaves_no_intention_behind(trial: Trials) -> None:
    """Between reading and writing the role is gone: that owner is left, the others are shared, and nothing is ours."""
    t = trial(world=three(), policy=policy(owners=owners(REGION, OTHER_REGION)))
    slow = t.runtime()
    planned = t.plan()
    gone(t)
    applied = carry_out_plan(slow, planned)
    assert gaps(applied) == shards(SECOND)
    assert t.access() == everywhere(A, B, but=SECOND)
    known = {shard for shard in t.state().shards() if t.state().read(shard).ledger.grants}
    assert {shard.owner for shard in known} == {OWNER, THIRD}
    t.patch(roles={ROLE.format(SECOND): {"trusts": [OWNER]}})
    t.apply()
    assert t.access() == everywhere(A, B)


def test_an_owner_outside_the_organization_shares_directly(trial: Trials) -> None:
    """Its images cannot go by resource shares, and are said not to; the others' do."""
    document = three()
    del document["directory"]["members"][SECOND]
    document["outsiders"] = [PARTNER, SECOND]
    t = trial(world=document, policy=policy(owners=owners(REGION, OTHER_REGION), rules=[rule(channel="auto")]))
    applied = until_settled(t)
    assert t.access() == everywhere(A, B)
    assert {image for image, who in directly(t).items() if who} == set(IMAGES[SECOND])
    why = [finding.why for finding in applied.plan.findings if finding.kind == "channel-fallback"]
    assert [text.split(":")[0] for text in why] == sorted(shards(SECOND))


def long_run(trial: Trials) -> Trial:
    """So many images of an owner behind a role that a run takes hours, where each request takes SLOW seconds."""
    document = three()
    document["images"] |= {
        f"m-more-{n:02}": {"owner": SECOND, "region": REGION, "name": f"more-{n}", "tags": {"share": "org"}}
        for n in range(90)
    }
    t = trial(world=document, policy=policy(owners=owners(REGION, OTHER_REGION)))
    t.begin()
    return t


def test_credentials_are_renewed_before_they_expire(trial: Trials) -> None:
    """A run of hours makes no call with credentials that are over: each role is taken anew before its hour is."""
    t = long_run(trial)
    refused: list[str] = []

    def later(entry: Any) -> None:
        refused.extend([entry.code] if entry.code else [])
        t.cloud.advance(SLOW)

    t.cloud.on_request(later)
    began = t.cloud.clock.now()
    asked = calls_of(t, t.apply)
    hours = (t.cloud.clock.now() - began) / 3600
    assert hours > 2
    assert refused == []
    assert all(who == {A, B} for who in t.access().values())
    assert hours < asked["sts:AssumeRole"]


def test_a_renewal_that_is_refused_ends_that_owner_s_work_alone(trial: Trials) -> None:
    """What was shared until then is recorded as ours, the rest is the next run's, and others are not stopped."""
    t = long_run(trial)

    def later(entry: Any) -> None:
        t.cloud.advance(SLOW)
        if sum(t.cloud.calls.values()) == 60:
            distrusted(t)

    t.cloud.on_request(later)
    applied = t.apply()
    had = t.access()
    assert all(had[image] == {A, B} for owner in (OWNER, THIRD) for image in IMAGES[owner])
    assert {failure.change.shard.owner for failure in applied.failed} | {
        gap.name.split("/")[1] for gap in applied.plan.incomplete
    } == {SECOND}
    assert {failure.code for failure in applied.failed} == {"NoPermission"}
    t.patch(roles={ROLE.format(SECOND): {"trusts": [OWNER]}})
    t.cloud.advance(3600)
    for _ in range(3):
        t.apply()
    assert all(who == {A, B} for who in t.access().values())
    t.move(B, "fd-test")
    t.apply()
    assert all(who == {A} for who in t.access().values())


def test_what_concerns_all_owners_still_stops_the_run(trial: Trials) -> None:
    """The organization is everybody's: where it cannot be read, nothing is done for any owner."""
    t = trial(world=three(), policy=policy(owners=owners(REGION, OTHER_REGION)))
    t.patch(roles={f"acs:ram::{'1000000000000001'}:role/reader": None})
    with pytest.raises(StopRun, match="the organization cannot be read"):
        t.apply()
    assert t.access() == everywhere()


def test_a_run_of_one_owner_leaves_the_others_alone(several: Trial) -> None:
    """Selected by its id, its images are shared and nothing else is read or changed."""
    t = several
    focus = Focus((Selection(owners=frozenset({THIRD})),))
    for _ in range(3):
        t.apply(focus)
    assert {image for image, who in t.access().items() if who} == set(IMAGES[THIRD])
    assert all({D, E}.isdisjoint(who) for who in t.access().values())
