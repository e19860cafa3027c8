"""``release``, ``retire`` and ``init --recover``: whose the shares of an orphaned shard, or of a lost state, are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from orgshare.ledger import Ledger
from orgshare.words import Shard
from tests.cli.conftest import Shell
from tests.support.channels import LATER, by_shares, directly
from tests.support.trial import OTHER_REGION, OWNER, PARTNER, REGION, STRANGER, A, B, C, D, E, policy, rule, world

Make = Callable[..., Shell]
IMAGES = ("m-bronze", "m-gold", "m-silver")
FAR = ("m-far-0", "m-far-1", "m-far-2")
HERE, THERE = f"ecs/{OWNER}/{REGION}", f"ecs/{OWNER}/{OTHER_REGION}"
SECOND = "1000000000000003"
NOBODY: dict[str, set[str]] = {image: set() for image in IMAGES}


def recovered(**found: int) -> dict[str, int]:
    """What a state is told that it did not know."""
    return {"shares": 0, "rows": 0, "gone": 0, "copies": 0, **found}


def everywhere(*accounts: str, images: tuple[str, ...] = IMAGES) -> dict[str, set[str]]:
    return {image: set(accounts) for image in images}


def two_regions(owner: str = OWNER) -> dict[str, Any]:
    """The usual images, and three of this owner in another region."""
    document = world()
    document["images"] |= {
        image: {"owner": owner, "region": OTHER_REGION, "name": image, "tags": {"share": "org"}} for image in FAR
    }
    return document


def in_regions(*regions: str, channel: str = "direct", **more: Any) -> dict[str, Any]:
    return policy(owners=[{"account": OWNER, "regions": list(regions)}], rules=[rule(channel=channel)], **more)


def settled(run: Shell) -> None:
    """Applied until nothing is left to do."""
    for _ in range(6):
        if run("apply", "--yes").status == 0 and run("plan").status == 0:
            return
        run.trial.cloud.advance(LATER)
    raise AssertionError(run("plan").out)


@pytest.fixture
def run(shell: Make) -> Shell:
    """A deployment of two regions whose policy has just been cut down to one, by direct grants."""
    made = shell(world=two_regions(), policy=in_regions(REGION, OTHER_REGION))
    settled(made)
    made.trial.write_policy(in_regions(REGION))
    return made


def orphans(run: Shell) -> list[str]:
    """The shards that a sweep calls orphaned."""
    ran = run("apply", "--yes", "--json")
    return [finding["why"].split(", ")[0] for finding in ran.json["findings"] if finding["kind"] == "orphaned"]


def approve_all(run: Shell) -> int:
    """Release everything that is held, as a person would; how many pairs that are."""
    held = run("holds", "--json").json["held"]
    assert [run("approve", hold["id"]).status for hold in held] == [0] * len(held)
    return sum(hold["lost_pairs"] for hold in held)


def ledger(run: Shell, shard: str = THERE) -> Ledger:
    return run.trial.state().read(Shard.parse(shard)).ledger


def test_an_orphaned_shard_is_reported_until_it_is_released(run: Shell) -> None:
    """Every sweep says so and changes nothing there; after a release nothing is said, and what was shared stays so."""
    said = [f"the state knows what was shared in {THERE}"]
    assert (orphans(run), orphans(run)) == (said, said)
    before = run.trial.access()
    ran = run("release", THERE, "--yes")
    assert (ran.status, ran.err, ran.lines) == (0, "", [f"{THERE}: forgot 6 grants; they stay shared"])
    assert orphans(run) == []
    assert run.trial.access() == before == {**everywhere(A, B), **everywhere(A, B, images=FAR)}
    assert run("release", THERE, "--yes").errors == [f"Error: {THERE}: the state knows of nothing that is ours there"]


def test_a_release_is_one_object(run: Shell) -> None:
    """With --json it says how much was forgotten."""
    assert run("release", THERE, "--yes", "--json").json == {"released": {"shard": THERE, "grant": 6}}


def test_rows_of_shares_are_released_too(shell: Make) -> None:
    """Resource shares stay as they are, and nobody looks after them."""
    run = shell(world=two_regions(), policy=in_regions(REGION, OTHER_REGION, channel="auto"))
    settled(run)
    run.trial.write_policy(in_regions(REGION, channel="auto"))
    assert orphans(run)
    released = run("release", THERE, "--yes", "--json").json["released"]
    assert released == {"shard": THERE, "row": 5, "share": 1}
    assert orphans(run) == []
    assert by_shares(run.trial) == {**everywhere(A, B), **everywhere(A, B, images=FAR)}


def test_what_was_taken_away_lately_still_counts_after_a_release(run: Shell) -> None:
    """A shard that is released takes nothing out of what the guard adds up over its window."""
    run.trial.write_policy(in_regions(REGION, OTHER_REGION) | {"rules": [rule(folders=["fd-eu"])]})
    assert run("apply", "--yes").status == 0
    lost = ledger(run).lost
    assert {image: set(accounts) for image, accounts in lost.items()} == everywhere(A, images=FAR)
    run.trial.write_policy(in_regions(REGION))
    run("release", THERE, "--yes")
    assert ledger(run) == Ledger(lost=lost)


@pytest.mark.parametrize("arguments", [["release", HERE], ["retire", "--shard", HERE]])
def test_a_shard_of_the_policy_is_refused(run: Shell, arguments: list[str]) -> None:
    """What the policy still names is looked after, so it is neither released nor retired."""
    before, calls = run.state(), dict(run.trial.cloud.calls)
    ran = run(*arguments, "--yes", "--json")
    why = "the policy names it, so it is looked after; take it out of owners first"
    assert (ran.status, ran.out, ran.errors) == (2, "", [f"Error: {HERE}: {why}"])
    assert (run.state(), run.trial.cloud.calls) == (before, calls)


@pytest.mark.parametrize("command", [["release"], ["retire", "--shard"]])
def test_a_shard_of_all_regions_is_refused(run: Shell, command: list[str]) -> None:
    """Where the policy says «all», every region of the owner is named."""
    run.trial.write_policy(policy(owners=[{"account": OWNER, "regions": "all"}]))
    assert run(*command, THERE, "--yes").status == 2
    assert run.trial.access() == {**everywhere(A, B), **everywhere(A, B, images=FAR)}


@pytest.mark.parametrize("command", [["release"], ["retire", "--shard"]])
def test_an_unknown_shard_is_refused(run: Shell, command: list[str]) -> None:
    """A shard that the state does not know is told, and so is a name that can be none."""
    unknown = f"ecs/{OWNER}/eu-central-1"
    before = run.state()
    ran = run(*command, unknown, "--yes", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors == [f"Error: {unknown}: the state knows of nothing that is ours there"]
    assert run(*command, "nonsense", "--yes").status == 2
    assert run.state() == before


@pytest.mark.parametrize("command", [["release"], ["retire", "--shard"]])
def test_without_a_terminal_yes_is_needed(run: Shell, command: list[str]) -> None:
    """Both ask first, so where nobody can be asked it is a usage error."""
    before = run.state()
    for more in ([], ["--json"]):
        assert run(*command, THERE, *more).status == 2
    assert run.state() == before


def test_retiring_goes_through_the_guard(run: Shell) -> None:
    """Whole audiences are held; approved, the same command ends them, and only there."""
    ran = run("retire", "--shard", THERE, "--yes", "--json")
    assert (ran.status, ran.json["done"]) == (3, [])
    held = {hold["id"] for hold in ran.json["held"]}
    assert run.trial.access() == {**everywhere(A, B), **everywhere(A, B, images=FAR)}
    run("apply", "--yes")
    assert {hold["id"] for hold in run("holds", "--json").json["held"]} == held
    assert approve_all(run) == 6
    ran = run("retire", "--shard", THERE, "--yes")
    assert (ran.status, ran.err) == (0, "")
    assert run.trial.access() == {**everywhere(A, B), **everywhere(images=FAR)}
    assert (ledger(run).grants, orphans(run)) == ({}, [])
    assert run("holds").lines == ["nothing is held"]


def test_retiring_ends_what_resource_shares_give(shell: Make) -> None:
    """Rows of ours are disassociated after the approval, and --wait sees them gone."""
    run = shell(world=two_regions(), policy=in_regions(REGION, OTHER_REGION, channel="auto"))
    settled(run)
    run.trial.write_policy(in_regions(REGION, channel="auto"))
    assert run("retire", "--shard", THERE, "--yes").status == 3
    assert approve_all(run) == 6
    for _ in range(4):
        run("retire", "--shard", THERE, "--yes")
        run.trial.cloud.advance(LATER)
    assert by_shares(run.trial) == {**everywhere(A, B), **everywhere(images=FAR)}
    assert (ledger(run).shares, orphans(run)) == ({}, [])


@pytest.mark.parametrize("unmanaged", ["keep", "adopt", "revoke"])
def test_retiring_leaves_what_others_gave(shell: Make, unmanaged: str) -> None:
    """Grants by hand stay in a shard that is retired, also where the policy revokes those that it does not want."""
    run = shell(world=two_regions(), policy=in_regions(REGION, OTHER_REGION))
    settled(run)
    for image in FAR:
        run.trial.grant_by_hand(image, STRANGER, E)
    safety = {**policy()["safety"], "unmanaged": unmanaged}
    run.trial.write_policy(in_regions(REGION, safety=safety))
    for _ in range(2):
        for _ in range(3):
            run("retire", "--shard", THERE, "--yes")
        approve_all(run)
    run("retire", "--shard", THERE, "--yes")
    assert run.trial.access() == {**everywhere(A, B), **everywhere(STRANGER, E, images=FAR)}


def test_an_owner_that_the_policy_does_not_name_is_retired_through_its_role(shell: Make) -> None:
    """Without --role its images cannot be reached and nothing is done; with it they are ended."""
    arn = f"acs:ram::{SECOND}:role/orgshare"
    document = two_regions(SECOND)
    document["directory"]["members"][SECOND] = {"name": "second", "folder": "root"}
    document["roles"][arn] = {"trusts": [OWNER]}
    own = {"account": OWNER, "regions": [REGION]}
    second = {"account": SECOND, "regions": [OTHER_REGION], "role": arn}
    run = shell(world=document, policy=policy(owners=[own, second]))
    settled(run)
    shard = f"ecs/{SECOND}/{OTHER_REGION}"
    run.trial.write_policy(policy(owners=[own]))
    assert orphans(run) == [f"the state knows what was shared in {shard}"]
    ran = run("retire", "--shard", shard, "--yes")
    assert (ran.status, f"owner {SECOND} has no role" in ran.err) == (2, True)
    assert run("retire", "--shard", shard, "--role", arn, "--yes").status == 3
    assert approve_all(run) == 6
    assert run("retire", "--shard", shard, "--role", arn, "--yes").status == 0
    assert run.trial.access() == {**everywhere(A, B), **everywhere(images=FAR)}
    assert orphans(run) == []


AUTO = policy(rules=[rule(channel="auto")])
GONE = policy(rules=[rule(channel="auto", folders=["fd-test"])])


@pytest.fixture
def auto(shell: Make) -> Shell:
    """Three images in a resource share, and a partner with one by a direct grant."""
    made = shell(policy={**AUTO, "rules": [*AUTO["rules"], rule("partner", {"ids": ["m-gold"]}, partners=[PARTNER])]})
    settled(made)
    return made


def folder(run: Shell) -> Path:
    return run.trial.folder / "state"


def identity(run: Shell) -> str:
    return run.trial.state().beginning.id


def changed_and_approved(run: Shell) -> None:
    """Everybody below prod is to lose what fd-test is to get, and a person agrees."""
    run.trial.write_policy(GONE)
    for _ in range(8):
        run("apply", "--yes")
        approve_all(run)
        run.trial.cloud.advance(LATER)


def test_a_lost_state_is_recovered_from_the_tags(auto: Shell) -> None:
    """The new state has the id of the tags, rows are ours again, and a direct grant is nobody's of ours."""
    before = identity(auto)
    shutil.rmtree(folder(auto))
    assert auto("plan").status == 2
    ran = auto("init", "--recover", "--json")
    assert (ran.status, ran.json["new"], ran.json["recovered"]) == (0, True, recovered(shares=1, rows=5))
    assert identity(auto) == before
    auto.trial.cloud.advance(LATER)
    assert auto("apply", "--yes").status == 0
    assert (by_shares(auto.trial), directly(auto.trial)) == (everywhere(A, B), {**NOBODY, "m-gold": {PARTNER}})
    changed_and_approved(auto)
    assert by_shares(auto.trial) == everywhere(C, D)
    assert directly(auto.trial) == {**NOBODY, "m-gold": {PARTNER}}
    findings = {(f["kind"], f["image"], f["account"]) for f in auto("plan", "--json").json["findings"]}
    assert findings == {("unknown-account", "m-gold", PARTNER)}


