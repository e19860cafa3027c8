"""The directory channel from the command line: sharing, waiting, changing channel, and asking who has what and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.cli.test_changing import waiting
from tests.support.trial import MANAGEMENT, OWNER, PARTNER, REGION, A, B, C, D, E, policy, rule, world

Make = Callable[..., Shell]

IMAGES = ("m-bronze", "m-gold", "m-silver")
PLACE = f", ecs {REGION}, owner {OWNER} images"
AUTO = policy(rules=[rule(channel="auto"), rule("deal", {"name": "gold"}, partners=[PARTNER], channel="auto")])
SETTLE = 15 * 60 + 1


def through(run: Shell) -> dict[str, dict[str, set[str]]]:
    """Image -> channel -> accounts, as the oracle says."""
    return {
        image: {channel: set(accounts) for channel, accounts in ways.items() if accounts}
        for image, ways in run.trial.cloud.channels().items()
    }


def settled(run: Shell) -> None:
    """Let the members have been in their places for long enough."""
    run("apply", "--yes")
    run.trial.cloud.advance(SETTLE)


@pytest.fixture
def run(shell: Make) -> Shell:
    """Everything for prod by the directory, gold for a partner as well; associations take a minute."""
    return shell(world=world(delays={"association": 60}), policy=AUTO)


BY_DIRECTORY = {image: {"directory": {A, B}} for image in IMAGES} | {
    "m-gold": {"directory": {A, B}, "direct": {PARTNER}}
}


def test_plan_shows_the_share_to_be_made(run: Shell) -> None:
    """A plan tells the new share with its images and targets, changes nothing, and ends with 3."""
    ran = run("plan")
    assert ran.status == 3
    assert ran.lines[2:12] == [
        f"new resource share{PLACE}",
        "  + m-bronze  image   bronze  wanted by rules deal, golden",
        "  + m-gold    image   gold",
        "  + m-silver  image   silver",
        "  + fd-eu     target",
        "  + fd-prod   target",
        "  + 6 pairs gained",
        "",
        f"m-gold gold{PLACE}",
        f"  + {PARTNER}  wanted by rule deal",
    ]
    assert ran.lines[-1].endswith("+ 7 pairs gained, 0 of 7 pairs in step now")
    assert through(run) == {}


def test_change_rows_are_the_contracts(run: Shell) -> None:
    """Each change of a share has its images and targets, and those of a run the id of the share."""
    keys = [
        "action", "service", "owner", "region", "images", "accounts", "targets", "share", "rules", "gained", "lost",
        "why",
    ]  # fmt: skip
    rows = run("plan", "--json").json["changes"]
    assert [list(row) for row in rows] == [keys] * len(rows)
    assert [row["action"] for row in rows] == ["create-share", "associate", "grant"]
    fill = rows[1]
    assert (fill["images"], fill["targets"], fill["share"], fill["gained"]) == (
        list(IMAGES), ["fd-eu", "fd-prod"], "", 6,
    )  # fmt: skip
    done = run("apply", "--yes", "--json").json["done"]
    assert [row["share"][:3] for row in done] == ["rs-", ""]


def test_what_is_under_way_ends_with_3(run: Shell) -> None:
    """An apply that leaves associations under way says which, and the next one has nothing to do but to wait."""
    first = run("apply", "--yes", "--json")
    assert (first.status, bool(first.json["pending"])) == (3, True)
    run.trial.cloud.advance(61)
    second = run("apply", "--yes", "--json")
    assert second.status == 3
    assert {row["status"] for row in second.json["pending"]} == {"Associating"}
    third = run("apply", "--yes", "--json")
    assert (third.status, third.json["changes"], third.json["done"]) == (3, [], [])
    assert [list(row) for row in third.json["pending"]] == [["share", "entity", "status", "since"]] * 5
    assert run("plan").status == 0
    run.trial.cloud.advance(61)
    assert run("apply", "--yes").status == 0
    assert through(run) == BY_DIRECTORY


def test_wait_goes_on_until_every_association_stands(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --wait one command makes the share, fills it and sees it stand; the report has all of it."""
    clock = waiting(run, monkeypatch)
    ran = run("apply", "--yes", "--wait", "600", "--json")
    assert (ran.status, ran.json["pending"]) == (0, [])
    assert sum(clock.slept) < 200
    assert through(run) == BY_DIRECTORY
    done = [row for row in ran.json["done"] if row["action"] == "associate"]
    assert sorted(image for row in done for image in row["images"]) == list(IMAGES)
    assert len(ran.json["done"]) == len(ran.json["changes"])
    plan = run("plan")
    assert (plan.status, plan.lines[-1]) == (0, "in step: 3 images, 7 pairs, nothing to do")


