"""The permissions that the project grants: exactly those that the code uses, and enough for everything it does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import roles
from bench.privileges import SCENARIOS, run, unused
from localcloud.catalog import MESSAGE_OPERATIONS
from localcloud.fc.models import INVOKE
from localcloud.permissions import OBJECT_PERMISSIONS
from localcloud.permissions import PERMISSIONS as SERVED
from orgshare.permissions import BY_HAND, FREE, OPTIONAL, PERMISSIONS, Bearer, action_of, policy_document
from tests.support.deployed import template_policies, things
from tests.support.granted import Deployment, granted, rights, without

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATION = re.compile(r'"([a-z]+:[A-Z]\w+)"')

GRANTED = {permission.action for permissions in PERMISSIONS.values() for permission in permissions}

ROWS: dict[str, Bearer] = {
    "each owner": "owner",
    "the management account": "directory",
    "who runs orgshare": "runner",
    "its functions besides": "functions",
}


def operations() -> set[str]:
    """The operations that the adapters name when they call."""
    folder = ROOT / "shared" / "orgshare" / "alibaba"
    return {name for path in folder.glob("*.py") for name in OPERATION.findall(path.read_text())}


def test_what_is_granted_is_what_the_code_calls() -> None:
    """No action more and none less; each belongs to one bearer."""
    assert len(operations()) > 15
    assert {action_of(operation) for operation in operations()} - FREE - OPTIONAL == GRANTED
    assert len(GRANTED) == sum(map(len, PERMISSIONS.values()))


def test_the_readme_names_what_is_granted() -> None:
    """Its table has a row for each bearer, with exactly the bearer's actions."""
    part = README.split("### What has to be enabled\n", 1)[1].split("\n## ", 1)[0]
    table = {cells[1].strip(): cells[2] for line in part.splitlines() if len(cells := line.split("|")) > 3}
    for row, bearer in ROWS.items():
        named = re.findall(r"`([a-z]+:\w+)`", table[row])
        assert sorted(named) == sorted(permission.action for permission in PERMISSIONS[bearer])


def test_the_local_cloud_checks_every_action_that_is_granted() -> None:
    """A grant that it did not know would be proven by nothing."""
    objects = {permission.action for permission in OBJECT_PERMISSIONS.values()}
    assert {*SERVED, *objects, INVOKE, *MESSAGE_OPERATIONS} >= GRANTED


def test_a_policy_is_for_what_was_named_and_nothing_else() -> None:
    """The owner's images, the roles, the state's prefix; without roles there is nothing to assume."""
    owner = policy_document("owner", account="1000000000000002")
    on = {action: statement["Resource"] for statement in owner["Statement"] for action in statement["Action"]}
    assert on["ecs:ModifyImageSharePermission"] == ["acs:ecs:*:1000000000000002:image/*"]
    runner = policy_document("runner", roles=["b", "a"], bucket="acme", prefix="state")
    on = {action: statement["Resource"] for statement in runner["Statement"] for action in statement["Action"]}
    assert on["sts:AssumeRole"] == ["a", "b"]
    assert on["oss:PutObject"] == ["acs:oss:*:*:acme/state/*"]
    assert on["oss:ListObjects"] == ["acs:oss:*:*:acme"]
    whole = policy_document("runner", bucket="acme")
    assert [statement["Resource"] for statement in whole["Statement"]] == [["acs:oss:*:*:acme/*"], ["acs:oss:*:*:acme"]]


def test_everything_works_with_what_is_granted() -> None:
    """All scenarios pass with exactly these permissions, and use all of them; make least-privilege takes each away."""
    calls: Counter[str] = Counter()
    assert run(granted(), SCENARIOS, calls) is None
    assert unused(calls) == set()


@pytest.mark.parametrize(
    ("template", "scenarios"),
    [
        ("template.yml", roles.SCENARIOS[:-1]),
        ("template-fc2.yml", [roles.a_watch_finds_a_join, roles.failures_are_delivered]),
    ],
)
def test_everything_works_with_what_the_templates_grant(template: str, scenarios: Sequence[roles.Scenario]) -> None:
    """Driven by events and timers, each function in its own role; and every call is of a role that may make it.

    The longest scenario, with resource shares, is for make least-privilege alone: with the same permissions the list's
    own scenarios make the same calls here.
    """
    policies = template_policies(template)
    failed, used = roles.run(template, policies, scenarios)
    assert failed is None
    taken = {each for of_scenario in used.values() for each in of_scenario if each[0]}
    assert {(role, action) for role, action in taken if action not in FREE} <= {(r, a) for r, a, _ in things(policies)}


def test_the_templates_grant_what_the_list_says() -> None:
    """Both templates of the functions the same; each function no more than who runs orgshare needs, and functions."""
    by_template = [{(r, a) for r, a, _ in things(template_policies(name))} for name in roles.TEMPLATES]
    assert by_template[0] == by_template[1]
    granted_to = {role: {a for r, a in by_template[0] if r == role} for role, _ in by_template[0]}
    needed = {bearer: {permission.action for permission in each} for bearer, each in PERMISSIONS.items()}
    assert granted_to["owner"] == needed["owner"]
    assert granted_to["directory"] == needed["directory"]
    runs = (needed["runner"] | needed["functions"]) - BY_HAND
    log = {"log:PostLogStoreLogs"}
    assert granted_to["worker"] == runs | needed["owner"] | log
    assert (
        granted_to["membership"]
        == granted_to["reconcile"]
        == granted_to["image"]
        == runs | log | {"ecs:DescribeRegions"}
    )


def test_the_worker_s_role_is_enough_for_a_further_region() -> None:
    """There the function image does the work itself, in that role."""
    failed, _ = roles.run("template-region.yml", template_policies("template.yml"), [roles.a_region_shares_by_itself])
    assert failed is None


def test_a_permission_that_a_function_lacks_is_missed() -> None:
    """What make least-privilege does for every permission of every role, for one."""
    for (role, action, _), rest in things(template_policies("template.yml")).items():
        if (role, action) == ("membership", "fc:InvokeFunction"):
            failed, _ = roles.run("template.yml", rest, [roles.a_watch_finds_a_join])
            assert failed is not None
            assert action in failed.why


@pytest.mark.parametrize("action", ["ecs:ModifyImageSharePermission", "sts:AssumeRole", "oss:ListObjects"])
def test_a_permission_that_is_taken_away_is_missed(action: str) -> None:
    """What make least-privilege does for every permission, for three of them."""

    def begins_and_shares(d: Deployment) -> None:
        for scenario in SCENARIOS[:2]:
            scenario(d)

    for right in rights(granted()):
        if right.action == action:
            failed = run(without(granted(), right), [begins_and_shares])
            assert failed is not None
            assert action in failed.why
