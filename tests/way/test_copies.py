"""Copies: an image that a rule selects is copied where the rule says, once, and the copy is shared like it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orgshare.copies import COPY_OF
from orgshare.errors import Busy, ConfigurationError, NoAnswer, Paused, VendorError
from orgshare.focus import EVERYTHING, Focus, Selection
from orgshare.ports import Page
from orgshare.record.state import ShardState
from orgshare.way.applying import Applied, apply, carry_out_plan
from orgshare.way.copying import copies_of, delete_copy, forget_removed
from orgshare.way.planning import make_plan
from orgshare.way.recovering import copies_for, recover
from orgshare.way.runtime import Runtime
from orgshare.words import DEPLOYMENT, Image, Shard
from tests.support.cloud import allowing
from tests.support.encrypted import let_in, sharing_role_of
from tests.support.fanned import Fanned
from tests.support.trial import (
    LEASE_IS_OVER,
    OTHER_REGION,
    OWNER,
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
from tests.way.test_ownership import dies_at
from tests.way.test_rules import ALL_IMAGES, Died, in_step

Trials = Callable[..., Trial]
THIRD = "cn-beijing"
FAR = Shard("ecs", OWNER, OTHER_REGION)
COPY = "ecs:CopyImage"
MADE_IN = 120
"""Seconds that a copy takes."""


def copying(
    images: dict[str, Any] | None = None, *, to: Iterable[str] = (OTHER_REGION,), **more: Any
) -> dict[str, Any]:
    """A rule that copies what it selects; without images, what is tagged in the first region."""
    chosen = images or {"tags": {"share": "org"}, "region": REGION}
    audience = {key: value for key, value in more.items() if key in ("folders", "accounts")}
    rest = {key: value for key, value in more.items() if key not in audience}
    return {**rule(images=chosen, **audience), "copy_to": list(to), **rest}


def of(*rules: dict[str, Any], regions: Any = (REGION, OTHER_REGION), **more: Any) -> dict[str, Any]:
    owner = {"account": OWNER, "regions": regions if isinstance(regions, str) else list(regions)}
    owner |= {"kms_keys": more.pop("kms_keys")} if "kms_keys" in more else {}
    return policy(owners=[owner], rules=list(rules or (copying(),)), **more)


def copies(trial: Trial, source: str = "", region: str = OTHER_REGION) -> list[str]:
    """The images in a region whose tag names a source, or any."""
    found = trial.cloud.world().images.items()
    tag = f"{REGION}/{source}" if source else ""
    return sorted(i for i, row in found if row.region == region and row.tags.get(COPY_OF, "").startswith(tag or REGION))


def copy_of(trial: Trial, source: str, region: str = OTHER_REGION) -> str:
    """The one copy of an image in a region."""
    (found,) = copies(trial, source, region)
    return found


def made(trial: Trial) -> Applied:
    """Runs until every copy is made and shared, the last of them."""
    trial.apply()
    trial.cloud.advance(MADE_IN + 1)
    return trial.apply()


def copied_everywhere(trial: Trial, *accounts: str) -> bool:
    """Whether each image has exactly one copy, and all have exactly these accounts."""
    access = trial.access()
    return len(copies(trial)) == 3 and all(
        access[image] == access[copy_of(trial, image)] == set(accounts) for image in ALL_IMAGES
    )


def lying(trial: Trial, shown: Callable[[Image], bool], *, by_id: bool = True) -> Runtime:
    """A run whose listings leave out what is not shown; what is asked for by its id is answered, or nothing is."""
    runtime = trial.runtime()
    listed = runtime.cloud.ecs_images

    def ecs_images(shard: Shard, **options: Any) -> Any:
        service = listed(shard, **options)
        honest = service.images

        def images(page: int) -> Page[Image]:
            rows = tuple(row for row in honest(page).rows if shown(row))
            return Page(rows, len(rows))

        def no_image(image: str) -> Image | None:
            raise NoAnswer("ecs:DescribeImages: no answer")

        service.images = images  # type: ignore[method-assign]
        if not by_id:
            service.image = no_image  # type: ignore[method-assign]
        return service

    runtime.cloud.ecs_images = ecs_images  # type: ignore[method-assign]
    return runtime


@pytest.fixture
def copied(trial: Trials) -> Callable[..., Trial]:
    """Trials in which copying takes its time, with the usual policy, unless another one is given."""

    def make(**options: Any) -> Trial:
        return trial(**{"world": world(delays={"image": MADE_IN}), "policy": of(), **options})

    return make


def test_every_image_is_copied_once_and_its_copy_is_shared_like_it(copied: Trials) -> None:
    """The copy is shared when it is ready, with the same accounts; further runs plan nothing."""
    t = copied()
    assert [c.action for c in t.apply().done if c.shard == FAR] == ["copy"] * 3
    assert all(t.access()[copy] == set() for copy in copies(t))
    t.apply()
    assert len(copies(t)) == 3
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    assert copied_everywhere(t, A, B)
    assert in_step(t)
    assert t.cloud.calls[COPY] == 3


def test_where_nothing_changed_nothing_is_written(copied: Trials) -> None:
    """Neither to the cloud nor to the state; the look of a source that changes is written down once."""
    t = copied()
    made(t)
    t.apply()

    def generation() -> int:
        t.apply()
        return t.state().read(FAR).number

    before = generation()
    assert generation() == before
    t.patch(images={"m-gold": {"tags": {"more": "1"}}})
    assert [generation() - before for _ in range(3)] == [1, 1, 1]


def test_a_copy_has_the_name_and_the_tags_of_its_source_and_says_of_what_it_is_one(copied: Trials) -> None:
    """So that whoever looks at it knows where it comes from."""
    t = copied()
    made(t)
    row = t.cloud.world().images[copy_of(t, "m-gold")]
    assert row.name == "gold"
    assert row.tags == {"share": "org", COPY_OF: f"{REGION}/m-gold", DEPLOYMENT: "trial"}


def test_what_a_plan_copies_is_in_it_and_nothing_is_copied_by_planning(copied: Trials) -> None:
    """One change an image, in the shard that the copy comes into."""
    t = copied()
    t.begin()
    changes = [c for c in t.plan().plan.changes if c.action == "copy"]
    assert [(c.shard, c.images, c.rules, c.gained) for c in changes] == [
        (FAR, (image,), ("golden",), 0) for image in sorted(ALL_IMAGES)
    ]
    assert copies(t) == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_that_dies_while_copying_leads_to_no_second_copy(copied: Trials, number: int) -> None:
    """Whatever was answered before it died: the next run finds the copies, and makes those that are missing."""
    t = copied()
    t.begin()
    dies_at(t, "CopyImage", number)
    assert len(copies(t)) == number
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    made(t)
    assert copied_everywhere(t, A, B)
    assert in_step(t)


@pytest.mark.parametrize("kind", ["no-answer", "lost-answer"])
def test_a_call_without_an_answer_leads_to_one_copy(copied: Trials, kind: str) -> None:
    """Whether the call was carried out or not, and before the listing shows anything, asking again makes one in all."""
    t = copied(world=world(delays={"image": MADE_IN}))
    t.patch(faults=[{"operation": COPY, "kind": kind, "every": 1}])
    assert {type(failed.change) for failed in t.apply().failed}
    t.patch(faults=[])
    t.apply()
    made(t)
    assert copied_everywhere(t, A, B)


def test_a_source_that_changed_since_the_first_try_leads_to_one_copy(copied: Trials) -> None:
    """The cloud refuses the token for another request, which says that the first one was carried out."""
    t = copied()
    t.patch(faults=[{"operation": COPY, "kind": "lost-answer", "every": 1}])
    t.apply()
    t.patch(faults=[], images={image: {"tags": {"more": "1"}} for image in ALL_IMAGES})
    applied = apply(lying(t, lambda row: COPY_OF not in dict(row.tags)), EVERYTHING)
    assert {failed.code for failed in applied.failed} == {"IdempotenceParamNotMatch"}
    made(t)
    assert copied_everywhere(t, A, B)


def test_a_copy_that_no_listing_shows_yet_is_not_made_twice(copied: Trials) -> None:
    """The run died after the call, and the next one reads a listing without the copy: the token makes it the same."""
    t = copied()
    t.begin()
    dies_at(t, "CopyImage", 3)
    runtime = lying(t, lambda row: COPY_OF not in dict(row.tags))
    assert [c.action for c in apply(runtime, EVERYTHING).done if c.shard == FAR] == ["copy"] * 3
    assert len(copies(t)) == 3
    made(t)
    assert copied_everywhere(t, A, B)


def test_at_most_five_copies_are_made_at_once_and_the_others_follow(copied: Trials) -> None:
    """Eight images: five copies, and three more when there is room again, each once."""
    images = {f"m-{n}": {**world()["images"]["m-gold"], "name": f"n{n}"} for n in range(8)}
    t = copied(world=world(delays={"image": MADE_IN}, images=images))
    applied = t.apply()
    assert len(copies(t)) == 5
    waiting = [p.entity for p in applied.plan.pending if p.status.startswith("waits to be copied")]
    assert waiting == ["m-5", "m-6", "m-7"]
    t.apply()
    assert len(copies(t)) == 5
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    assert len(copies(t)) == 8
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    assert all(t.access()[copy] == {A, B} for copy in copies(t))
    assert t.cloud.calls[COPY] == 8


def test_the_watch_has_copied_what_waits_and_shared_what_is_ready(copied: Trials) -> None:
    """Without an event and without a sweep: eight images, of which five are copied at once, each in an hour."""
    images = {f"m-{n}": {**world()["images"]["m-gold"], "name": f"n{n}"} for n in range(8)}
    t = copied(world=world(delays={"image": 3600}, images=images))
    t.apply()
    f = Fanned(t)
    for _ in range(12 * 8):
        t.cloud.advance(300)
        f.watch()
    assert [t.access()[copy] for copy in copies(t)] == [{A, B}] * 8
    assert f.watch() == 0


def test_a_copy_is_under_way_until_it_can_be_shared(copied: Trials) -> None:
    """In every run, so that whoever waits for it goes on waiting."""
    t = copied()
    t.apply()
    under_way = {(p.entity, p.status) for p in t.apply().plan.pending}
    assert under_way == {(copy_of(t, i), f"a copy of {i}, is being made in {OTHER_REGION}") for i in sorted(ALL_IMAGES)}
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    assert t.apply().plan.pending == ()


def test_images_are_copied_to_several_regions(copied: Trials) -> None:
    """One copy in each of them, and no copy of a copy."""
    t = copied(
        policy=of(copying({"tags": {"share": "org"}}, to=(OTHER_REGION, THIRD)), regions=(REGION, OTHER_REGION, THIRD))
    )
    made(t)
    made(t)
    for region in (OTHER_REGION, THIRD):
        assert [t.access()[copy_of(t, image, region)] for image in ALL_IMAGES] == [{A, B}] * 3
    assert t.cloud.calls[COPY] == 6


@pytest.mark.parametrize("images", [{"ids": ["m-gold", "m-silver"]}, {"family": "acme"}, {"name": "gold"}])
def test_the_rule_that_copies_selects_the_copies_whatever_it_goes_by(copied: Trials, images: dict[str, Any]) -> None:
    """A copy has another id and no family; it is judged as what it was made from."""
    t = copied(policy=of(copying(images)))
    t.patch(images={"m-gold": {"family": "acme"}})
    made(t)
    assert t.access()[copy_of(t, "m-gold")] == t.access()["m-gold"] == {A, B}
    assert in_step(t)


def test_another_rule_takes_a_copy_for_what_it_was_made_from(copied: Trials) -> None:
    """A rule for all regions shares the copy, too, and one for the first region alone does not."""
    lab = {**rule(folders=["fd-test"]), "name": "lab"}
    near = {**rule(images={"tags": {"share": "org"}, "region": REGION}, accounts=[E]), "name": "near"}
    t = copied(policy=of(copying(), lab, near))
    made(t)
    assert t.access()["m-gold"] == {A, B, C, D, E}
    assert t.access()[copy_of(t, "m-gold")] == {A, B, C, D}


def test_an_image_that_is_not_selected_any_more_loses_its_copies_audience_too(copied: Trials) -> None:
    """Though the copy still has the tag that it was made with."""
    t = copied()
    made(t)
    copy = copy_of(t, "m-gold")
    t.patch(images={"m-gold": {"tags": {"share": "none"}}})
    t.apply()
    assert t.access()[copy] == {A, B}, "a whole audience is held"
    t.approve_all()
    t.apply()
    assert (t.access()["m-gold"], t.access()[copy]) == (set(), set())
    assert t.access()[copy_of(t, "m-silver")] == {A, B}
    assert len(copies(t)) == 3


def test_who_leaves_the_audience_loses_the_copies_too_and_who_joins_gets_them(copied: Trials) -> None:
    """A move is the same for an image and for its copy."""
    t = copied()
    made(t)
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.apply()
    assert copied_everywhere(t, B, C)


def test_many_sources_are_listed_and_not_asked_for_one_by_one(copied: Trials) -> None:
    """An account that joins has the region of thirty copies read with a listing of each region."""
    images = {f"m-{n:02}": {**world()["images"]["m-gold"], "name": f"n{n}"} for n in range(30)}
    t = copied(world=world(images=images))
    for _ in range(6):
        t.apply()
    t.move(C, "fd-prod")
    joined = Focus((Selection(regions=frozenset({OTHER_REGION}), accounts=frozenset({C})),))
    calls = calls_of(t, lambda: t.apply(joined))
    assert [t.access()[copy] for copy in copies(t)] == [{A, B, C}] * 30
    assert calls["ecs:DescribeImages"] == 2


def test_the_watch_brings_copies_to_who_joins_and_takes_them_from_who_leaves(copied: Trials) -> None:
    """It wakes the regions that copies are in, though the rule chooses its images from another one."""
    t = copied()
    made(t)
    t.apply()
    f = Fanned(t)
    assert f.watch() == 0
    t.move(C, "fd-prod")
    assert (f.watch(), copied_everywhere(t, A, B, C)) == (2, True)
    t.move(A, "fd-test")
    assert (f.watch(), copied_everywhere(t, B, C)) == (2, True)


def test_a_copy_whose_source_is_deleted_stays_shared(copied: Trials) -> None:
    """It stands for itself then, with the tags that it was made with."""
    t = copied(policy=of(copying({"tags": {"share": "org"}})))
    made(t)
    copy = copy_of(t, "m-gold")
    t.patch(grants={"m-gold": []})
    t.patch(images={"m-gold": None})
    for _ in range(3):
        t.apply()
    assert t.access()[copy] == {A, B}
    assert in_step(t)


def test_what_was_taken_out_of_a_rule_and_deleted_does_not_come_back_by_its_copies(copied: Trials) -> None:
    """They still have the tag of the day that they were made, and nobody gets them again; the others stay shared."""
    t = copied(policy=of(copying({"tags": {"share": "org"}})))
    made(t)
    copy = copy_of(t, "m-gold")
    t.patch(images={"m-gold": {"tags": {"share": "none"}}})
    t.apply()
    t.approve_all()
    t.apply()
    assert t.access()[copy] == set()
    t.patch(images={"m-gold": None})
    for _ in range(3):
        t.apply()
    assert t.access()[copy] == set()
    assert t.access()[copy_of(t, "m-silver")] == {A, B}
    assert in_step(t)


def test_a_source_that_a_listing_leaves_out_takes_nothing_from_its_copy(copied: Trials) -> None:
    """It is asked for alone, and found."""
    t = copied(policy=of(copying({"family": "acme", "region": REGION})))
    t.patch(images={image: {"family": "acme"} for image in ALL_IMAGES})
    made(t)
    apply(lying(t, lambda row: row.id != "m-gold"), EVERYTHING)
    assert copied_everywhere(t, A, B)


def test_nothing_is_concluded_of_copies_whose_sources_cannot_be_read(copied: Trials) -> None:
    """The region of the sources refuses: their copies stay as they are, nothing is copied, and the run says so."""
    t = copied()
    made(t)
    t.patch(images={"m-new": {**world()["images"]["m-gold"], "name": "new"}})
    t.patch(faults=[{"operation": "ecs:DescribeImages", "kind": "error", "code": "Forbidden.RAM", "status": 403,
                     "region": REGION, "every": 1}])  # fmt: skip
    t.move(A, "fd-test")
    applied = t.apply()
    assert {gap.name for gap in applied.plan.incomplete} == {str(FAR), f"ecs/{OWNER}/{REGION}"}
    assert (len(copies(t)), t.access()[copy_of(t, "m-gold")]) == (3, {A, B})
    t.patch(faults=[])
    t.apply()
    assert (len(copies(t)), t.access()[copy_of(t, "m-gold")]) == (4, {B})


def test_a_region_that_an_owner_does_not_have_is_named(copied: Trials) -> None:
    """With all regions of the owner nobody can tell beforehand; where there is one, the images are copied."""
    t = copied(policy=of(copying(to=("cn-bejing", OTHER_REGION)), regions="all"))
    applied = t.apply()
    (finding,) = applied.plan.findings
    assert finding.kind == "not-copied"
    assert finding.why.startswith(f"rule golden copies images to cn-bejing, which is no region of owner {OWNER}, so ")
    assert len(copies(t)) == 3


def test_nothing_is_copied_to_a_region_that_cannot_be_listed(copied: Trials) -> None:
    """Nobody knows what copies are there."""
    t = copied()
    t.patch(faults=[{"operation": "ecs:DescribeImages", "kind": "error", "code": "Forbidden.RAM", "status": 403,
                     "region": OTHER_REGION, "every": 1}])  # fmt: skip
    t.apply()
    assert (copies(t), t.access()["m-gold"]) == ([], {A, B})


def test_a_copy_that_a_person_removed_stays_removed_until_it_is_wanted_back(copied: Trials) -> None:
    """It is said so, and the others are as they were."""
    t = copied()
    made(t)
    gone = copy_of(t, "m-gold")
    t.patch(grants={gone: []})
    t.patch(images={gone: None})
    for _ in range(4):
        applied = t.apply()
    assert [f.image for f in applied.plan.findings if f.kind == "copy-removed"] == ["m-gold"]
    assert (copies(t, "m-gold"), len(copies(t))) == ([], 2)
    assert forget_removed(t.state(), "m-gold", run="person") == (FAR,)
    made(t)
    assert copied_everywhere(t, A, B)


def test_a_copy_that_listings_leave_out_is_asked_for_alone_and_not_taken_for_removed(copied: Trials) -> None:
    """However often; and where it cannot be asked for, nothing is concluded either."""
    t = copied()
    made(t)
    for _ in range(3):
        applied = apply(lying(t, lambda row: COPY_OF not in dict(row.tags)), EVERYTHING)
    assert (applied.plan.findings, applied.plan.changes) == ((), ())
    for _ in range(3):
        runtime = lying(t, lambda row: COPY_OF not in dict(row.tags), by_id=False)
        applied = apply(runtime, EVERYTHING)
    assert {gap.name for gap in applied.plan.incomplete} == {str(FAR)}
    assert applied.plan.findings == ()
    assert {copy.state for image in ALL_IMAGES for copy in copies_of(t.state(), image).values()} == {"made"}
    assert copied_everywhere(t, A, B)
    assert in_step(t)


def test_an_image_that_only_says_that_it_is_a_copy_is_neither_shared_nor_made_again(copied: Trials) -> None:
    """Whoever may tag an image must not be able to have it shared like the one that the tag names."""
    posing = {"service": "ecs", "owner": OWNER, "region": OTHER_REGION, "name": "x", "status": "Available",
              "tags": {COPY_OF: f"{REGION}/m-gold", DEPLOYMENT: "trial"}}  # fmt: skip
    t = copied(policy=of(copying({"ids": list(ALL_IMAGES)})))
    t.patch(images={"m-posing": posing})
    made(t)
    applied = t.apply()
    assert t.access()["m-posing"] == set()
    assert copies(t, "m-gold") == ["m-posing"]
    said = [(f.kind, f.image) for f in applied.plan.findings]
    assert said == [("not-copied", "m-gold")]


def test_a_copy_of_another_deployment_is_never_taken_for_the_one_that_was_meant(copied: Trials) -> None:
    """Two deployments copy one image and the call of this one got no answer: the other's copy stays the other's."""
    t = copied()
    t.patch(faults=[{"operation": COPY, "kind": "no-answer", "every": 1}])
    t.apply()
    theirs = {"service": "ecs", "owner": OWNER, "region": OTHER_REGION, "name": "gold", "status": "Available",
              "tags": {"share": "none", COPY_OF: f"{REGION}/m-gold", DEPLOYMENT: "other"}}  # fmt: skip
    t.patch(faults=[], images={"m-theirs": theirs})
    made(t)
    said = [(f.kind, f.image) for f in t.apply().plan.findings]
    assert (copies(t, "m-gold"), t.access()["m-theirs"]) == (["m-theirs"], set())
    assert said == [("not-copied", "m-gold")]
    assert copies_of(t.state(), "m-gold")[FAR].id == ""


def test_a_copy_that_a_failed_call_may_have_made_is_ours_only_if_it_was_intended(copied: Trials) -> None:
    """A tag that appears after an intention is taken for the copy that was meant: whoever tags must be that fast."""
    t = copied()
    t.patch(faults=[{"operation": COPY, "kind": "lost-answer", "every": 1}])
    t.apply()
    t.patch(faults=[])
    t.cloud.advance(MADE_IN + 1)
    t.apply()
    assert {copy.state for image in ALL_IMAGES for copy in copies_of(t.state(), image).values()} == {"made"}
    assert copied_everywhere(t, A, B)


@pytest.mark.parametrize("mode", ["observe", "add", "enforce"])
def test_rules_that_add_copy_and_those_that_observe_do_not(copied: Trials, mode: str) -> None:
    """A copy is an addition."""
    t = copied(policy=of(copying(mode=mode)))
    made(t)
    assert len(copies(t)) == (0 if mode == "observe" else 3)


def test_a_deployment_that_observes_shows_what_would_be_copied(copied: Trials) -> None:
    """And copies nothing."""
    t = copied(policy=of(mode="observe"))
    t.begin()
    assert [c.action for c in t.apply().plan.changes if c.shard == FAR] == ["copy"] * 3
    assert copies(t) == []


def encrypted(t: Trial) -> None:
    t.patch(images={"m-gold": {"encryption": "cmk"}})
    sharing_role_of(t, OWNER)


def test_an_encrypted_image_is_copied_with_the_key_of_the_region(copied: Trials) -> None:
    """And its copy is shared with who is let into the sharing role."""
    t = copied(policy=of(copying(encrypted="authorize"), kms_keys={OTHER_REGION: "key-far"}))
    encrypted(t)
    made(t)
    copy = copy_of(t, "m-gold")
    assert t.cloud.world().images[copy].encryption == "cmk"
    assert (t.access()[copy], let_in(t, OWNER)) == ({A, B}, {A, B})
    assert t.cloud.world().images[copy_of(t, "m-silver")].encryption == "none"


@pytest.mark.parametrize(
    ("how", "keys", "why"),
    [
        ("authorize", {}, "kms_keys of owner 1000000000000002 names no key there"),
        ("refuse", {OTHER_REGION: "key-far"}, "no rule that copies it says encrypted: authorize"),
    ],
)
def test_an_encrypted_image_that_cannot_be_copied_is_named(
    copied: Trials, how: str, keys: dict[str, str], why: str
) -> None:
    """Without a key for the region, or if nobody would get the copy. The others are copied."""
    t = copied(policy=of(copying(encrypted=how), kms_keys=keys))
    encrypted(t)
    applied = t.apply()
    (finding,) = [f for f in applied.plan.findings if f.kind == "not-copied"]
    assert finding.image == "m-gold"
    assert why in finding.why
    assert (copies(t, "m-gold"), len(copies(t))) == ([], 2)


def test_an_image_of_which_nobody_can_tell_whether_it_is_encrypted_is_not_copied(copied: Trials) -> None:
    """A copy without a key would be refused, or not be what was meant."""
    t = copied()
    t.patch(faults=[{"operation": "ecs:DescribeSnapshots", "kind": "error", "code": "Forbidden.RAM", "status": 403,
                     "every": 1}])  # fmt: skip
    applied = t.apply()
    assert copies(t) == []
    assert any("it is not copied to ap-southeast-1" in gap.why for gap in applied.plan.incomplete)


@pytest.mark.parametrize(
    "change",
    [{"status": "Deprecated"}, {"public": True}, {"tags": {f"t{n}": "x" for n in range(18)} | {"share": "org"}}],
    ids=["deprecated", "community", "nineteen tags"],
)
def test_an_image_that_cannot_be_copied_is_named_and_the_others_are_copied(
    copied: Trials, change: dict[str, Any]
) -> None:
    """By the rules of the service, or because no place is left for our tags."""
    t = copied()
    t.patch(images={"m-gold": change})
    applied = t.apply()
    assert [(f.kind, f.image) for f in applied.plan.findings if f.kind == "not-copied"] == [("not-copied", "m-gold")]
    assert (copies(t, "m-gold"), len(copies(t))) == ([], 2)


def test_an_image_that_is_still_being_made_is_copied_when_it_is_ready(copied: Trials) -> None:
    """Until then it is under way."""
    t = copied()
    t.patch(images={"m-gold": {"status": "Creating"}})
    assert ("m-gold", f"copied to {OTHER_REGION} when it is Available") in {
        (p.entity, p.status) for p in t.apply().plan.pending
    }
    t.patch(images={"m-gold": {"status": "Available"}})
    t.apply()
    made(t)
    assert copied_everywhere(t, A, B)


def test_a_copy_that_the_cloud_refuses_is_tried_again_later_and_named(copied: Trials) -> None:
    """An image of that name is there already: the others are copied, and the refusal is not repeated at once."""
    t = copied()
    t.patch(images={"m-there": {**world()["images"]["m-gold"], "region": OTHER_REGION, "tags": {}}})
    assert [(f.change.images, f.code) for f in t.apply().failed] == [(("m-gold",), "InvalidImageName.Duplicated")]
    calls = t.cloud.calls[COPY]
    (finding,) = [f for f in t.apply().plan.findings if f.kind == "not-copied"]
    assert "InvalidImageName.Duplicated" in finding.why
    assert t.cloud.calls[COPY] == calls
    t.patch(images={"m-there": {"name": "another"}})
    t.cloud.advance(24 * 3600)
    t.apply()
    made(t)
    assert copied_everywhere(t, A, B)


def test_the_watch_tries_what_was_refused_again_at_the_time_that_was_said(copied: Trials) -> None:
    """Another copy of the image was on its way: without a sweep and without an event it is copied when it can be."""
    t = copied()
    t.patch(faults=[{"operation": COPY, "kind": "error", "code": "OperationDenied.ImageCopyConflict", "status": 400,
                     "times": 3}])  # fmt: skip
    assert len(t.apply().failed) == 3
    f = Fanned(t)
    for _ in range(10):
        t.cloud.advance(300)
        f.watch()
    assert copied_everywhere(t, A, B)


def test_a_copy_that_failed_is_made_again_as_the_finding_says(copied: Trials) -> None:
    """Delete it, wait until it is said to be removed, and want it back."""
    t = copied()
    made(t)
    failed = copy_of(t, "m-gold")
    t.patch(grants={failed: []})
    t.patch(images={failed: {"status": "CreateFailed"}})
    (finding,) = [f for f in t.apply().plan.findings if f.kind == "not-copied"]
    assert finding.why.startswith(f"its copy {failed} in {OTHER_REGION} has the status CreateFailed; delete it, and")
    t.patch(images={failed: None})
    while not [f for f in t.apply().plan.findings if f.kind == "copy-removed"]:
        assert copies(t, "m-gold") == []
    assert forget_removed(t.state(), "m-gold", run="person") == (FAR,)
    made(t)
    assert copied_everywhere(t, A, B)


def test_an_event_about_an_image_has_it_copied(copied: Trials) -> None:
    """The shard that copies come into looks at what the event names, and only there."""
    t = copied()
    t.begin()
    t.apply(Focus((Selection(images=frozenset({"m-gold"}), regions=frozenset({OTHER_REGION})),)))
    assert (copies(t, "m-gold"), len(copies(t))) == ([copy_of(t, "m-gold")], 1)


def test_an_event_about_an_image_has_its_copies_looked_at(copied: Trials) -> None:
    """Whoever takes a tag off an image, or puts it back, takes its copies along; the others are left alone."""
    t = copied()
    made(t)
    f = Fanned(t)
    t.patch(images={"m-gold": {"tags": {"share": "none"}}})
    f.changed("m-gold", region=REGION, owner=OWNER)
    f.work()
    held = {pair.image for hold in t.state().guard().holds for pair in hold.pairs}
    assert held == {"m-gold", copy_of(t, "m-gold")}
    t.approve_all()
    f.changed("m-gold", region=REGION, owner=OWNER)
    f.work()
    assert (t.access()["m-gold"], t.access()[copy_of(t, "m-gold")]) == (set(), set())
    t.patch(images={"m-gold": {"tags": {"share": "org"}}})
    f.changed("m-gold", region=REGION, owner=OWNER)
    f.work()
    assert copied_everywhere(t, A, B)


def fails(kind: str) -> Callable[[Trial], object]:
    """A run in which every second call that copies gets an error, or no answer."""

    def run(t: Trial) -> None:
        t.patch(faults=[{"operation": COPY, "kind": kind, "every": 2}])
        t.apply()
        t.patch(faults=[])

    return run


def crashes(number: int) -> Callable[[Trial], object]:
    """A run that is killed after so many calls that copy, if there are as many."""

    def run(t: Trial) -> None:
        calls, alive = count(1), [True]

        def kill(entry: Any) -> None:
            if alive and entry.action == "CopyImage" and next(calls) == number:
                raise Died

        t.cloud.on_request(kill)
        with suppress(Died):
            t.apply()
        alive.clear()
        t.cloud.advance(LEASE_IS_OVER)

    return run


def without_copies(t: Trial) -> None:
    """A run whose listings show no copy."""
    apply(lying(t, lambda row: COPY_OF not in dict(row.tags)), EVERYTHING)


def changed(t: Trial) -> None:
    """Sources get other names and tags, so that no name stands in the way of a second copy."""
    at = f"{t.now():%d%H%M%S}"
    t.patch(images={i: {"name": f"{i}-{at}", "tags": {"share": "org", "at": at}} for i in ALL_IMAGES})


HAPPENS: dict[str, Callable[[Trial], object]] = {
    "a run": lambda t: t.apply(),
    "a run whose listings show no copy": without_copies,
    "a run for one image": lambda t: t.apply(Focus((Selection(images=frozenset({"m-gold"})),))),
    "a run for a part": lambda t: t.apply(Focus((Selection(regions=frozenset({OTHER_REGION}), part=(1, 3)),))),
    "no answer": fails("no-answer"),
    "an answer that is lost": fails("lost-answer"),
    "an error": fails("error"),
    "a crash after one copy": crashes(1),
    "a crash after two copies": crashes(2),
    "other names and tags": changed,
    "time": lambda t: t.cloud.advance(300),
}  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(history=["a crash after two copies", "other names and tags", "a run whose listings show no copy"])
@example(history=["an answer that is lost", "other names and tags", "a run whose listings show no copy"])
@given(history=st.lists(st.sampled_from(sorted(HAPPENS)), max_size=8))
def test_whatever_happens_there_is_never_a_second_copy(copied: Trials, history: list[str]) -> None:
    """In any order; and once nothing is in the way, each image has its one copy, shared like it."""
    t = copied()
    t.begin()
    for event in history:
        HAPPENS[event](t)
        assert max((len(copies(t, image)) for image in ALL_IMAGES), default=0) <= 1
    t.cloud.advance(2 * 24 * 3600)
    made(t)
    assert copied_everywhere(t, A, B)
    assert in_step(t)


def test_without_the_permission_nothing_is_copied_and_it_is_named(copied: Trials) -> None:
    """It is nobody's refusal, so nothing is remembered of it."""
    rights = allowing("ecs:Describe*", "ecs:ModifyImageSharePermission", "resourcesharing:*", "sts:*")
    t = copied(world=world(delays={"image": MADE_IN}, access_keys={
        "LOCALMANAGEMENT": {"secret": "local", "account": "1000000000000001"},
        "LOCALIMAGES": {"secret": "local", "account": OWNER, "policies": [rights]},
    }))  # fmt: skip
    applied = t.apply()
    assert copies(t) == []
    assert any(f.kind == "not-permitted" and "ecs:CopyImage" in f.why for f in applied.plan.findings)
    assert t.access()["m-gold"] == {A, B}


