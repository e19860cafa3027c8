"""With ``--json`` standard output is exactly one object, with exactly the contract's keys in their order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.support.trial import OTHER_REGION, OWNER, REGION, STRANGER, A, B, C, D, E, policy, rule, world

PLAN = [
    "schema", "deployment", "mode", "directory", "policy", "digest", "changes", "held", "refused", "findings",
    "pending", "incomplete", "summary",
]  # fmt: skip
CHANGE = [
    "action", "service", "owner", "region", "images", "accounts", "targets", "share", "rules", "gained", "lost", "why",
]  # fmt: skip
HELD = ["id", "since", "expires", "why", "lost_pairs", "changes"]
ROWS = {
    "changes": CHANGE,
    "done": CHANGE,
    "failed": [*CHANGE, "code", "request_id", "remedy"],
    "held": HELD,
    "refused": ["image", "rules", "reason", "accounts", "accounts_total", "remedy"],
    "findings": ["kind", "image", "account", "why"],
    "pending": ["share", "entity", "status", "since"],
    "incomplete": ["shard", "why"],
    "shards": ["shard", "read_at"],
    "images": ["image", "service", "owner", "region", "rules", "in_step", "access", "retired"],
    "access": ["image", "account", "channels"],
}
SUMMARY = ["images", "accounts", "wanted", "in_step", "gained", "lost"]
STATUS = ["images", "held", "refused", "findings", "pending", "incomplete", "shards"]
LOSING = rule("losing", {"name": "bronze"}, folders=["fd-test"])


@pytest.fixture
def busy(shell: Callable[..., Shell]) -> Shell:
    """A deployment in which every list of a report has rows.

    Gold and silver are shared with a newcomer, bronze would lose its whole audience, iron is deprecated, a stranger has
    gold, permissions are listed late, one region cannot be read, and silver cannot be written.
    """
    document = world()
    document["images"]["m-iron"] = {**document["images"]["m-gold"], "name": "iron", "status": "Deprecated"}
    document["images"]["m-far"] = {**document["images"]["m-gold"], "name": "far", "region": OTHER_REGION}
    document["grants"] = {"m-gold": [STRANGER]}
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    of = policy(owners=owners, rules=[rule(), LOSING])
    made = shell(world=document, policy=of)
    assert made("apply", "--yes").status == 0
    unwanted = {"tags": {"share": "org"}, "name": ["gold", "silver", "iron"]}
    made.trial.write_policy({**of, "rules": [rule(images=unwanted), {**LOSING, "audience": {"accounts": [E]}}]})
    made.trial.patch(
        directory={"members": {f"100000000000003{n}": {"name": f"new-{n}", "folder": "fd-prod"} for n in range(3)}},
        delays={"share": 600},
        faults=[{"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}],
    )
    return made


def rows_have_their_keys(document: dict[str, Any]) -> None:
    """Check the keys of every row of every list that the contract describes."""
    for name, keys in ROWS.items():
        for row in document.get(name, []):
            assert list(row) == keys, name
    for hold in document.get("held", []):
        assert [list(change) for change in hold["changes"]] == [CHANGE] * len(hold["changes"])


def test_plan_has_exactly_the_contracts_keys(busy: Shell) -> None:
    """A plan with rows in every list has the contract's keys and no others."""
    ran = busy("plan", "--json")
    assert list(ran.json) == PLAN
    assert list(ran.json["summary"]) == SUMMARY
    rows_have_their_keys(ran.json)
    filled = {key for key in PLAN if isinstance(ran.json[key], list) and ran.json[key]}
    assert filled == {"changes", "held", "refused", "findings", "incomplete"}


def test_apply_has_exactly_the_contracts_keys(busy: Shell) -> None:
    """A run with rows in every list has the contract's keys and no others."""
    busy.trial.patch(
        faults=[
            {"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1},
            {"operation": "ecs:ModifyImageSharePermission", "kind": "no-answer", "every": 2},
        ]
    )
    ran = busy("apply", "--yes", "--json")
    assert ran.status == 1
    assert list(ran.json) == [*PLAN, "done", "failed", "calls"]
    rows_have_their_keys(ran.json)
    assert all(isinstance(number, int) for number in ran.json["calls"].values())
    filled = {key for key in ran.json if isinstance(ran.json[key], list) and ran.json[key]}
    assert filled >= {"changes", "held", "refused", "findings", "pending", "incomplete", "done"}


def test_status_has_exactly_the_contracts_keys(busy: Shell) -> None:
    """A status with rows in every list has the contract's keys and no others."""
    busy("apply", "--yes")
    ran = busy("status", "--json")
    document = ran.json
    assert list(document) == STATUS
    access = [row for image in document["images"] for row in image["access"]]
    assert access
    assert all(list(row) == ["account", "channels", "managed"] for row in access)
    rows_have_their_keys({key: value for key, value in document.items() if key != "access"})
    assert [key for key in STATUS if not document[key]] == []
    assert document["shards"] == [
        {"shard": f"ecs/{OWNER}/{OTHER_REGION}", "read_at": None},
        {"shard": f"ecs/{OWNER}/{REGION}", "read_at": "2026-11-21T12:00:00Z"},
    ]


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (
            ["explain", "m-gold", A],
            ["image", "account", "wanted", "has", "channels", "rules", "why", "pending", "held"],
        ),
        (["who", "m-gold"], ["access"]),
        (["who", "--account", STRANGER], ["access", "incomplete"]),
        (["holds"], ["held", "approved"]),
        (["holds", "ID"], ["held", "approved"]),
        (["approve", "ID"], ["approved"]),
        (["validate"], ["valid", "policy", "deployment", "mode", "owners", "rules"]),
        (["init"], ["deployment", "directory", "state", "begun", "new"]),
    ],
)
def test_answers_have_exactly_these_keys(busy: Shell, arguments: list[str], keys: list[str]) -> None:
    """Every other command has its keys and no others; what could not be read is the only addition."""
    busy("apply", "--yes")
    held = busy("holds", "--json").json["held"][0]["id"]
    ran = busy(*(held if argument == "ID" else argument for argument in arguments), "--json")
    assert list(ran.json) == keys
    rows_have_their_keys({key: value for key, value in ran.json.items() if isinstance(value, list)} | {"approved": []})