def test_recovered_rows_are_not_taken_away_unasked(auto: Shell) -> None:
    """What became ours again leaves only through the guard."""
    shutil.rmtree(folder(auto))
    auto("init", "--recover")
    auto.trial.write_policy(GONE)
    auto.trial.cloud.advance(LATER)
    for _ in range(4):
        ran = auto("apply", "--yes")
        auto.trial.cloud.advance(LATER)
    assert ran.status == 3
    assert all(accounts >= {A, B} for accounts in by_shares(auto.trial).values())


def test_recovery_is_told_in_words(auto: Shell) -> None:
    """The text says what was found, what was forgotten, and whose the rest is."""
    shutil.rmtree(folder(auto))
    assert auto("init", "--recover").lines == [
        f"state file:{folder(auto)}: begun: deployment trial, directory rd-trial",
        "recovered 5 rows and 1 resource share that it did not know; forgot 0 resource shares that the cloud does not "
        "have; direct grants that it does not know are nobody's of ours",
    ]


def test_a_recovery_of_what_is_in_order_changes_nothing(auto: Shell) -> None:
    """On an intact state not one object is written, however often."""
    before = auto.state()
    for _ in range(2):
        ran = auto("init", "--recover", "--json")
        assert (ran.status, ran.json["new"], ran.json["recovered"]) == (0, False, recovered())
    assert auto.state() == before
    assert auto("init", "--recover").lines[0].endswith(": was begun already: deployment trial, directory rd-trial")


