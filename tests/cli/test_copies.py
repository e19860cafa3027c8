"""Copies at the command line: what a plan says of them, and how they are retired, deleted and wanted back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orgshare.focus import EVERYTHING
from orgshare.way.applying import carry_out_plan
from orgshare.way.planning import make_plan
from tests.cli.conftest import Shell
from tests.cli.test_changing import waiting
from tests.support.trial import OTHER_REGION, OWNER, REGION, STRANGER, A, B, policy, world
from tests.way.test_copies import MADE_IN, copies, copy_of, of

Make = Callable[..., Shell]
DELETED = f"deleted, it was the copy in {OTHER_REGION}"


@pytest.fixture
def run(shell: Make) -> Shell:
    """Three images with a copy each; images and copies are shared with two accounts."""
    made = shell(world=world(delays={"image": MADE_IN}), policy=of())
    assert made("apply", "--yes").status == 3
    made.trial.cloud.advance(MADE_IN + 1)
    assert made("apply", "--yes").status == 0
    return made


def approve_all(run: Shell) -> None:
    for hold in run("holds", "--json").json["held"]:
        assert run("approve", hold["id"]).status == 0


def everything(run: Shell) -> dict[str, set[str]]:
    return {image: accounts for image, accounts in run.trial.access().items() if image != "m-gold"}


def test_a_plan_names_what_is_copied_where_and_a_run_names_the_copies(shell: Make) -> None:
    """By the region that they come to, with the rule that asks for them."""
    run = shell(world=world(delays={"image": MADE_IN}), policy=of())
    planned = run("plan")
    assert planned.lines[2] == f"copies to {OTHER_REGION}, owner {OWNER} images"
    assert planned.lines[3:6] == [f"  +  m-{n:<6}  {n:<6}  golden" for n in ("bronze", "gold", "silver")]
    rows = [c for c in run("plan", "--json").json["changes"] if c["action"] == "copy"]
    assert [(c["region"], c["images"], c["targets"]) for c in rows] == [
        (OTHER_REGION, [f"m-{n}"], []) for n in ("bronze", "gold", "silver")
    ]
    applied = run("apply", "--yes", "--json")
    assert applied.status == 3, "copies are under way"
    done = [c for c in applied.json["done"] if c["action"] == "copy"]
    assert [c["targets"] for c in done] == [[copy_of(run.trial, c["images"][0])] for c in done]
    assert {p["entity"] for p in applied.json["pending"]} == set(copies(run.trial))


def test_apply_waits_until_copies_are_made_and_shared_and_reports_each(
    shell: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one run: every image with its own copy, and everybody has both."""
    run = shell(world=world(delays={"image": MADE_IN}), policy=of())
    waiting(run, monkeypatch)
    ran = run("apply", "--yes", "--wait", "600", "--json")
    assert ran.status == 0
    done = [(c["images"], c["targets"]) for c in ran.json["done"] if c["action"] == "copy"]
    assert done == [([f"m-{n}"], [copy_of(run.trial, f"m-{n}")]) for n in ("bronze", "gold", "silver")]
    assert all(accounts == {A, B} for accounts in run.trial.access().values())


def test_who_asks_about_a_copy_is_told_of_what_it_is_one(run: Shell) -> None:
    """And that it is shared like it."""
    copy = copy_of(run.trial, "m-gold")
    said = run("explain", copy, A)
    assert said.lines[0] == "YES"
    assert f"copy      of m-gold in {REGION}, and shared like it" in said.out


def test_retiring_an_image_leaves_its_copies_alone(run: Shell) -> None:
    """They are in use elsewhere, and images of their own."""
    before = everything(run)
    run("retire", "m-gold", "--yes")
    approve_all(run)
    assert run("retire", "m-gold", "--yes").status == 0
    assert run("apply", "--yes").status == 0
    assert (run.trial.access()["m-gold"], everything(run)) == (set(), before)


