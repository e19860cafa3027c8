"""``plan`` and ``apply``: what they print, what becomes of the cloud, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orgshare.errors import ConfigurationError
from orgshare.record.lease import Clocks, Lease, LeaseOf
from orgshare.words import Shard
from tests.cli.conftest import Ran, Shell
from tests.support.trial import (
    LEASE_IS_OVER,
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    Trial,
    policy,
    rule,
    world,
)

Make = Callable[..., Shell]

HEAD = (
    "LOCAL CLOUD http://127.0.0.1:9, directory rd-trial, deployment trial, mode {mode}, "
    f"credentials of acs:ram::{OWNER}:root"
)
PLACE = f", ecs cn-hangzhou, owner {OWNER} images"
WANTED = {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B}}
NOTHING: dict[str, set[str]] = {"m-gold": set(), "m-silver": set(), "m-bronze": set()}


def limits(**hold_when: Any) -> dict[str, Any]:
    """The wide limits of a trial's policy, with some of them changed."""
    wide = {"lost_pairs": 10**6, "lost_percent": 100, "departed": {"accounts": 10**6, "percent": 100}}
    return {"hold_when": {**wide, **hold_when}}


def test_plan_shows_what_would_change_and_changes_nothing(shell: Make) -> None:
    """A plan is printed whole, ends with 3, and leaves the cloud and the state as they were."""
    run = shell()
    state = run.state()
    ran = run("plan")
    assert ran.status == 3
    assert ran.lines == [
        HEAD.format(mode="enforce"),
        "",
        *(
            line
            for name in ("bronze", "gold", "silver")
            for line in (f"m-{name} {name}{PLACE}", f"  + {A}  shop     wanted by rule golden", f"  + {B}  shop-eu", "")
        ),
        "to do: 3 changes of 3 images, + 6 pairs gained, 0 of 6 pairs in step now",
    ]
    assert run.trial.access() == NOTHING
    assert run.state() == state


def test_apply_carries_the_plan_out_and_the_next_plan_is_empty(shell: Make) -> None:
    """After an apply everybody has what the policy says, and both plan and apply find nothing to do."""
    run = shell()
    ran = run("apply", "--yes")
    assert ran.status == 0
    assert "done: 3 of 3 changes, + 6 pairs gained" in ran.lines
    assert run.trial.access() == WANTED
    plan = run("plan")
    assert (plan.status, plan.lines[-1]) == (0, "in step: 3 images, 6 pairs, nothing to do")
    again = run("apply", "--yes", "--json")
    assert (again.status, again.json["changes"], again.json["done"]) == (0, [], [])
    assert run.trial.access() == WANTED


def test_gained_and_lost_are_told_apart(shell: Make) -> None:
    """When an account moves out of the audience and another joins it, the plan shows both for every image."""
    run = shell()
    run("apply", "--yes")
    run.trial.move(B, "fd-test")
    run.trial.move(C, "fd-prod")
    ran = run("apply", "--yes")
    assert ran.lines[2:5] == [
        f"m-bronze bronze{PLACE}",
        f"  + {C}  lab      wanted by rule golden",
        f"  - {B}  shop-eu  1 no longer in the audience of a rule",
    ]
    assert "to do: 6 changes of 3 images, + 3 pairs gained, - 3 pairs lost, 3 of 6 pairs in step now" in ran.lines
    assert run.trial.access() == {"m-gold": {A, C}, "m-silver": {A, C}, "m-bronze": {A, C}}


def test_detail_shows_every_account(shell: Make) -> None:
    """Long lists are counted unless detail asks for all of them."""
    document = world()
    document["directory"]["members"] |= {
        f"10000000000002{n:02}": {"name": f"crowd-{n}", "folder": "fd-prod"} for n in range(40)
    }
    run = shell(world=document)
    assert run("plan").out.count("  + and 34 more\n") == 3
    every = run("plan", "--detail")
    assert every.out.count("\n  + 1") == 3 * 42