def test_a_state_that_is_older_than_the_cloud_takes_nothing_away(auto: Shell) -> None:
    """An older copy does not know the newest share: the run says so, revokes nothing there, and a recovery mends it."""
    trial = auto.trial
    copy = trial.folder / "copy"
    shutil.copytree(folder(auto), copy)
    lab = rule("lab", {"ids": ["m-gold"]}, channel="auto", folders=["fd-test"])
    trial.write_policy({**AUTO, "rules": [*AUTO["rules"], lab]})
    settled(auto)
    wanted = {**everywhere(A, B), "m-gold": {A, B, C, D}}
    assert by_shares(trial) == wanted
    shutil.rmtree(folder(auto))
    shutil.copytree(copy, folder(auto))
    trial.write_policy(AUTO)
    before = {name: trial.cloud.calls[name] for name in trial.cloud.calls if "Describe" not in name}
    for _ in range(3):
        ran = auto("apply", "--yes", "--json")
        assert ran.status == 1
        (why,) = {gap["why"] for gap in ran.json["incomplete"]}
        assert "has the tags of this state, and the state knows nothing of it" in why
        assert why.endswith("run «orgshare init --recover»")
        assert ran.json["done"] == []
        trial.cloud.advance(LATER)
    assert by_shares(trial) == wanted
    assert all(trial.cloud.calls[name] == number for name, number in before.items() if "Disassociate" in name)
    assert auto("init", "--recover", "--json").json["recovered"]["shares"] == 1
    for _ in range(8):
        status = auto("apply", "--yes").status
        approve_all(auto)
        trial.cloud.advance(LATER)
    assert status == 0
    assert by_shares(trial) == everywhere(A, B)


