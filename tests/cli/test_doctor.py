"""``doctor``, with things missing one at a time: what it says, how to mend it, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.support.encrypted import encrypt
from tests.support.trial import MANAGEMENT, OTHER_REGION, OWNER, PARTNER, REGION, E, policy, rule, world

Make = Callable[..., Shell]
READER = f"acs:ram::{MANAGEMENT}:role/reader"
SECOND = E
SECOND_ROLE = f"acs:ram::{SECOND}:role/orgshare"
CALLER = f"acs:ram::{OWNER}:root"
HERE, THERE = f"owner {OWNER} in {REGION}:", f"owner {SECOND} in {OTHER_REGION}:"
PUTS = "state: put, get, list and delete"


def organization(**changes: Any) -> dict[str, Any]:
    """The usual world with a second owner, reached by a role, and buckets."""
    document = world(
        roles={READER: {"trusts": [OWNER]}, SECOND_ROLE: {"trusts": [OWNER]}},
        buckets={
            "acme-state": {"owner": OWNER, "region": REGION},
            "acme-versioned": {"owner": OWNER, "region": REGION, "versioning": "enabled"},
            "acme-suspended": {"owner": OWNER, "region": REGION, "versioning": "suspended"},
            "others-state": {"owner": MANAGEMENT, "region": REGION},
        },
    )
    document["images"]["m-second"] = {
        "service": "ecs", "owner": SECOND, "region": OTHER_REGION, "name": "second", "status": "Available",
        "tags": {"share": "org"},
    }  # fmt: skip
    return {**document, **changes}


def two_owners(**changes: Any) -> dict[str, Any]:
    """A policy of two owners, one of them reached by a role, with channel auto."""
    owners = [
        {"account": OWNER, "regions": [REGION]},
        {"account": SECOND, "regions": [OTHER_REGION], "role": SECOND_ROLE},
    ]
    return policy(**{"owners": owners, "rules": [rule(channel="auto")], **changes})


def bad(run: Shell) -> dict[str, tuple[str, str]]:
    """The checks that failed, with why and remedy; the exit status says whether there are any."""
    ran = run("doctor", "--json")
    rows = ran.json["checks"]
    assert ran.json.keys() == {"checks"}
    assert all(row.keys() == {"check", "ok", "why", "remedy"} for row in rows)
    assert all(row["why"] and bool(row["remedy"]) != row["ok"] for row in rows)
    assert len({row["check"] for row in rows}) == len(rows)
    found = {row["check"]: (row["why"], row["remedy"]) for row in rows if not row["ok"]}
    assert ran.status == (1 if found else 0)
    return found


def answers(run: Shell) -> dict[str, str]:
    """Every check that is in order, and what shows it."""
    return {row["check"]: row["why"] for row in run("doctor", "--json").json["checks"] if row["ok"]}


def test_everything_in_order(shell: Make) -> None:
    """Every permission to read is tried and named, what would write is named as not tried, and nothing is changed."""
    run = shell(world=organization(), policy=two_owners())
    before, access = run.state(), run.trial.access()
    ran = run("doctor")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines[-1] == "31 checks, nothing to mend"
    told = answers(run)
    assert told["credentials"] == f"they are those of {CALLER}"
    assert told["directory: role"] == f"{CALLER} may assume {READER}"
    reads = {f"directory: resourcemanager:{one}" for one in (
        "GetResourceDirectory", "ListAccounts", "GetAccount", "GetFolder", "ListFoldersForParent",
    )}  # fmt: skip
    assert reads <= told.keys()
    assert (told[f"{HERE} ecs:DescribeImages"], told[f"{THERE} ecs:DescribeImages"]) == ("3 images", "1 image")
    assert told[f"owner {SECOND}: writing"] == (
        f"not tried, it would change something: {SECOND_ROLE} in account {SECOND} needs "
        "ecs:ModifyImageSharePermission, resourcesharing:CreateResourceShare, resourcesharing:AssociateResourceShare, "
        "resourcesharing:DisassociateResourceShare"
    )
    assert told["sharing"] == "sharing within the organization is enabled"
    assert told[PUTS].endswith("nothing is left of it")
    assert run.state() == before
    assert run.trial.access() == access
    changing = [name for name in run.trial.cloud.calls if ":Modify" in name or ":Create" in name or ":Ass" in name]
    assert changing == ["sts:AssumeRole"]


def test_the_policy_comes_first(shell: Make) -> None:
    """A policy that is not in order is told as everywhere, with 2 and nothing on standard output; so are settings."""
    run = shell(policy=policy(mode="maybe"))
    ran = run("doctor", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "mode" in ran.err
    good = shell()
    del good.environment["ALIBABA_CLOUD_ACCESS_KEY_ID"]
    ran = good("doctor", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Error: no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID")


def test_nobody_answers(shell: Make) -> None:
    """Without any answer there is nothing to check: status 2."""
    run = shell(world=world(faults=[{"operation": "*", "kind": "no-answer", "every": 1}]))
    ran = run("doctor", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "check the network" in ran.err


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [("NOBODY", "local", "InvalidAccessKeyId"), ("LOCALIMAGES", "wrong-secret", "SignatureDoesNotMatch")],
)
@pytest.mark.parametrize("state", ["file:state", "oss://acme-state/orgshare"])
def test_credentials_that_are_refused(shell: Make, key: str, secret: str, code: str, state: str) -> None:
    """One check fails, and what hangs on it is named once; nothing of the secret is told."""
    run = shell(world=organization(), policy=two_owners(state=state))
    run.environment |= {"ALIBABA_CLOUD_ACCESS_KEY_ID": key, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret}
    found = bad(run)
    why, remedy = found.pop("credentials")
    assert code in why
    assert "wrong-secret" not in why
    assert remedy.startswith("set ALIBABA_CLOUD_ACCESS_KEY_ID")
    assert set(found) == {"directory, owners and sharing"} | ({"state"} if state.startswith("oss") else set())
    assert all(why == "not tried, because this failed: credentials" for why, _ in found.values())


def test_no_such_role(shell: Make) -> None:
    """A role that does not exist is to be created, or its name to be corrected; the rest is checked."""
    roles = {SECOND_ROLE: {"trusts": [OWNER]}}
    found = bad(shell(world=organization(roles=roles), policy=two_owners()))
    why, remedy = found.pop("directory: role")
    assert "EntityNotExist.Role" in why
    assert remedy == f"create the role {READER}, or correct directory.role in the policy"
    assert list(found) == ["directory: reading it"]


def test_a_role_that_does_not_trust(shell: Make) -> None:
    """Both halves are named: the trust policy of the role, and the permission to assume it."""
    roles = {READER: {"trusts": [OWNER]}, SECOND_ROLE: {"trusts": [PARTNER]}}
    found = bad(shell(world=organization(roles=roles), policy=two_owners()))
    why, remedy = found.pop(f"owner {SECOND}: role")
    assert "NoPermission" in why
    assert remedy == (
        f"let the trust policy of {SECOND_ROLE} name account {OWNER}, and allow sts:AssumeRole on {SECOND_ROLE} in a "
        f"policy of {CALLER} in account {OWNER}"
    )
    assert list(found) == [f"owner {SECOND}: images"]


def test_an_owner_without_a_role(shell: Make) -> None:
    """Without a role the images of another account would be looked for in our own."""
    owners = [{"account": SECOND, "regions": [OTHER_REGION]}]
    found = bad(shell(world=organization(), policy=two_owners(owners=owners)))
    why, remedy = found[f"owner {SECOND}: role"]
    assert why == f"the policy names no role of it, and the credentials are of account {OWNER}"
    assert remedy.startswith(f"name a role in account {SECOND} that trusts account {OWNER}")


def test_a_directory_of_another_account(shell: Make) -> None:
    """The account that the policy names is not the one whose directory is read."""
    directory = {"account": OWNER}
    found = bad(shell(world=organization(), policy=two_owners(directory=directory)))
    assert found["directory: account"][0] == (
        f"directory.account is {OWNER}, but the management account of rd-trial is {MANAGEMENT}"
    )
    why, remedy = found["directory: resourcemanager:ListAccounts"]
    assert "resourcemanager:ListAccounts: " in why
    assert OWNER in remedy


@pytest.mark.parametrize(
    ("operation", "code", "check", "who"),
    [
        ("resourcemanager:GetResourceDirectory", "NoPermission", "directory: ", READER),
        ("resourcemanager:ListAccounts", "NoPermission", "directory: ", READER),
        ("resourcemanager:GetAccount", "NoPermission", "directory: ", READER),
        ("resourcemanager:GetFolder", "NoPermission", "directory: ", READER),
        ("resourcemanager:ListFoldersForParent", "NoPermission", "directory: ", READER),
        ("ecs:DescribeImages", "Forbidden.RAM", f"{THERE} ", SECOND_ROLE),
        ("ecs:DescribeImageSharePermission", "Forbidden.RAM", f"{THERE} ", SECOND_ROLE),
        ("resourcesharing:CheckSharingWithResourceDirectoryStatus", "NoPermission", f"{THERE} ", SECOND_ROLE),
        ("resourcesharing:ListResourceShares", "NoPermission", f"{THERE} ", SECOND_ROLE),
        ("resourcesharing:ListResourceShareAssociations", "NoPermission", f"{THERE} ", SECOND_ROLE),
    ],
)
def test_a_permission_that_is_missing(shell: Make, operation: str, code: str, check: str, who: str) -> None:
    """Which action, in a policy of which role, in which account."""
    account = MANAGEMENT if who == READER else SECOND
    fault = {"operation": operation, "kind": "error", "code": code, "status": 403, "every": 1, "account": account}
    found = bad(shell(world=organization(faults=[fault]), policy=two_owners()))
    why, remedy = found.pop(f"{check}{operation}")
    assert f"{operation}: {code}: " in why
    assert remedy == f"allow {operation} in a policy of {who} in account {account}"
    assert all("not tried" in why for why, _ in found.values())


def test_regions_may_be_unlisted_where_the_policy_names_them(shell: Make) -> None:
    """Only regions: all needs the permission to list them."""
    fault = {"operation": "ecs:DescribeRegions", "kind": "error", "code": "Forbidden.RAM", "status": 403, "every": 1}
    run = shell(world=organization(faults=[fault]), policy=two_owners())
    assert bad(run) == {}
    assert answers(run)[f"owner {OWNER}: regions"].startswith(f"{REGION}, not compared with those that there are: ")
    every = two_owners(owners=[{"account": OWNER, "regions": "all"}])
    found = bad(shell(world=organization(faults=[fault]), policy=every))
    assert (
        found[f"owner {OWNER}: regions"][1] == f"allow ecs:DescribeRegions in a policy of {CALLER} in account {OWNER}"
    )


def test_an_unknown_region(shell: Make) -> None:
    """It is named with those that there are, and the others are checked."""
    owners = [{"account": OWNER, "regions": [REGION, "cn-nowhere"]}]
    run = shell(world=organization(), policy=two_owners(owners=owners))
    why, remedy = bad(run)[f"owner {OWNER}: regions"]
    assert why == "cn-nowhere: the account has no such region"
    assert REGION in remedy
    assert f"{HERE} ecs:DescribeImages" in answers(run)


def test_sharing_that_is_not_enabled(shell: Make) -> None:
    """It is told to whoever wants resource shares, and to nobody who wants direct grants only."""
    disabled = organization()
    disabled["directory"] = {**disabled["directory"], "sharing_enabled": False}
    found = bad(shell(world=disabled, policy=two_owners()))
    assert list(found) == ["sharing"]
    assert f"enable it as management account {MANAGEMENT}" in found["sharing"][1]
    assert bad(shell(world=disabled, policy=two_owners(rules=[rule(channel="direct")]))) == {}


def test_an_owner_outside_the_organization(shell: Make) -> None:
    """No resource share can reach the organization from it; direct grants can."""
    outside = organization()
    outside["roles"] = {**outside["roles"], f"acs:ram::{PARTNER}:role/orgshare": {"trusts": [OWNER]}}
    owners = [{"account": PARTNER, "regions": [REGION], "role": f"acs:ram::{PARTNER}:role/orgshare"}]
    found = bad(shell(world=outside, policy=two_owners(owners=owners)))
    assert f"owner {PARTNER}: member" in found
    direct = two_owners(owners=owners, rules=[rule(channel="direct")])
    assert bad(shell(world=outside, policy=direct)) == {}


# --- the state


def test_a_state_that_is_not_begun(shell: Make) -> None:
    """It says so, and does not make the folder by trying."""
    run = shell(begun=False, world=organization(), policy=two_owners())
    found = bad(run)
    assert set(found) == {"state: begun", PUTS}
    assert found["state: begun"][0] == f"state file:{run.trial.folder}/state: it is not begun"
    assert found["state: begun"][1].startswith("run «orgshare init» once")
    assert not Path(run.trial.folder, "state").exists()


def test_a_state_of_another_deployment(shell: Make) -> None:
    """Each deployment needs a state of its own."""
    found = bad(shell(world=organization(), policy=two_owners(deployment="other")))
    assert "it belongs to deployment trial, not to other" in found["state: begun"][0]
    assert found["state: begun"][1] == "give each deployment a state of its own"


def test_a_state_of_another_organization(shell: Make) -> None:
    """The credentials read another organization than the state was begun for."""
    other = organization()
    other["directory"] = {**other["directory"], "id": "rd-other"}
    found = bad(shell(world=other, policy=two_owners()))
    assert "belongs to organization rd-trial, but the credentials read rd-other" in found["state: begun"][0]


def test_a_state_that_is_paused_is_told(shell: Make) -> None:
    """A pause is nothing to mend, but why nothing happens."""
    run = shell(world=organization(), policy=two_owners())
    run("pause")
    assert "everything is paused by" in answers(run)["state: begun"]
    assert bad(run) == {}


@pytest.mark.parametrize(
    ("bucket", "check", "why", "remedy"),
    [
        ("nobodys", "state: begun", "NoSuchBucket", "create the bucket, without versioning"),
        (
            "others-state",
            "state: begun",
            "AccessDenied",
            "has to allow oss:GetObject; they need oss:PutObject, oss:GetObject",
        ),
        ("acme-versioned", "state: versioning", "versioning of the bucket is Enabled", "create a bucket without it"),
        ("acme-suspended", "state: versioning", "versioning of the bucket is Suspended", "create a bucket without it"),
    ],
)
def test_a_bucket_that_will_not_do(shell: Make, bucket: str, check: str, why: str, remedy: str) -> None:
    """Nothing is put there, and the remedy says what to do with the bucket."""
    run = shell(begun=False, world=organization(), policy=two_owners(state=f"oss://{bucket}/orgshare"))
    found = bad(run)
    assert why in found[check][0]
    assert remedy in found[check][1]
    assert run.trial.cloud.calls["oss:PutObject"] == 0


@pytest.mark.parametrize("operation", ["oss:PutObject", "oss:DeleteObject"])
def test_a_state_that_cannot_be_written(shell: Make, operation: str) -> None:
    """What is missing is found by trying; what the try had to leave is named."""
    run = shell(begun=False, world=organization(), policy=two_owners(state="oss://acme-state/orgshare"))
    assert run("init").status == 0
    run.trial.patch(
        faults=[{"operation": operation, "kind": "error", "code": "AccessDenied", "status": 403, "every": 1}]
    )
    found = bad(run)
    assert list(found) == [PUTS]
    assert f"{operation}: AccessDenied" in found[PUTS][0]
    assert ("is left there: .probe-" in found[PUTS][0]) is (operation == "oss:DeleteObject")
    assert f"has to allow {operation}; they need oss:PutObject" in found[PUTS][1]


def test_a_state_in_a_bucket_in_order(shell: Make) -> None:
    """The put that is tried is deleted again."""
    run = shell(begun=False, world=organization(), policy=two_owners(state="oss://acme-state/orgshare"))
    run("init")
    assert bad(run) == {}
    calls = run.trial.cloud.calls
    assert calls["oss:DeleteObject"] == 2
    assert answers(run)["state: versioning"] == "the bucket has none"


def test_the_text_says_how_to_mend(shell: Make) -> None:
    """Under each check that failed; the last line counts."""
    ran = shell(begun=False)("doctor")
    assert ran.status == 1
    at = next(n for n, text in enumerate(ran.lines) if text.startswith("!   state: begun"))
    assert ran.lines[at + 1].startswith("      to mend it: run «orgshare init» once")
    assert ran.lines[-1].endswith("checks failed")


# --- where a person is told


@pytest.mark.parametrize(
    ("topic", "why", "remedy"),
    [
        (f"acs:mns:{REGION}:{OWNER}:/topics/alerts", "", ""),
        (f"acs:mns:{REGION}:{OWNER}:/topics/none", "TopicNotExist", "create the topic acs:mns:"),
        (f"acs:mns:{OTHER_REGION}:{OWNER}:/topics/alerts", "TopicNotExist", "create the topic acs:mns:"),
        (f"acs:mns:{REGION}:{SECOND}:/topics/alerts", f"is of account {SECOND}", f"name a topic of account {OWNER}"),
    ],
)
def test_the_notices_destination(shell: Make, topic: str, why: str, remedy: str) -> None:
    """It is asked for, and nothing is published."""
    boxes = {"topics/alerts": {"owner": OWNER, "region": REGION}}
    run = shell(world=organization(mailboxes=boxes), policy=two_owners())
    run.environment["ORGSHARE_NOTICES"] = topic
    found = bad(run)
    assert list(found) == (["notices"] if why else [])
    if why:
        assert why in found["notices"][0]
        assert found["notices"][1].startswith(remedy)
    assert run.trial.cloud.messages() == []


def test_a_topic_that_nothing_may_be_asked_about(shell: Make) -> None:
    """Telling takes another permission than asking, so it is no fault."""
    boxes = {"topics/alerts": {"owner": OWNER, "region": REGION}}
    fault = {"operation": "mns:GetTopicAttributes", "kind": "error", "code": "AccessDenied", "status": 403, "every": 1}
    run = shell(world=organization(mailboxes=boxes, faults=[fault]), policy=two_owners())
    run.environment["ORGSHARE_NOTICES"] = f"acs:mns:{REGION}:{OWNER}:/topics/alerts"
    assert bad(run) == {}
    assert "needs mns:PublishMessage" in answers(run)["notices"]


def test_a_topic_that_is_none(shell: Make) -> None:
    """A setting is a setting: status 2, and what was expected."""
    run = shell(world=organization(), policy=two_owners())
    run.environment["ORGSHARE_NOTICES"] = "alerts"
    ran = run("doctor")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "Error: ORGSHARE_NOTICES=alerts: expected acs:mns:REGION:ACCOUNT:/topics/NAME\n"


# --- who does the work of single shards


@pytest.mark.parametrize(
    ("worker", "place"),
    [("orgshare-worker", "functions/orgshare-worker"), ("acme/worker", "services/acme/functions/worker")],
)
def test_a_worker_is_named_with_what_invoking_it_takes_and_not_run(shell: Make, worker: str, place: str) -> None:
    """Whoever checks would start a run of it, so it is only said what is needed, in both versions' words."""
    run = shell(world=organization(), policy=two_owners())
    assert "worker" not in answers(run)
    run.environment["ORGSHARE_WORKER"] = worker
    assert bad(run) == {}
    assert answers(run)["worker"].startswith(
        f"not tried, because it would run: {CALLER} needs fc:InvokeFunction on acs:fc:*:{OWNER}:{place}"
    )
    assert "fc:InvokeFunction" not in run.trial.cloud.calls