def test_apply_without_yes_is_a_usage_error_where_nobody_can_answer(shell: Make) -> None:
    """Without a terminal, or with --json, apply says that it needs --yes before it reads anything."""
    run = shell()
    for arguments, why in (([], "without a terminal to ask in"), (["--json"], "with --json")):
        ran = run("apply", *arguments, input="y\n")
        assert (ran.status, ran.out) == (2, "")
        assert ran.errors == [
            "Usage: orgshare apply [OPTIONS]",
            "Try 'orgshare apply --help' for help.",
            "",
            f"Error: apply asks before it changes anything: {why} it needs --yes.",
        ]
    assert run.trial.cloud.calls == {}
    assert run.trial.access() == NOTHING


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input counts as a terminal."""
    monkeypatch.setattr("orgshare.cli.changing.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))


@pytest.mark.usefixtures("terminal")
def test_a_person_is_asked_and_agrees(shell: Make) -> None:
    """In a terminal apply shows the plan, asks with its numbers, and goes on after a yes."""
    run = shell()
    ran = run("apply", input="y\n")
    assert ran.status == 0
    assert ran.err == "carry out 3 changes: 6 pairs gained, 0 lost? [y/N]: y\n"
    assert "to do: 3 changes of 3 images, + 6 pairs gained, 0 of 6 pairs in step now" in ran.lines
    assert run.trial.access() == WANTED


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_a_person_is_asked_and_refuses(shell: Make, answer: str) -> None:
    """After a no, or no answer, nothing was done and the changes are still due."""
    run = shell()
    state = run.state()
    ran = run("apply", input=answer)
    assert (ran.status, ran.lines[-1]) == (3, "nothing was done")
    assert run.trial.access() == NOTHING
    assert run.state() == state


@pytest.mark.usefixtures("terminal")
def test_nobody_is_asked_when_there_is_nothing_to_do(shell: Make) -> None:
    """A question that changes nothing is not asked."""
    run = shell()
    run("apply", "--yes")
    ran = run("apply", input="")
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.usefixtures("terminal")
def test_nobody_is_asked_in_mode_observe(shell: Make) -> None:
    """Where nothing would be changed, a yes would mean nothing."""
    ran = shell(policy=policy(mode="observe"))("apply", input="")
    assert (ran.status, ran.err) == (3, "")
    assert "mode observe: nothing was changed, apply is plan" in ran.lines


@pytest.mark.usefixtures("terminal")
def test_an_answer_that_took_long_is_checked_against_a_fresh_plan(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """When facts changed while a person thought it over, nothing is done and the difference is said in numbers."""
    run = shell()

    def slowly(*_: object) -> bool:
        run.trial.leave(B)
        return True

    times = iter([0.0, 61.0])
    monkeypatch.setattr("orgshare.cli.changing.time", SimpleNamespace(monotonic=lambda: next(times)))
    monkeypatch.setattr("orgshare.cli.running.Terminal.ask", slowly)
    ran = run("apply")
    assert ran.status == 2
    assert ran.errors == [
        "Error: the plan above is not what is due now: then 3 changes (6 gained, 0 lost, 0 held), "
        "now 3 changes (3 gained, 0 lost, 0 held); nothing was done; make the plan anew and read it"
    ]
    assert run.trial.access() == NOTHING


@pytest.mark.usefixtures("terminal")
def test_an_answer_that_took_long_is_carried_out_if_nothing_changed(
    shell: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person may think it over as long as the plan stays the same."""
    times = iter([0.0, 6100.0, 6100.0, 6100.0])
    monkeypatch.setattr("orgshare.cli.changing.time", SimpleNamespace(monotonic=lambda: next(times)))
    run = shell()
    assert run("apply", input="y\n").status == 0
    assert run.trial.access() == WANTED


def test_a_plan_file_is_carried_out_if_it_is_still_what_is_due(shell: Make, tmp_path: Path) -> None:
    """The file has the plan and its selection, and apply does exactly that."""
    run = shell()
    file = tmp_path / "plan.json"
    ran = run("plan", "--image", "m-gold", "--image", "m-silver", "--out", str(file), "--json")
    saved = json.loads(file.read_text())
    assert saved.pop("selection") == {"owners": [], "regions": [], "images": ["m-gold", "m-silver"], "rules": []}
    assert saved == ran.json
    assert run("apply", "--plan", str(file), "--yes").status == 0
    assert run.trial.access() == {**WANTED, "m-bronze": set()}


def test_a_plan_file_that_is_not_what_is_due_does_nothing(shell: Make, tmp_path: Path) -> None:
    """When the cloud changed since, the difference is said in numbers, and nothing is done."""
    run = shell()
    file = tmp_path / "plan.json"
    run("plan", "--out", str(file))
    run.trial.move(C, "fd-prod")
    ran = run("apply", "--plan", str(file), "--yes")
    assert ran.status == 2
    assert ran.errors == [
        f"Error: {file}: the plan is not what is due now: then 3 changes (6 gained, 0 lost, 0 held), "
        "now 3 changes (9 gained, 0 lost, 0 held); nothing was done; make the plan anew and read it"
    ]
    assert run.trial.access() == NOTHING