def test_two_runs_at_once_make_one_copy_of_each_image(copied: Trials) -> None:
    """The second one finds the shard held, or its plan overtaken."""

    t = copied()
    t.begin()
    one, other = t.runtime(), t.runtime()
    first, second = make_plan(one, EVERYTHING), make_plan(other, EVERYTHING)
    carry_out_plan(one, first)
    stopped = carry_out_plan(other, second)
    assert {f.kind for f in stopped.plan.findings} == {"busy"}
    assert len(copies(t)) == 3


def deleting(t: Trial, source: str, before: ShardState | None = None) -> None:
    """Delete the copy of an image as ``retire --copies`` does, as far as nothing was written since the state before."""
    runtime = t.runtime()
    delete_copy(runtime, FAR, source, copy_of(t, source), before or runtime.state.read(FAR))


def test_a_copy_is_deleted_only_if_its_tag_still_names_its_source(copied: Trials) -> None:
    """The ledger and the image have to agree, and a copy that is shared is refused by the cloud."""
    t = copied()
    made(t)
    with pytest.raises(VendorError, match="ImageUseShared"):
        deleting(t, "m-gold")
    copy, runtime = copy_of(t, "m-gold"), t.runtime()
    t.patch(grants={copy: []})
    with pytest.raises(ConfigurationError, match="does not know it for the copy of m-silver"):
        delete_copy(runtime, FAR, "m-silver", copy, runtime.state.read(FAR))
    t.patch(images={copy: {"tags": {COPY_OF: f"{REGION}/m-silver"}}})
    with pytest.raises(ConfigurationError, match="does not name cn-hangzhou/m-gold any more"):
        delete_copy(runtime, FAR, "m-gold", copy, runtime.state.read(FAR))
    t.patch(images={copy: {"tags": {COPY_OF: f"{REGION}/m-gold", DEPLOYMENT: "other"}}})
    with pytest.raises(ConfigurationError, match="does not name trial any more"):
        deleting(t, "m-gold")
    t.patch(images={copy: {"tags": {DEPLOYMENT: "trial"}}})
    deleting(t, "m-gold")
    assert copy not in t.cloud.world().images
    assert copies_of(t.state(), "m-gold")[FAR].state == "gone"
    t.apply()
    assert copies(t, "m-gold") == []