def test_retiring_an_image_with_its_copies_deletes_them_once_nobody_has_them(run: Shell) -> None:
    """The guard holds first; approved, the same command takes them from everybody and deletes them."""
    copy = copy_of(run.trial, "m-gold")
    first = run("retire", "m-gold", "--copies", "--yes", "--json")
    assert first.status == 3
    (row,) = first.json["copies"]
    assert (row["image"], row["region"], row["deleted"]) == (copy, OTHER_REGION, False)
    assert "held as h-" in row["why"]
    assert run.trial.access()[copy] == {A, B}
    approve_all(run)
    second = run("retire", "m-gold", "--copies", "--yes")
    assert (second.status, second.lines[-1]) == (0, f"{copy}: {DELETED}")
    assert copy not in run.trial.cloud.world().images
    assert run.trial.access()["m-gold"] == set()
    assert len(copies(run.trial)) == 2
    assert run("apply", "--yes").status == 0
    assert len(copies(run.trial)) == 2


def test_what_was_retired_with_its_copies_is_copied_and_shared_again_when_that_is_undone(run: Shell) -> None:
    """One copy again, with everybody who is wanted."""
    run("retire", "m-gold", "--copies", "--yes")
    approve_all(run)
    run("retire", "m-gold", "--copies", "--yes")
    undone = run("retire", "m-gold", "--undo", "--yes", "--json")
    assert (undone.status, undone.json["retired"]["copied_again"]) == (0, [OTHER_REGION])
    run("apply", "--yes")
    run.trial.cloud.advance(MADE_IN + 1)
    run("apply", "--yes")
    assert run.trial.access()["m-gold"] == run.trial.access()[copy_of(run.trial, "m-gold")] == {A, B}
    assert run("plan").status == 0


def test_undoing_before_anything_was_deleted_lets_the_copies_be_shared_again(run: Shell) -> None:
    """The marks of the copies go with that of the image."""
    run("retire", "m-gold", "--copies", "--yes")
    assert run("retire", "m-gold", "--undo", "--yes").status == 0
    assert run("plan").status == 0
    assert run.trial.access()[copy_of(run.trial, "m-gold")] == {A, B}


def test_a_copy_that_somebody_else_shared_is_not_deleted(run: Shell) -> None:
    """It is said who has it."""
    copy = copy_of(run.trial, "m-gold")
    run.trial.grant_by_hand(copy, STRANGER)
    run("retire", "m-gold", "--copies", "--yes")
    approve_all(run)
    ran = run("retire", "m-gold", "--copies", "--yes")
    assert ran.lines[-1].startswith(f"{copy}: not deleted: account {STRANGER}")
    assert run.trial.access()[copy] == {STRANGER}


def test_copies_outlive_their_image_and_can_still_be_retired_by_its_name(run: Shell) -> None:
    """Even when the image itself was deleted."""
    copy = copy_of(run.trial, "m-gold")
    run.trial.patch(grants={"m-gold": []})
    run.trial.patch(images={"m-gold": None})
    run("retire", "m-gold", "--copies", "--yes")
    approve_all(run)
    run("retire", "m-gold", "--copies", "--yes")
    assert copy not in run.trial.cloud.world().images
    assert len(copies(run.trial)) == 2


def test_a_copy_of_which_nobody_knows_whether_it_was_made_is_named_and_deleted_later(shell: Make) -> None:
    """The call that copies got no answer: the copy is there, and a run has to see it first."""
    run = shell(world=world(delays={"image": MADE_IN}), policy=of())
    run.trial.patch(faults=[{"operation": "ecs:CopyImage", "kind": "lost-answer", "every": 1}])
    assert run("apply", "--yes").status == 1
    run.trial.patch(faults=[])
    run.trial.cloud.advance(MADE_IN + 1)
    first = run("retire", "m-gold", "--copies", "--yes", "--json")
    (row,) = first.json["copies"]
    assert (row["image"], row["region"], row["deleted"]) == (copy_of(run.trial, "m-gold"), OTHER_REGION, False)
    assert row["why"].startswith("it was made meanwhile, or may have been")
    approve_all(run)
    for _ in range(2):
        run("retire", "m-gold", "--copies", "--yes")
        approve_all(run)
    assert len(copies(run.trial)) == 2
    assert run.trial.access()["m-gold"] == set()


