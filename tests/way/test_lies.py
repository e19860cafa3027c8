"""Readings that are wrong and look right: nothing is revoked, forgotten or taken over on the strength of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from localcloud.faults import FaultRule
from orgshare.alibaba.images import EcsImages
from orgshare.errors import StopRun, TryAgain
from orgshare.focus import EVERYTHING
from orgshare.ledger import Entry
from orgshare.ports import Page
from orgshare.way.applying import Applied, apply
from orgshare.words import Image
from tests.support.trial import OTHER_REGION, OWNER, PARTNER, REGION, A, B, C, D, E, Trial, policy, rule, world
from tests.way.test_rules import everywhere, in_step

Trials = Callable[..., Trial]
GRANTS = "ecs:DescribeImageSharePermission"
IMAGES = "ecs:DescribeImages"
MEMBERS = "resourcemanager:ListAccounts"
DAY = 24 * 3600


def entries(trial: Trial, image: str) -> Mapping[str, Entry]:
    """What the state says of an image."""
    (shard,) = trial.state().shards()
    return trial.state().read(shard).ledger.entries(image)


def with_fault(trial: Trial, operation: str, kind: str, **more: Any) -> Applied:
    """A run during which these calls are answered wrongly."""
    trial.patch(faults=[{"operation": operation, "kind": kind, **(more or {"every": 1})}])
    applied = trial.apply()
    trial.patch(faults=[])
    return applied


def test_permissions_that_read_as_empty_do_not_make_our_grants_a_strangers(trial: Trials) -> None:
    """They are granted again, which changes nothing, and are known by their old SharedTime afterwards."""
    t = trial()
    t.apply()
    t.cloud.advance(DAY)
    with_fault(t, GRANTS, "empty-list")
    t.move(A, "fd-test")
    assert t.apply().plan.findings == ()
    assert t.access() == everywhere(B)
    assert in_step(t)


def test_permissions_that_read_as_empty_a_day_after_nobody_could_read_them_end_no_ownership(trial: Trials) -> None:
    """What was granted and not read back was there all that time; it is asked for again, and known by its old time."""
    t = trial()
    for _ in range(2):
        with_fault(t, GRANTS, "empty-list", every=2)
        t.cloud.advance(25 * 3600)
    t.move(A, "fd-test")
    t.apply()
    t.apply()
    assert t.access() == everywhere(B)


ROWS = "resourcesharing:ListResourceShareAssociations"


@pytest.mark.parametrize("kind", ["empty-list", "truncated-page"])
@pytest.mark.parametrize("every", [2, 3, 4])
def test_rows_of_shares_that_are_not_listed_end_no_ownership(trial: Trials, kind: str, every: int) -> None:
    """The same list lies in run after run: who has left the audience loses the images by our row all the same."""
    t = trial(policy=policy(rules=[rule(accounts=[A, B, C], channel="auto")]))
    t.apply()
    t.cloud.advance(1000)
    assert t.access() == everywhere(A, B, C)
    for _ in range(4):
        with_fault(t, ROWS, kind, every=every)
        t.cloud.advance(1000)
        assert t.access() == everywhere(A, B, C)
    t.write_policy(policy(rules=[rule(accounts=[A, B], channel="auto")]))
    t.apply()
    t.cloud.advance(1000)
    assert t.access() == everywhere(A, B)
    assert in_step(t)


@pytest.mark.parametrize("lies", [1, 2])
def test_permissions_that_read_as_empty_do_not_make_a_persons_grants_ours(trial: Trials, lies: int) -> None:
    """What was there before our intention is somebody else's, though our call was accepted."""
    t = trial(policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    t.begin()
    t.grant_by_hand("m-gold", A, B)
    t.cloud.advance(DAY)
    with_fault(t, GRANTS, "empty-list", times=lies)
    t.move(A, "fd-test")
    assert {(f.kind, f.account) for f in t.apply().plan.findings} == {("unmanaged", A)}
    assert t.access()["m-gold"] == {A, B}


def test_rows_without_a_shared_time_end_no_ownership(trial: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a row says neither that the grant is ours nor that it is not."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    spoil(
        monkeypatch, lambda answer: with_rows(answer, "Accounts", "Account", lambda row: {"AliyunId": row["AliyunId"]})
    )
    for _ in range(3):
        with_fault(t, GRANTS, "missing-field")
    assert t.access() == everywhere(A, B)
    t.apply()
    assert t.access() == everywhere(B)


def test_a_removal_that_a_reading_alone_shows_does_not_end_ownership(trial: Trials) -> None:
    """No answer, a reading that lies, and no reading after it: the grant is still there and still ours."""
    t = trial(policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    t.apply()
    t.move(A, "fd-test")
    t.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "no-answer", "times": 1}])
    runtime = t.runtime()
    shared, readings = runtime.cloud.ecs_images, 0

    def images(shard: Any, **options: Any) -> Any:
        service = shared(shard, **options)
        honest = service.grants

        def grants(image: str, page: int) -> Page[Any]:
            nonlocal readings
            readings += 1
            if readings == 2:
                return Page((), 0)
            if readings == 3:
                t.patch(
                    faults=[{"operation": GRANTS, "kind": "error", "code": "Forbidden.RAM", "status": 403, "every": 1}]
                )
            return honest(image, page)

        service.grants = grants  # type: ignore[method-assign]
        return service

    runtime.cloud.ecs_images = images  # type: ignore[method-assign]
    apply(runtime, EVERYTHING)
    assert t.access()["m-gold"] == {A, B}
    t.patch(faults=[])
    t.apply()
    assert t.access()["m-gold"] == {B}