def test_a_copy_is_not_deleted_after_a_run_that_wrote_since_it_was_looked_at(copied: Trials) -> None:
    """That run may have shared it, by a resource share that does not keep the service from deleting it."""
    t = copied()
    made(t)
    before = t.state().read(FAR)
    t.move(C, "fd-prod")
    t.apply()
    with pytest.raises(Busy):
        deleting(t, "m-gold", before)
    assert copied_everywhere(t, A, B, C)


def test_a_copy_of_a_paused_shard_is_not_deleted_and_the_shard_not_held(copied: Trials) -> None:
    """Nor is it held after any other refusal, so that the next run goes on at once."""
    t = copied()
    made(t)
    t.patch(grants={copy_of(t, "m-gold"): []})
    t.state().pause(FAR, run="person", who="person", now=t.now())
    with pytest.raises(Paused):
        deleting(t, "m-gold")
    assert (len(copies(t)), t.state().read(FAR).holder) == (3, "")
    t.state().resume(FAR, run="person", who="person", now=t.now())
    deleting(t, "m-gold")
    assert (copies(t, "m-gold"), t.state().read(FAR).holder) == ([], "")


def test_a_lost_state_finds_its_copies_again(copied: Trials) -> None:
    """They are shared like their sources again, and none is made twice."""
    t = copied(policy=of(copying({"ids": list(ALL_IMAGES)})))
    made(t)
    for path in sorted((t.folder / "state").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    t.begin()
    runtime = t.runtime()
    found = recover(runtime.state, {}, copies_for(runtime.policy, runtime.cloud, t.now()), run="r", now=t.now())
    assert found.copies == 3
    t.move(C, "fd-prod")
    t.apply()
    assert copied_everywhere(t, A, B, C)


def test_a_tag_that_cannot_be_one_of_ours_is_not_taken_over(copied: Trials) -> None:
    """It would be asked for at a host of that name in every run; what has good tags is taken over all the same."""
    t = copied()
    made(t)
    tags = ("garbage", "", "x.example/m-gold", "x/y/m-gold", f"{REGION}/", f"{REGION}/x", f"{REGION}/?m-gold")
    t.patch(images={f"m-odd{n}": {"service": "ecs", "owner": OWNER, "region": OTHER_REGION, "name": f"odd{n}",
                                  "status": "Available", "tags": {COPY_OF: tag, DEPLOYMENT: "trial"}}
                    for n, tag in enumerate(tags)})  # fmt: skip
    runtime = t.runtime()
    found = copies_for(runtime.policy, runtime.cloud, t.now())
    assert sorted(found[FAR]) == sorted(ALL_IMAGES)
    assert {copy.id for copy in found[FAR].values()} == {copy_of(t, image) for image in ALL_IMAGES}


def test_copying_stops_where_the_lease_is_lost(copied: Trials) -> None:
    """A writer that lost its lease makes no further copy."""
    t = copied()
    t.begin()
    held: list[str] = []

    def stall(entry: Any) -> None:
        if entry.action == "CopyImage" and not held:
            held.append(entry.action)
            t.cloud.advance(LEASE_IS_OVER)

    t.cloud.on_request(stall)
    applied = t.apply()
    assert {f.kind for f in applied.plan.findings} >= {"busy"}
    assert len(copies(t)) == 1
    made(t)
    made(t)
    assert copied_everywhere(t, A, B)