def test_two_plans_in_a_row_are_equal_bytes(shell: Callable[..., Shell]) -> None:
    """The same facts give the same bytes, whatever order the threads read them in."""
    document = world()
    document["images"] |= {
        f"m-{n:02}": {**document["images"]["m-gold"], "name": f"n-{n}", "region": REGION if n % 2 else OTHER_REGION}
        for n in range(20)
    }
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    run = shell(world=document, policy=policy(owners=owners, rules=[rule(folders=["root"])]))
    first, second = run("plan", "--json"), run("plan", "--json")
    assert first.out == second.out
    assert len(first.json["changes"]) == 23


def test_progress_errors_and_the_cloud_go_to_standard_error(shell: Callable[..., Shell]) -> None:
    """With --json the line that names the cloud is on standard error, and without on standard output."""
    run = shell()
    line = (
        "LOCAL CLOUD http://127.0.0.1:9, directory rd-trial, deployment trial, mode enforce, "
        f"credentials of acs:ram::{OWNER}:root"
    )
    ran = run("plan", "--json")
    assert ran.errors == [line]
    assert ran.out.startswith("{")
    text = run("plan")
    assert (text.lines[0], text.lines[1], text.err) == (line, "", "")


def test_an_unreadable_organization_is_reported_in_the_same_shape(shell: Callable[..., Shell]) -> None:
    """Where the organization cannot be read, plan, apply and status end with 1 and an object of their shape."""
    run = shell()
    before = run.trial.access()
    run.trial.patch(faults=[{"operation": "resourcemanager:ListAccounts", "kind": "error", "every": 1}])
    for arguments, keys in (
        (["plan"], PLAN),
        (["apply", "--yes"], [*PLAN, "done", "failed", "calls"]),
        (["status"], STATUS),
    ):
        ran = run(*arguments, "--json")
        assert ran.status == 1
        assert list(ran.json) == keys
        (gap,) = ran.json["incomplete"]
        assert gap["rule"] == "golden"
        assert gap["why"].startswith("the organization cannot be read: resourcemanager:ListAccounts: ")
        assert ran.errors[-1] == f"Error: {gap['why']}"
        text = run(*arguments)
        assert text.status == 1
        assert [error.partition(" (request")[0] for error in text.errors] == [ran.errors[-1].partition(" (request")[0]]
    assert run.trial.access() == before


def test_an_answer_that_cannot_be_given_is_an_error_object(shell: Callable[..., Shell]) -> None:
    """Explain and who answer nothing when they could not read: one object with the error, and status 1."""
    run = shell()
    run("apply", "--yes")
    run.trial.patch(faults=[{"operation": "ecs:DescribeImageSharePermission", "kind": "error", "every": 1}])
    for arguments in (["explain", "m-gold", A], ["who", "m-gold"]):
        ran = run(*arguments, "--json")
        assert ran.status == 1
        assert list(ran.json) == ["error"]
        assert ran.json["error"].startswith("image m-gold cannot be read: ecs:DescribeImageSharePermission: ")
        assert ran.errors == [f"Error: {ran.json['error']}"]


def test_lists_are_sorted(shell: Callable[..., Shell]) -> None:
    """Accounts, rules and rows come in order whatever order the policy names them in."""
    rules = [rule("z", accounts=[D, A]), rule("a", accounts=[C, B]), rule("m", accounts=[E])]
    run = shell(policy=policy(rules=rules))
    (first, *_) = run("plan", "--json").json["changes"]
    assert first["images"] == ["m-bronze"]
    assert (first["accounts"], first["rules"]) == ([A, B, C, D, E], ["a", "m", "z"])


def test_the_readme_lists_the_keys_of_every_document(shell: Callable[..., Shell]) -> None:
    """In the order in which they are printed; apply has those of a plan and three more."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.split("| command | keys |", 1)[1].split("\n\n", 1)[0]
    listed = {
        name: keys.split() for name, keys in re.findall(r"^\| `(\w+)` \|.*?`([a-z_ ]+)` \|$", table, re.MULTILINE)
    }
    listed["apply"] = listed["plan"] + listed["apply"]
    made = shell()
    arguments = {
        "plan": (), "apply": ("--yes",), "status": (), "explain": ("m-gold", A), "who": ("m-gold",),
        "history": (), "doctor": (),
    }  # fmt: skip
    assert {name: list(made(name, *given, "--json").json) for name, given in arguments.items()} == listed