def made_elsewhere(run: Shell, state: str, name: str = "rs-other") -> None:
    """A share of the same deployment that was made for another state."""
    tags = {"orgshare:deployment": "trial", "orgshare:state": state, "orgshare:audience": "x"}
    share = {"owner": OWNER, "region": REGION, "name": name, "images": ["m-gold"], "targets": ["fd-test"], "tags": tags}
    run.trial.patch(resource_shares={name: share})


@pytest.mark.parametrize("lost", [True, False], ids=["the state is lost", "the state is there"])
def test_shares_of_several_states_are_refused(auto: Shell, lost: bool) -> None:
    """Of shares of one deployment that were made for two states nothing is taken over, and both are named."""
    mine = identity(auto)
    made_elsewhere(auto, "another-state")
    if lost:
        shutil.rmtree(folder(auto))
    before = auto.state()
    ran = auto("init", "--recover", "--json")
    assert (ran.status, ran.out) == (2, "")
    (said,) = ran.errors
    assert said.startswith("Error: the resource shares of this deployment were made for 2 states: ")
    assert "another-state (as rs-other)" in said
    assert f"{mine} (as rs-" in said
    assert auto.state() == before


def test_a_state_that_was_begun_anew_is_not_recovered_into(auto: Shell) -> None:
    """Begun anew without --recover, a state has an id of its own: the shares of the lost one are not taken into it."""
    mine = identity(auto)
    shutil.rmtree(folder(auto))
    assert auto("init").status == 0
    before = auto.state()
    ran = auto("init", "--recover", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert f"but the resource shares of this deployment were made for the state {mine};" in ran.err
    assert auto.state() == before


def test_a_share_that_was_deleted_by_hand_is_no_doubt(auto: Shell) -> None:
    """The cloud still calls it deleted, so the run makes another one, with or without a recovery."""
    for recover in (False, True):
        (share,) = (s for s in auto.trial.cloud.world().resource_shares)
        auto.trial.patch(resource_shares={share: None})
        if recover:
            assert auto("init", "--recover", "--json").json["recovered"] == recovered(gone=1)
        for _ in range(4):
            ran = auto("apply", "--yes", "--json")
            assert ran.json["incomplete"] == []
            auto.trial.cloud.advance(LATER)
        assert ran.status == 0
        assert by_shares(auto.trial) == everywhere(A, B)
        assert share not in auto.trial.cloud.world().resource_shares


def test_what_cannot_be_read_whole_is_not_recovered(auto: Shell) -> None:
    """Half of the shares would be a state that is wrong again: then nothing is begun."""
    shutil.rmtree(folder(auto))
    fault = {"operation": "resourcesharing:ListResourceShareAssociations", "kind": "error", "every": 1}
    auto.trial.patch(faults=[fault])
    ran = auto("init", "--recover", "--json")
    assert ran.status == 1
    assert ran.json["error"].startswith("what carries our tags cannot all be read, so nothing was recovered: ")
    assert auto.state() == {}


def test_a_share_that_is_not_listed_stays_known(auto: Shell) -> None:
    """A recovery of a state asks for a share that a listing does not show, and forgets nothing on its silence."""
    before = auto.state()
    empty = {"kind": "empty-list", "every": 1}
    once = {"operation": "resourcesharing:ListResourceShares", "kind": "empty-list", "times": 1}
    auto.trial.patch(faults=[once, {"operation": "resourcesharing:ListResourceShareAssociations", **empty}])
    ran = auto("init", "--recover", "--json")
    assert ran.status == 1
    assert auto.state() == before


def test_a_recovery_finds_a_shard_held(auto: Shell) -> None:
    """A run at work there is left alone; the recovery ends with 1 and says who it is."""
    state, shard = auto.trial.state(), Shard.parse(HERE)
    auto.trial.patch(resource_shares={next(iter(auto.trial.cloud.world().resource_shares)): None})
    clocks = auto.trial.runtime().clocks()
    before = state.read(shard)
    state.take(shard, before, before.ledger, run="other", seconds=300, clocks=clocks)
    ran = auto("init", "--recover")
    assert (ran.status, "run other is at work there" in ran.err) == (1, True)


def test_the_new_state_begins_now(auto: Shell) -> None:
    """It has the old id and a beginning of its own."""
    shutil.rmtree(folder(auto))
    auto.trial.cloud.advance(3600)
    auto("init", "--recover")
    begun = auto.trial.state().beginning.begun
    assert begun == datetime.fromtimestamp(auto.trial.cloud.clock.now(), timezone.utc).replace(microsecond=0)
    assert auto.trial.state().beginning.directory == "rd-trial"