def test_without_credentials_nothing_is_said_of_the_worker(shell: Make) -> None:
    """Whose permission it would be is not known then."""
    run = shell(world=organization(), policy=two_owners())
    run.environment |= {"ORGSHARE_WORKER": "orgshare-worker", "ALIBABA_CLOUD_ACCESS_KEY_ID": "NOBODY"}
    checks = [row["check"] for row in run("doctor", "--json").json["checks"]]
    assert "credentials" in checks
    assert "worker" not in checks


def test_a_rule_that_authorizes_encrypted_images_needs_the_sharing_role(shell: Make) -> None:
    """Where it is missing it is said how to make it, and where it cannot be understood, too; else who is in it."""
    run = shell(policy=policy(rules=[{**rule(), "encrypted": "authorize"}]))
    check = f"owner {OWNER}: sharing role"
    assert bad(run) == {
        check: (
            "a rule says encrypted: authorize, and there is no role AliyunECSShareEncryptImageDefaultRole",
            f"create it in account {OWNER}, with a policy that lets it use the keys",
        )
    }
    encrypt(run.trial, OWNER)
    assert bad(run) == {}
    told = answers(run)[check]
    assert told.startswith("it lets in 0 accounts, ")
    assert told.endswith(f"of 2048 characters; not tried, as it would change something: {CALLER} needs ram:UpdateRole")
    run.trial.apply()
    assert answers(run)[check].startswith("it lets in 2 accounts, ")


@pytest.mark.parametrize(
    ("operation", "code"), [("ram:GetRole", "NoPermission"), ("ecs:DescribeSnapshots", "Forbidden.RAM")]
)
def test_reading_keys_takes_permissions(shell: Make, operation: str, code: str) -> None:
    """Each is tried and named."""
    run = shell(policy=policy(rules=[{**rule(), "encrypted": "authorize"}]))
    encrypt(run.trial, OWNER)
    run.trial.patch(faults=[{"operation": operation, "kind": "error", "code": code, "status": 403, "every": 1}])
    ((check, (why, remedy)),) = bad(run).items()
    assert check.endswith(operation)
    assert code in why
    assert operation in remedy