def test_a_plan_file_keeps_its_selection(shell: Make, tmp_path: Path) -> None:
    """Another SELECT beside a plan file is refused, the same one is not."""
    run = shell()
    file = tmp_path / "plan.json"
    run("plan", "--image", "m-gold", "--out", str(file))
    other = run("apply", "--plan", str(file), "--image", "m-silver", "--yes")
    assert other.status == 2
    assert other.errors[-1] == (
        "Error: The plan file was made for another selection: leave SELECT out, or give the same."
    )
    assert run.trial.access() == NOTHING
    assert run("apply", "--plan", str(file), "--image", "m-gold", "--yes").status == 0
    assert run.trial.access() == {**NOTHING, "m-gold": {A, B}}


def test_a_plan_file_of_another_deployment_is_refused(shell: Make, tmp_path: Path) -> None:
    """Equal digests are not enough: a plan belongs to its deployment and its organization."""
    run = shell()
    file = tmp_path / "plan.json"
    run("plan", "--out", str(file))
    document = json.loads(file.read_text())
    for key, there in (("deployment", "trial"), ("directory", "rd-trial")):
        file.write_text(json.dumps({**document, key: "other"}))
        ran = run("apply", "--plan", str(file), "--yes")
        assert (ran.status, ran.errors) == (
            2, [f"Error: {file}: the plan is for {key} other, not for {there}; nothing was done"]
        )  # fmt: skip
    assert run.trial.access() == NOTHING


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "not a plan: Input data was truncated; expected a file of plan --out"),
        ("{}", "not a plan: Object missing required field `schema`; expected a file of plan --out"),
        ('{"schema": 2}', "not a plan: Invalid enum value 2 - at `$.schema`; expected a file of plan --out"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(shell: Make, tmp_path: Path, text: str, error: str) -> None:
    """A file that is not a plan is an error in one line, and nothing is read from the cloud."""
    run = shell()
    file = tmp_path / "plan.json"
    file.write_text(text)
    ran = run("apply", "--plan", str(file), "--yes")
    assert (ran.status, ran.out, ran.errors) == (2, "", [f"Error: {file}: {error}"])
    assert run.trial.cloud.calls == {}


def test_a_plan_that_cannot_be_written_is_an_error(shell: Make, tmp_path: Path) -> None:
    """A folder that does not exist is named, and no report is printed that would look like success."""
    file = tmp_path / "nowhere" / "plan.json"
    ran = shell()("plan", "--json", "--out", str(file))
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors[-1] == f"Error: {file}: cannot be written: No such file or directory; nothing was done"


@pytest.mark.parametrize(
    ("select", "images"),
    [
        (["--image", "m-gold"], {"m-gold"}),
        (["--image", "m-gold", "--image", "m-far"], {"m-gold", "m-far"}),
        (["--region", REGION], {"m-gold", "m-silver", "m-bronze"}),
        (["--region", OTHER_REGION], {"m-far"}),
        (["--region", REGION, "--region", OTHER_REGION], {"m-gold", "m-silver", "m-bronze", "m-far"}),
        (["--rule", "one"], {"m-gold"}),
        (["--rule", "one", "--rule", "rest"], {"m-gold", "m-silver", "m-bronze", "m-far"}),
        (["--rule", "rest", "--region", REGION], {"m-silver", "m-bronze"}),
        (["--owner", OWNER, "--image", "m-silver"], {"m-silver"}),
        (["--image", "m-gold", "--rule", "rest"], set()),
    ],
)
def test_select_narrows_what_is_changed(shell: Make, select: list[str], images: set[str]) -> None:
    """Kinds of SELECT narrow each other, several of a kind are alternatives, and the rest is left alone."""
    document = world()
    document["images"]["m-far"] = {**document["images"]["m-gold"], "name": "far", "region": OTHER_REGION}
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    rules = [rule("one", {"name": "gold"}), rule("rest", {"name": ["silver", "bronze", "far"]})]
    run = shell(world=document, policy=policy(owners=owners, rules=rules))
    ran = run("apply", "--yes", *select)
    assert ran.status == 0
    assert {image for image, accounts in run.trial.access().items() if accounts} == images


def test_all_regions_can_be_selected(shell: Make) -> None:
    """With regions: all the regions of the account are known, and others are not."""
    run = shell(policy=policy(owners=[{"account": OWNER, "regions": "all"}]))
    run.trial.patch(regions=[REGION, OTHER_REGION])
    assert run("apply", "--yes", "--region", REGION).status == 0
    assert run.trial.access() == WANTED
    ran = run("plan", "--region", "cn-nowhere")
    assert (ran.status, ran.errors) == (
        2, [f"Error: --region cn-nowhere: the policy has no such region; it has {OTHER_REGION}, {REGION}"]
    )  # fmt: skip


def test_observe_makes_apply_a_plan(shell: Make) -> None:
    """In mode observe apply changes neither cloud nor state, says so, and ends as plan does."""
    run = shell(policy=policy(mode="observe"))
    state = run.state()
    ran = run("apply", "--yes")
    assert ran.status == run("plan").status == 3
    assert "mode observe: nothing was changed, apply is plan" in ran.lines
    assert ran.lines[0] == HEAD.format(mode="observe")
    assert run.trial.access() == NOTHING
    assert run.state() == state


def test_a_refusal_is_reported_and_counts_only_when_strict(shell: Make) -> None:
    """A deprecated image is named as refused, the others are served, and --strict makes that a failure."""
    document = world()
    document["images"]["m-silver"]["status"] = "Deprecated"
    run = shell(world=document)
    assert run("plan").status == 3
    assert run("plan", "--strict").status == 1
    ran = run("apply", "--yes")
    assert ran.status == 0
    assert run.trial.access() == {**WANTED, "m-silver": set()}
    assert run("plan").status == 0
    assert run("apply", "--yes", "--strict").status == 1


def test_what_is_held_waits_while_additions_go_on(shell: Make) -> None:
    """Too many losses are held with their numbers, additions are made, and apply ends with 3."""
    run = shell(policy=policy(rules=[rule(folders=["root"])], safety=limits(lost_pairs=5)))
    run("apply", "--yes")
    everybody = {A, B, C, D, E}
    run.trial.write_policy(policy(rules=[rule(accounts=[A, B, C], partners=[PARTNER])], safety=limits(lost_pairs=5)))
    ran = run("apply", "--yes")
    assert ran.status == 3
    assert any("6 pairs would lose access, more than 5 (safety.hold_when.lost_pairs)" in line for line in ran.lines)
    assert run.trial.access() == dict.fromkeys(WANTED, everybody | {PARTNER})
    assert run("plan").status == 3
    (held,) = run("holds", "--json").json["held"]
    assert run("approve", held["id"][:5]).status == 0
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {image: {A, B, C, PARTNER} for image in WANTED}


def test_one_failing_image_does_not_stop_the_others(shell: Make) -> None:
    """An image whose calls fail is named with its cause, n of m is told, and the others are served."""
    document = world()
    document["images"]["m-far"] = {**document["images"]["m-gold"], "name": "far", "region": OTHER_REGION}
    run = shell(world=document, policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    run.trial.patch(
        faults=[
            {"operation": "ecs:ModifyImageSharePermission", "region": OTHER_REGION, "kind": "no-answer", "every": 1}
        ]
    )
    ran = run("apply", "--yes")
    assert ran.status == 1
    assert "done: 3 of 4 changes, + 6 pairs gained, 1 failed" in ran.lines
    assert any(line.startswith("  m-far far: grant for 2 accounts: ") for line in ran.lines)
    assert run.trial.access() == {**WANTED, "m-far": set()}


def test_a_region_that_cannot_be_read_is_a_failure_and_the_others_go_on(shell: Make) -> None:
    """A region whose listing fails is named as incomplete, and what could be read is carried out."""
    run = shell(policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    run.trial.patch(faults=[{"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}])
    ran = run("apply", "--yes")
    assert ran.status == 1
    assert any(line.startswith(f"  ecs/{OWNER}/{OTHER_REGION}  ecs:DescribeImages: ") for line in ran.lines)
    assert run.trial.access() == WANTED


def test_a_revoke_that_the_cloud_refuses_is_a_failure(shell: Make) -> None:
    """A grant that cannot be taken away is named, the others are done, and apply ends with 1."""
    run = shell()
    run("apply", "--yes")
    run.trial.patch(images={"m-gold": {"status": "Deprecated"}}, switches={"deprecated_removal": "error"})
    run.trial.move(B, "fd-test")
    ran = run("apply", "--yes", "--json")
    assert ran.status == 1
    assert [(f["kind"], f["image"], f["account"]) for f in ran.json["findings"]] == [("cannot-revoke", "m-gold", B)]
    assert run.trial.access() == {"m-gold": {A, B}, "m-silver": {A}, "m-bronze": {A}}


def test_a_selection_is_of_an_owner_and_its_own_regions(shell: Make) -> None:
    """A region of one owner is not a region of another."""
    owners = [
        {"account": OWNER, "regions": [REGION]},
        {"account": E, "regions": [OTHER_REGION], "role": f"acs:ram::{E}:role/orgshare"},
    ]
    document = world()
    document["roles"][f"acs:ram::{E}:role/orgshare"] = {"trusts": [OWNER]}
    run = shell(world=document, policy=policy(owners=owners))
    ran = run("plan", "--owner", OWNER, "--region", OTHER_REGION)
    assert (ran.status, ran.errors) == (
        2, [f"Error: --region {OTHER_REGION}: the policy has no such region of {OWNER}; it has {REGION}"]
    )  # fmt: skip
    assert run("plan", "--owner", E, "--region", OTHER_REGION).status == 0
    assert run("apply", "--yes", "--region", OTHER_REGION, "--region", REGION).status == 0
    assert run.trial.access() == WANTED


def test_an_image_that_may_be_in_an_unreadable_region_is_not_called_unknown(shell: Make) -> None:
    """Where a region could not be read, an image that was not found elsewhere may be there: 1, and not 2."""
    run = shell(policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    run.trial.patch(faults=[{"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}])
    for arguments in (["plan", "--image", "m-nope"], ["status", "--image", "m-nope"], ["explain", "m-nope", A]):
        assert run(*arguments).status == 1
    assert (
        run("explain", "m-nope", A)
        .errors[-1]
        .startswith(
            f"Error: image m-nope was not found, and not everything could be read: ecs/{OWNER}/{OTHER_REGION}: "
        )
    )
    assert run("explain", "m-gold", A).status == 0


def test_a_hand_made_grant_is_reported_and_left(shell: Make) -> None:
    """A stranger's grant is a finding of every plan, and no apply removes it."""
    document = world()
    document["grants"] = {"m-gold": [STRANGER, C]}
    run = shell(world=document)
    ran = run("apply", "--yes")
    assert ran.status == 0
    why = "neither the organization nor the policy knows this account, and it can use the image"
    assert f"  unknown-account  m-gold  {STRANGER}       {why}" in ran.lines
    assert run.trial.access()["m-gold"] == {A, B, C, STRANGER}


def hold(trial: Trial, run: str) -> Lease:
    """The shard, held by another run."""
    shard, state = Shard("ecs", OWNER, REGION), trial.begin()
    clocks = Clocks(trial.now, trial.cloud.clock.now)
    before = state.read(shard)
    return state.take(shard, before, before.ledger, run=run, seconds=300, clocks=clocks)


def test_another_writer_makes_the_run_busy(shell: Make) -> None:
    """A shard that somebody else writes to is left to them, and apply ends with 3."""
    run = shell()

    hold(run.trial, "r-other")
    ran = run("apply", "--yes", "--json")
    assert ran.status == 3
    assert [finding["kind"] for finding in ran.json["findings"]] == ["busy"]
    assert ran.json["done"] == []
    assert run.trial.access() == NOTHING


class Waiting:
    """A clock for ``--wait`` whose sleep moves the local cloud's time."""

    def __init__(self, run: Shell, then: Callable[[], object] = lambda: None) -> None:
        self._run, self._then, self._now = run, then, 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds
        self._run.trial.cloud.advance(seconds)
        self._then()


def waiting(run: Shell, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object] = lambda: None) -> Waiting:
    clock = Waiting(run, then)
    monkeypatch.setattr("orgshare.cli.changing.time", clock)
    return clock


def test_what_is_not_listed_yet_is_pending(shell: Make) -> None:
    """Grants that the cloud accepted and does not list yet make apply end with 3."""
    run = shell()
    run.trial.patch(delays={"share": 10})
    ran = run("apply", "--yes")
    assert ran.status == 3
    assert f"  m-gold/{A}    accepted, not listed yet  since 2026-11-21 12:00 UTC" in ran.lines
    assert run.trial.access() == WANTED


def test_wait_goes_on_until_nothing_is_pending(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --wait apply looks again, in growing pauses, until everything is listed, and reports it as one run."""
    run = shell()
    run.trial.patch(delays={"share": 10})
    clock = waiting(run, monkeypatch)
    ran = run("apply", "--yes", "--wait", "600", "--json")
    assert ran.status == 0
    assert ran.json["pending"] == []
    assert (len(ran.json["changes"]), len(ran.json["done"])) == (3, 3)
    assert clock.slept == [1.0, 2.0, 4.0, 8.0]
    assert run.trial.access() == WANTED


def test_wait_gives_up_at_its_end(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over, what is still pending is said, and the end is 3."""
    run = shell()
    run.trial.patch(delays={"share": 500})
    clock = waiting(run, monkeypatch)
    ran = run("apply", "--yes", "--wait", "5", "--json")
    assert (ran.status, len(ran.json["pending"])) == (3, 6)
    assert clock.slept == [1.0, 2.0, 2.0]


def test_wait_waits_for_another_writer(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that was busy at first is done when the other is gone."""
    run = shell()
    other = hold(run.trial, "r-other")
    waiting(run, monkeypatch, lambda: other.release(other._ledger))
    ran = run("apply", "--yes", "--wait", "60", "--json")
    assert (ran.status, ran.json["findings"], len(ran.json["done"])) == (0, [], 3)
    assert run.trial.access() == WANTED


@pytest.mark.usefixtures("terminal")
def test_wait_does_nothing_that_nobody_agreed_to(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes due while waiting is not carried out on the strength of an earlier yes."""
    run = shell()
    run.trial.patch(delays={"share": 10})
    waiting(run, monkeypatch, lambda: run.trial.move(C, "fd-prod"))
    ran = run("apply", "--wait", "60", input="y\n")
    assert ran.status == 3
    assert ran.errors[-1] == "new changes are due, which nobody agreed to; apply again to see them"
    assert run.trial.access() == WANTED


def test_wait_with_yes_carries_out_what_became_due(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --yes everything that is due while waiting is done, and the report has all of it."""
    run = shell()
    run.trial.patch(delays={"share": 10})
    waiting(run, monkeypatch, lambda: run.trial.move(C, "fd-prod"))
    ran = run("apply", "--yes", "--wait", "60", "--json")
    assert ran.status == 0
    assert [(c["images"], c["accounts"], c["gained"]) for c in ran.json["done"]] == [
        ([image], [A, B, C], 3) for image in ("m-bronze", "m-gold", "m-silver")
    ]
    assert run.trial.access() == {image: {A, B, C} for image in WANTED}


def test_wait_keeps_its_report_when_it_cannot_read_any_more(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure while waiting ends with 1, and what was done before is still reported."""
    run = shell()
    run.trial.patch(delays={"share": 10})
    fault = [{"operation": "resourcemanager:ListAccounts", "kind": "error", "every": 1}]
    waiting(run, monkeypatch, lambda: run.trial.patch(faults=fault))
    ran = run("apply", "--yes", "--wait", "60", "--json")
    assert ran.status == 1
    assert len(ran.json["done"]) == 3
    assert [list(row) for row in ran.json["incomplete"]] == [["rule", "why"]]
    assert ran.errors[-1].startswith("Error: while waiting: the organization cannot be read: ")


def test_a_state_that_fails_after_the_first_call_is_not_called_nothing_done(
    shell: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the state cannot be written any more after calls were made, the status is 1 and never 2."""
    run = shell()

    release = LeaseOf.release

    def full(*_: object, **__: object) -> None:
        raise ConfigurationError("state: cannot write there: No space left on device")

    monkeypatch.setattr(LeaseOf, "release", full)
    ran = run("apply", "--yes", "--json")
    assert ran.status == 1
    assert ran.json == {"error": "state: cannot write there: No space left on device"}
    assert run.trial.access() == WANTED
    monkeypatch.setattr(LeaseOf, "release", release)
    run.trial.cloud.advance(LEASE_IS_OVER)
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == WANTED


def test_an_interruption_is_one_line(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 1 and says that the next run finishes what was begun."""

    def interrupted(*_: object) -> Ran:
        raise KeyboardInterrupt

    monkeypatch.setattr("orgshare.cli.changing.carry_out_plan", interrupted)
    ran = shell()("apply", "--yes")
    assert ran.status == 1
    assert ran.errors == [
        "Error: interrupted: calls under way were ended in order; what was begun is in the state, "
        "the next run finishes it"
    ]