def test_a_copy_that_another_run_makes_meanwhile_is_named(shell: Make) -> None:
    """It had made its plan before the image was retired, and copies it while that is done."""
    run = shell(world=world(delays={"image": MADE_IN}), policy=of())
    other = run.trial.runtime()
    planned, began = make_plan(other, EVERYTHING), list[bool]()

    def meanwhile(entry: Any) -> None:
        if entry.action == "DescribeImages" and not began:
            began.append(True)
            carry_out_plan(other, planned)

    run.trial.cloud.on_request(meanwhile)
    (row,) = run("retire", "m-gold", "--copies", "--yes", "--json").json["copies"]
    assert (row["region"], row["deleted"]) == (OTHER_REGION, False)
    assert copies(run.trial, "m-gold") == [row["image"]]
    for _ in range(3):
        run.trial.cloud.advance(MADE_IN + 1)
        run("retire", "m-gold", "--copies", "--yes")
        approve_all(run)
    assert (copies(run.trial, "m-gold"), len(copies(run.trial))) == ([], 2)


def test_an_image_without_copies_says_so(shell: Make) -> None:
    """And is retired all the same."""
    run = shell()
    run("apply", "--yes")
    run("retire", "m-gold", "--copies", "--yes")
    approve_all(run)
    ran = run("retire", "m-gold", "--copies", "--yes")
    assert (ran.status, ran.lines[-1]) == (0, "m-gold: no copy of it is known")


def test_a_deployment_that_observes_deletes_no_copy(run: Shell) -> None:
    """Nor does it write that the image is retired."""
    run.trial.write_policy(of(mode="observe"))
    ran = run("retire", "m-gold", "--copies", "--yes")
    assert "mode observe deletes nothing" in ran.out
    assert len(copies(run.trial)) == 3


@pytest.mark.parametrize(
    "arguments",
    [("m-gold", "--copies", "--undo"), ("--shard", f"ecs/{OWNER}/{REGION}", "--copies")],
    ids=["undo", "shard"],
)
def test_copies_go_with_retiring_an_image_only(run: Shell, arguments: tuple[str, ...]) -> None:
    """Any other use is a mistake that changes nothing."""
    before = run.trial.access()
    assert run("retire", *arguments, "--yes").status == 2
    assert run.trial.access() == before


def test_copies_in_a_region_that_the_policy_left_are_told_of_until_a_person_releases_them(run: Shell) -> None:
    """Nobody has them any more, but they are there, and cost: so they are no secret, and a release counts them."""
    shard = f"ecs/{OWNER}/{OTHER_REGION}"
    run.trial.write_policy(policy())
    run("retire", "--shard", shard, "--yes")
    approve_all(run)
    assert run("retire", "--shard", shard, "--yes").status == 0
    assert {image for image, accounts in run.trial.access().items() if not accounts} == set(copies(run.trial))
    assert [f["kind"] for f in run("plan", "--json").json["findings"]] == ["orphaned"]
    released = run("release", shard, "--yes")
    assert released.lines == [f"{shard}: forgot 3 copies; they stay shared"]
    assert run("plan", "--json").json["findings"] == []
    assert len(copies(run.trial)) == 3


def test_a_state_that_was_lost_knows_its_copies_again_after_recovering(run: Shell) -> None:
    """They are found by their tags, and none is made twice."""
    for path in sorted((run.trial.folder / "state").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    recovered: Any = run("init", "--recover", "--json")
    assert (recovered.status, recovered.json["recovered"]["copies"]) == (0, 3)
    run("apply", "--yes")
    assert len(copies(run.trial)) == 3
    assert run("plan").status == 0


def test_what_came_of_retiring_is_asked_where_the_images_are(shell: Make) -> None:
    """The looks after the run read the region of each image, and not every region of the owner."""
    regions = ["cn-beijing", "cn-shanghai", "cn-shenzhen", "us-east-1", "eu-west-1", "eu-central-1"]
    everywhere = world(regions=[REGION, OTHER_REGION, *regions], delays={"image": 0})
    run = shell(world=everywhere, policy=of(regions="all"))
    run("apply", "--yes")
    run("apply", "--yes")
    run("retire", "m-gold", "--copies", "--yes")
    approve_all(run)
    before = run.trial.cloud.calls["resourcesharing:ListResourceShares"]
    assert run("retire", "m-gold", "--copies", "--yes").lines[-1].endswith(DELETED)
    assert run.trial.cloud.calls["resourcesharing:ListResourceShares"] - before == len(regions) + 2 + 2