def test_wait_that_ends_too_early_says_what_is_under_way(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over, what is under way is told, and the end is 3."""
    waiting(run, monkeypatch)
    ran = run("apply", "--yes", "--wait", "90")
    assert ran.status == 3
    assert "under way" in ran.lines
    assert any("m-gold gold  " in line and "Associating  since 2026-11-21 12:01" in line for line in ran.lines)


def test_a_plan_file_with_shares_is_carried_out_to_its_end(
    run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filling the share that a plan file made is what was agreed to, though the share has an id only now."""
    file = tmp_path / "plan.json"
    run("plan", "--out", str(file))
    waiting(run, monkeypatch)
    ran = run("apply", "--plan", str(file), "--yes", "--wait", "600")
    assert (ran.status, ran.err) == (0, "")
    assert through(run) == BY_DIRECTORY


@pytest.mark.parametrize(
    "change",
    [
        {"images": {"m-iron": {"owner": OWNER, "region": REGION, "name": "iron", "tags": {"share": "org"}}}},
        {"directory": {"folders": {"fd-cn": {"name": "cn", "parent": "fd-prod"}}}},
    ],
    ids=["an image more", "a folder more"],
)
def test_the_digest_covers_images_and_targets(run: Shell, tmp_path: Path, change: dict[str, Any]) -> None:
    """A plan file is not carried out when another image or another target would join a share."""
    file = tmp_path / "plan.json"
    run("plan", "--out", str(file))
    run.trial.patch(**change)
    ran = run("apply", "--plan", str(file), "--yes")
    assert ran.status == 2
    assert "the plan is not what is due now" in ran.errors[0]
    assert through(run) == {}


def test_the_digest_covers_the_share(shell: Make, tmp_path: Path) -> None:
    """A plan to fill a new share is not the plan to fill another one."""
    made = shell(policy=AUTO)
    file = tmp_path / "plan.json"
    made("plan", "--out", str(file))
    before = json.loads(file.read_text())["digest"]
    made.trial.patch(faults=[{"operation": "resourcesharing:AssociateResourceShare", "kind": "error", "every": 1}])
    assert made("apply", "--yes").status == 1
    made.trial.patch(faults=[])
    assert made("plan", "--json").json["digest"] != before
    assert made("apply", "--plan", str(file), "--yes").status == 2


def test_a_double_share_is_told_and_resolved(shell: Make) -> None:
    """From direct grants to the directory each step says what goes and what it waits for, and one channel is left."""
    made = shell(world=world(delays={"association": 60}), policy=policy())
    settled(made)
    made.trial.write_policy(policy(rules=[rule(channel="auto")]))
    said = made("explain", "m-gold", A)
    assert (said.lines[0], "channel   direct" in said.lines) == ("YES", True)
    assert any("its direct grant stays until that is sure to reach it" in line for line in said.lines)
    made("apply", "--yes")
    made.trial.cloud.advance(61)
    made("apply", "--yes")
    (ahead,) = (line for line in made("explain", "m-gold", A).lines if line.startswith("next"))
    assert ahead.startswith("next      double-shared: its direct grant goes once resource share rs-")
    made.trial.cloud.advance(61)
    said = made("explain", "m-gold", A)
    assert "channel   direct and directory" in said.lines
    (ahead,) = (line for line in said.lines if line.startswith("next"))
    assert ahead.startswith("next      double-shared: the next apply revokes its direct grant; resource share rs-")
    rows = [line.split()[0] for line in made("who", "m-gold").lines if line.startswith("    ")]
    assert rows.count(A) == 2
    assert made("status").lines[-1] == "3 images, 6 of 6 pairs in step (6 by directory, 6 directly)"
    assert made("apply", "--yes").status == 0
    assert through(made) == {image: {"directory": {A, B}} for image in IMAGES}
    assert made("status").lines[-1] == "3 images, 6 of 6 pairs in step (6 by directory)"


def hands() -> dict[str, Any]:
    """A world with an image that no rule selects, and a share made by hand with it, with gold and with a member."""
    document = world()
    document["images"]["m-free"] = {**document["images"]["m-gold"], "name": "free", "tags": {}}
    document["resource_shares"] = {
        "rs-hand1": {
            "owner": OWNER, "region": REGION, "name": "by-hand", "images": ["m-gold", "m-free"],
            "targets": ["fd-test", E],
        }
    }  # fmt: skip
    return document


def test_questions_agree_with_the_oracle_through_every_channel(shell: Make) -> None:
    """For every image and account explain, who and status say what the oracle says, by hand-made shares too."""
    made = shell(world=hands(), policy=AUTO)
    settled(made)
    access = {(row["image"], row["account"]): row["channels"] for row in made.trial.cloud.access()}
    assert {tuple(ways) for ways in access.values()} == {("direct",), ("directory",)}
    for image in (*IMAGES, "m-free"):
        listed = {row["account"]: row["channels"] for row in made("who", image, "--json").json["access"]}
        assert listed == {account: ways for (of, account), ways in access.items() if of == image}
        for account in (A, B, C, D, E, PARTNER, OWNER, MANAGEMENT):
            answer = made("explain", image, account, "--json").json
            assert answer["channels"] == access.get((image, account), []), (image, account)
            assert answer["has"] == ((image, account) in access or account == OWNER)
    status = {
        (row["image"], each["account"]): each["channels"]
        for row in made("status", "--json").json["images"]
        for each in row["access"]
    }
    assert status == {pair: ways for pair, ways in access.items() if pair[0] != "m-free"}


def test_a_share_made_by_hand_is_told_for_an_image_that_no_rule_selects(shell: Make) -> None:
    """Who can use an image that orgshare has nothing to do with is told from the shares of others."""
    made = shell(world=hands(), policy=AUTO)
    settled(made)
    since = "since 2026-11-21T12:00:00Z"
    assert made("who", "m-free").lines == [
        f"m-free free{PLACE}",
        "3 accounts can use it",
        "  directory",
        f"    resource share rs-hand1 by-hand, by somebody else, through account {E}, {since}",
        f"      {E}  office",
        f"    resource share rs-hand1 by-hand, by somebody else, through folder fd-test, {since}",
        f"      {C}  lab",
        f"      {D}  lab-2",
    ]
    assert made("explain", "m-free", C).lines[3:6] == [
        "rule      no rule selects the image",
        "channel   directory",
        "evidence  resource share rs-hand1 by-hand, made by somebody else, reaches it through folder fd-test " + since,
    ]
    assert made("who", "--account", E).lines[1:4] == [
        "  directory",
        "    resource share rs-hand1 by-hand, by somebody else, through the account itself",
        f"      m-gold  gold  ecs {REGION}  owner {OWNER}",
    ]


def test_managed_is_what_anything_of_ours_gives(shell: Make) -> None:
    """In status a pair is managed if a grant or a share of ours gives it, and not if only others do."""
    made = shell(world=hands(), policy=AUTO)
    settled(made)
    gold = next(row for row in made("status", "--json").json["images"] if row["image"] == "m-gold")
    assert {row["account"]: row["managed"] for row in gold["access"]} == {
        A: True, B: True, PARTNER: True, C: False, D: False, E: False,
    }  # fmt: skip
    assert gold["in_step"]


def test_sharing_that_is_not_enabled_is_refused_or_made_up_for(shell: Make) -> None:
    """Channel directory is refused with the remedy, auto grants directly and says why."""
    document = world()
    document["directory"]["sharing_enabled"] = False
    made = shell(world=document, policy=policy(rules=[rule(channel="directory")]))
    ran = made("apply", "--yes", "--json")
    assert ran.status == 0
    assert [(row["image"], row["reason"], row["accounts"]) for row in ran.json["refused"]] == [
        (image, "sharing-not-enabled", [A, B]) for image in IMAGES
    ]
    said = made("explain", "m-gold", A)
    assert (said.lines[0], "evidence  refused: sharing-not-enabled" in said.lines) == ("NO", True)
    assert any("EnableSharingWithResourceDirectory" in line for line in said.lines if line.startswith("change"))
    assert made("status").lines[-1] == "3 images, 0 of 6 pairs in step, 6 refused"
    made.trial.write_policy(policy(rules=[rule(channel="auto")]))
    ran = made("apply", "--yes", "--json")
    assert [row["kind"] for row in ran.json["findings"]] == ["channel-fallback"]
    assert through(made) == {image: {"direct": {A, B}} for image in IMAGES}


def test_a_failed_association_is_told_with_the_vendors_reason(shell: Make) -> None:
    """An association that failed is pending until it is tried again, and explain gives the vendor's reason."""
    made = shell(policy=policy(rules=[rule(channel="directory")]))
    made.trial.patch(
        faults=[{"operation": "resourcesharing:AssociateResourceShare", "kind": "fail-association", "every": 1}]
    )
    made("apply", "--yes")
    assert made("apply", "--yes").status == 3
    said = made("explain", "m-gold", A)
    assert said.lines[0] == "NO"
    assert any("An internal error occurred." in line for line in said.lines if line.startswith("evidence"))
    assert any(line.startswith("next      tried again after 2026-11-21T12:") for line in said.lines)


def test_a_held_disassociation_is_shown_approved_and_carried_out(shell: Make) -> None:
    """Pairs that a share would take wait for a person, are shown as such, and go after the approval."""
    made = shell(policy=policy(rules=[rule(channel="auto")]))
    settled(made)
    assert made("apply", "--yes").status == 0
    made.trial.write_policy(policy(rules=[rule(channel="auto", folders=["fd-test"])]))
    ran = made("apply", "--yes", "--json")
    assert ran.status == 3
    (held,) = ran.json["held"]
    assert [(c["action"], c["images"], c["accounts"], c["lost"]) for c in held["changes"]] == [
        ("disassociate", [image], [A, B], 2) for image in IMAGES
    ]
    assert f"      ~ {A}  by a resource share" in made("holds", held["id"]).lines
    (recorded,) = made("holds", "--json").json["held"]
    assert [(c["action"], c["images"], c["region"]) for c in recorded["changes"]] == [
        ("disassociate", [image], REGION) for image in IMAGES
    ]
    said = made("explain", "m-gold", A)
    assert said.lines[0] == "YES, FOR NOW"
    assert any(line.startswith(f"held      ~ {held['id']}") for line in said.lines)
    made("approve", held["id"])
    made.trial.cloud.advance(SETTLE)
    for _ in range(3):
        made("apply", "--yes")
        made.trial.cloud.advance(61)
    assert through(made) == {image: {"directory": {C, D}} for image in IMAGES}
    assert made("explain", "m-gold", A).lines[0] == "NO"
    assert made("apply", "--yes").status == 0


def test_mode_observe_tells_shares_and_changes_nothing(shell: Make) -> None:
    """In mode observe a plan shows the share that would be made, and apply makes none."""
    made = shell(policy=policy(mode="observe", rules=[rule(channel="auto")]))
    ran = made("apply", "--yes")
    assert ran.status == 3
    assert f"new resource share{PLACE}" in ran.lines
    assert "mode observe: nothing was changed, apply is plan" in ran.lines
    assert through(made) == {}
    assert not any("Create" in str(operation) for operation in made.trial.cloud.calls)


def test_a_read_that_fails_first_is_nothing_done(run: Shell) -> None:
    """Asking whether sharing is enabled is no writing: a mistake that is found after it ends with 2."""
    ran = run("plan", "--image", "m-nowhere", "--json")
    assert (ran.status, ran.out) == (2, "")