def test_an_image_that_was_seen_again_has_to_be_absent_twice_anew(trial: Trials) -> None:
    """Two lying listings with an honest one between them end nothing."""
    t = trial()
    t.apply()
    with_fault(t, IMAGES, "empty-list")
    t.apply()
    with_fault(t, IMAGES, "empty-list")
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == everywhere(B)


def test_an_answer_by_id_that_contradicts_its_total_is_no_absence(
    trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A total of one without a row is a reading that failed."""
    t = trial()
    t.apply()
    monkeypatch.setattr(EcsImages, "images", lambda self, page: Page((), 0))
    for _ in range(2):
        applied = with_fault(t, IMAGES, "truncated-page")
        assert [gap.why.partition(":")[0] for gap in applied.plan.incomplete] == ["m-bronze", "m-gold", "m-silver"]
    monkeypatch.undo()
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == everywhere(B)


def test_an_image_that_cannot_be_asked_for_by_its_id_stops_no_other(
    trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing lacks one image and asking for it fails: the others are reconciled."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    without(monkeypatch, "m-gold")
    honest = EcsImages.image

    def image(self: EcsImages, image: str) -> Image | None:
        if image == "m-gold":
            raise TryAgain("throttled", code="Throttling")
        return honest(self, image)

    monkeypatch.setattr(EcsImages, "image", image)
    applied = t.apply()
    assert t.access() == {**everywhere(B), "m-gold": {A, B}}
    assert [gap.why for gap in applied.plan.incomplete] == ["m-gold: throttled"]


def test_a_rule_that_lost_the_image_by_a_reading_needs_a_second_one_also_beside_others(
    trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rules wanted the account; it left the audience of one, and a lie takes the image from the other."""
    rules = [rule("tagged", accounts=[A, B]), rule("named", {"ids": ["m-gold"]}, folders=["fd-prod"])]
    t = trial(policy=policy(rules=rules))
    t.apply()
    t.move(A, "root")
    honest = EcsImages.images
    monkeypatch.setattr(EcsImages, "images", lambda self, page: untagged(honest(self, page)))
    t.apply()
    assert t.access()["m-gold"] == {A, B}
    monkeypatch.undo()
    assert t.apply().done == ()


def test_who_was_a_partner_and_is_a_member_now_is_asked_for_too(trial: Trials) -> None:
    """Joined, and taken out of the partners, before a listing that lacks everybody."""
    t = trial(policy=policy(rules=[rule(folders=["fd-prod"], partners=[PARTNER])]))
    t.apply()
    t.patch(directory={"members": {PARTNER: {"name": "joined", "folder": "fd-prod"}}})
    t.write_policy(policy())
    with_fault(t, MEMBERS, "empty-list")
    assert t.access() == everywhere(A, B, PARTNER)
    assert t.apply().done == ()


def test_a_lying_listing_drops_no_hold(trial: Trials) -> None:
    """What waited for a person still waits when the listing is honest again, though the image has others by then."""
    rules = [rule(), rule("lab", {"tags": {"lab": "x"}}, folders=["fd-test"])]
    t = trial(policy=policy(rules=rules))
    t.apply()
    t.patch(images={"m-gold": {"tags": {"share": None, "lab": "x"}}})
    (hold,) = t.apply().plan.held
    assert t.access()["m-gold"] == {A, B, C, D}
    lied = with_fault(t, MEMBERS, "empty-list")
    assert lied.plan.held == ()
    assert [recorded.id for recorded in t.state().guard().holds] == [hold.id]
    assert t.apply().plan.held == (hold,)
    assert t.access()["m-gold"] == {A, B, C, D}


def test_a_folder_that_could_not_be_read_drops_no_hold(trial: Trials) -> None:
    """A frozen rule comes to no conclusion, so what it would lose keeps waiting."""
    t = trial()
    t.patch(directory={"folders": {"fd-empty": {"name": "empty", "parent": "root"}}})
    t.apply()
    excepting: dict[str, Any] = {"except": {"folders": ["fd-empty"]}}
    t.write_policy(policy(rules=[rule(folders=["fd-test"], **excepting)]))
    (hold,) = t.apply().plan.held
    with_fault(t, "resourcemanager:GetFolder", "error", code="Forbidden.RAM", status=403, every=1)
    assert t.apply().plan.held == (hold,)
    assert t.access() == everywhere(A, B, C, D)


def test_a_departure_that_cannot_be_confirmed_leaves_its_hold(trial: Trials) -> None:
    """Two left and are held; asking for one of them fails once, and both wait as before."""
    limits = {"lost_pairs": 100, "lost_percent": 100, "departed": {"accounts": 1, "percent": 100}}
    t = trial(policy=policy(rules=[rule(folders=["root"])], safety={"hold_when": limits}))
    t.apply()
    t.leave(A, B)
    (hold,) = t.apply().plan.held
    applied = with_fault(t, "resourcemanager:GetAccount", "error", code="Forbidden.RAM", status=403, times=1)
    assert t.access() == everywhere(A, B, C, D, E)
    assert applied.plan.changes == ()
    assert t.apply().plan.held == (hold,)


def test_regions_that_cannot_be_read_do_not_make_a_shard_an_orphan(trial: Trials) -> None:
    """The policy names every region; that they could not be listed is said, with what is lacking, and nothing else."""
    t = trial(policy=policy(owners=[{"account": OWNER, "regions": "all"}]))
    t.patch(regions=[REGION, OTHER_REGION])
    t.apply()
    applied = with_fault(t, "ecs:DescribeRegions", "error", code="Forbidden.RAM", status=403, every=1)
    assert [finding.kind for finding in applied.plan.findings] == ["not-permitted"]
    assert [gap.name for gap in applied.plan.incomplete] == [f"ecs/{OWNER}/*"]


def test_the_management_account_is_no_member_wherever_it_is_listed(trial: Trials) -> None:
    """Root is every member; whether the listing has the management account is not documented."""
    t = trial(world=world(switches={"management_in_lists": True}), policy=policy(rules=[rule(folders=["root"])]))
    t.apply()
    assert t.access() == everywhere(A, B, C, D, E)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (MEMBERS, lambda answer: {**answer, "TotalCount": "six"}),
        (MEMBERS, lambda answer: {**answer, "TotalCount": 10**9}),
        (MEMBERS, lambda answer: {**answer, "Accounts": "none"}),
        (MEMBERS, lambda answer: with_rows(answer, "Accounts", "Account", lambda r: {**r, "ResourceDirectoryPath": 5})),
        ("resourcemanager:GetResourceDirectory", lambda answer: {"ResourceDirectory": "mine"}),
        ("sts:AssumeRole", lambda answer: {"Credentials": {**answer["Credentials"], "Expiration": "soon"}}),
    ],
)
def test_an_organization_in_an_unexpected_form_stops_the_run(
    trial: Trials, monkeypatch: pytest.MonkeyPatch, operation: str, change: Any
) -> None:
    """An error that says what was wrong, and not a crash, nor a reading without end."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    spoil(monkeypatch, change)
    with pytest.raises(StopRun, match="the organization cannot be read"):
        with_fault(t, operation, "missing-field")
    assert t.access() == everywhere(A, B)


def test_a_shared_time_in_an_unexpected_form_does_not_spoil_the_state(
    trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number is kept as text, and the state can be read afterwards."""
    t = trial()
    spoil(monkeypatch, lambda answer: with_rows(answer, "Accounts", "Account", lambda r: {**r, "SharedTime": 5}))
    with_fault(t, GRANTS, "missing-field")
    assert entries(t, "m-gold")[A].shared_time == "5"
    t.apply()


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let every fault of the kind missing-field change answers like this."""
    monkeypatch.setattr(FaultRule, "spoil", lambda _self, answer, _rows="": change(answer))


def with_rows(answer: dict[str, Any], key: str, inner: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    return {**answer, key: {inner: [change(row) for row in answer[key][inner]]}}


def without(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    """Listings that consistently lack one image."""
    honest = EcsImages.images

    def images(self: EcsImages, page: int) -> Page[Image]:
        rows = tuple(row for row in honest(self, page).rows if row.id != image)
        return Page(rows, len(rows))

    monkeypatch.setattr(EcsImages, "images", images)


def untagged(page: Page[Image]) -> Page[Image]:
    return Page(tuple(replace(row, tags=frozenset()) for row in page.rows), page.total)
