"""``status``, ``explain`` and ``who`` against a cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.support.trial import (
    MANAGEMENT,
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
    policy,
    rule,
    world,
)

Make = Callable[..., Shell]


@pytest.fixture
def run(shell: Make) -> Shell:
    """Gold and silver for prod, bronze for a partner until a day, iron deprecated, free selected by no rule.

    A stranger has gold and lab has free by hand, and the office is about to lose silver.
    """
    document = world()
    gold = document["images"]["m-gold"]
    document["images"]["m-iron"] = {**gold, "name": "iron", "status": "Deprecated"}
    document["images"]["m-free"] = {**gold, "name": "free", "tags": {}}
    document["grants"] = {"m-gold": [STRANGER], "m-free": [C]}
    named = {"tags": {"share": "org"}, "name": ["gold", "silver", "iron"]}
    globex = {"account": PARTNER, "name": "Globex", "until": "2026-12-31"}
    rules = [
        rule("prod", named, folders=["fd-prod"], accounts=[E]),
        rule("deal", {"name": "bronze"}, partners=[globex], accounts=[D]),
    ]
    made = shell(world=document, policy=policy(rules=rules))
    assert made("apply", "--yes").status == 0
    rules[0]["audience"] = {"folders": ["fd-prod"]}
    made.trial.write_policy(policy(rules=rules))
    return made


@pytest.mark.parametrize(
    ("image", "account", "first", "facts"),
    [
        ("m-gold", A, "YES", {"wanted": True, "has": True, "channels": ["direct"], "rules": ["prod"]}),
        ("m-gold", C, "NO", {"wanted": False, "has": False, "channels": [], "rules": []}),
        ("m-gold", STRANGER, "YES", {"wanted": False, "has": True, "channels": ["direct"], "rules": []}),
        ("m-gold", OWNER, "YES", {"wanted": False, "has": True, "channels": [], "rules": []}),
        ("m-gold", MANAGEMENT, "NO", {"wanted": False, "has": False, "channels": [], "rules": []}),
        ("m-silver", E, "YES, FOR NOW", {"wanted": False, "has": True, "channels": ["direct"], "rules": []}),
        ("m-bronze", PARTNER, "YES, FOR NOW", {"wanted": True, "has": True, "channels": ["direct"], "rules": ["deal"]}),
        ("m-bronze", D, "YES", {"wanted": True, "has": True, "channels": ["direct"], "rules": ["deal"]}),
        ("m-iron", A, "NO", {"wanted": True, "has": False, "channels": [], "rules": ["prod"]}),
        ("m-free", C, "YES", {"wanted": False, "has": True, "channels": ["direct"], "rules": []}),
        ("m-free", A, "NO", {"wanted": False, "has": False, "channels": [], "rules": []}),
    ],
)
def test_explain_answers_in_its_first_line(
    run: Shell, image: str, account: str, first: str, facts: dict[str, Any]
) -> None:
    """The first line is the answer, and the JSON has the same facts."""
    before = run.trial.access()
    text = run("explain", image, account)
    assert (text.status, text.lines[0], text.err) == (0, first, "")
    answer = run("explain", image, account, "--json").json
    assert {key: answer[key] for key in facts} == facts
    assert (answer["image"], answer["account"]) == (image, account)
    assert answer["has"] == (account in before[image] or account == OWNER)
    assert run.trial.access() == before


def test_explain_is_right_for_every_pair(run: Shell) -> None:
    """For every image and account that there are, the answer agrees with the oracle."""
    access = run.trial.access()
    for image, having in access.items():
        for account in (A, B, C, D, E, PARTNER, STRANGER, MANAGEMENT):
            ran = run("explain", image, account)
            if ran.status == 2:
                assert account == STRANGER
                assert account not in having
                continue
            assert (ran.lines[0] != "NO") == (account in having), (image, account)


def test_explain_tells_evidence_and_what_comes(run: Shell) -> None:
    """The text names the rule with its line, who granted when, and what the next apply does."""
    place = f"{run.policy}:{run.line('- name: prod')}"
    assert run("explain", "m-silver", E).lines == [
        "YES, FOR NOW",
        f"image     m-silver silver (ecs {REGION}, owner {OWNER} images)",
        f"account   {E} office",
        f"rule      prod ({place}): does not want it, it is in r-local1, below none of fd-prod",
        "channel   direct",
        "evidence  granted at 2026-11-21T12:00:00Z by orgshare for rule prod",
        "next      it is not in the audience of a rule any more; the next apply revokes it",
        "pending   revoke due",
        "change    to keep it, name the account in the audience of a rule that selects the image",
    ]


def test_who_lists_everybody_who_can_use_an_image(run: Shell) -> None:
    """Who agrees with the oracle for every image, also for one that no rule selects."""
    for image, having in run.trial.access().items():
        ran = run("who", image, "--json")
        assert (ran.status, [row["account"] for row in ran.json["access"]]) == (0, sorted(having))
    assert run("who", "m-free").lines == [
        f"m-free free, ecs {REGION}, owner {OWNER} images",
        "1 account can use it",
        "  direct",
        f"    {C}  lab  by somebody else  since 2026-11-21T12:00:00Z",
    ]


def test_who_lists_every_image_of_an_account(run: Shell) -> None:
    """What an account can use agrees with the oracle for the images that rules select."""
    access = run.trial.access()
    for account in (A, C, D, E, PARTNER, STRANGER):
        ran = run("who", "--account", account, "--json")
        images = {row["image"] for row in ran.json["access"]}
        assert (ran.status, images) == (0, {i for i, having in access.items() if account in having} - {"m-free"})
    assert run("who", "--account", E).lines == [
        f"{E} office can use 2 images",
        "  direct",
        f"    m-gold    gold    ecs {REGION}  owner {OWNER}",
        f"    m-silver  silver  ecs {REGION}  owner {OWNER}",
    ]


def test_who_says_what_it_could_not_read(shell: Make) -> None:
    """Images of a region that cannot be read are missing from the answer, which says so and ends with 1."""
    made = shell(policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    made("apply", "--yes")
    made.trial.patch(faults=[{"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}])
    ran = made("who", "--account", A)
    assert ran.status == 1
    assert f"{A} shop can use 3 images" in ran.lines
    assert ran.lines[-2] == "incomplete: nothing was concluded here"
    assert ran.lines[-1].startswith(f"  ecs/{OWNER}/{OTHER_REGION}  ecs:DescribeImages: ")


def test_status_tells_where_things_stand(run: Shell) -> None:
    """Status has a line for each rule, shard and image, and ends with the whole."""
    ran = run("status")
    assert ran.status == 0
    assert ran.lines[2:5] == [
        "rule  images  wanted  in step  by directory  directly  due  pending  refused  held  unread",
        "prod       3       6        4             0         4    2        0        2     0       0",
        "deal       1       2        2             0         2    0        0        0     0       0",
    ]
    assert (
        f"ecs/{OWNER}/{REGION}       4       8        6             0         6    2        0        2     0       0"
        "  read 2026-11-21T12:00:00Z" in ran.lines
    )
    assert ran.lines[-1] == "4 images, 6 of 8 pairs in step (6 directly), 2 due, 2 refused"


def test_status_agrees_with_the_oracle(run: Shell) -> None:
    """The access that status lists is what the cloud has, for every image that rules select."""
    access = run.trial.access()
    images = run("status", "--json").json["images"]
    assert {row["image"]: {each["account"] for each in row["access"]} for row in images} == {
        image: having for image, having in access.items() if image != "m-free"
    }
    managed = {(row["image"], each["account"]): each["managed"] for row in images for each in row["access"]}
    assert [pair for pair, ours in managed.items() if not ours] == [("m-gold", STRANGER)]
    assert {row["image"]: row["in_step"] for row in images} == {
        "m-gold": False, "m-silver": False, "m-bronze": True, "m-iron": False,
    }  # fmt: skip


def test_status_of_a_selection(run: Shell) -> None:
    """SELECT narrows status to the images it names."""
    ran = run("status", "--image", "m-bronze", "--json")
    assert (ran.status, [row["image"] for row in ran.json["images"]]) == (0, ["m-bronze"])


def test_questions_change_nothing(run: Shell) -> None:
    """Status, explain and who leave the cloud and the state as they were."""
    before, state = run.trial.access(), run.state()
    for arguments in (["status"], ["explain", "m-gold", A], ["who", "m-gold"], ["who", "--account", A], ["holds"]):
        assert run(*arguments).status == 0
    assert (run.trial.access(), run.state()) == (before, state)
