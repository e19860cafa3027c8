"""A permission that is lacking: what goes on without it, what does not, and what a person is told.

Deployed as a template does it, with one permission less than the project grants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localcloud.inprocess import in_process
from orgshare.errors import ConfigurationError, StopRun
from orgshare.permissions import Bearer
from orgshare.way.applying import Applied
from orgshare.wiring import check_store
from tests.support.channels import by_shares, contents, directly, found, until_settled
from tests.support.granted import BUCKET, OWNER_ROLE, READER_ROLE, RUNNER_ROLE, Deployment, granted, rights, without
from tests.support.trial import OTHER_REGION, OWNER, REGION, A, B, C, policy, rule

ALL = ("m-gold", "m-silver", "m-bronze")
Deployed = Callable[..., Deployment]

ROLES: dict[Bearer, str] = {"owner": OWNER_ROLE, "directory": READER_ROLE, "runner": RUNNER_ROLE}


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    """A begun deployment with everything that the project grants."""
    with ExitStack() as stack:

        def made(*rules: dict[str, Any]) -> Deployment:
            deployment = Deployment(tmp_path, granted())
            stack.enter_context(in_process(deployment.cloud, sleep=lambda _: None))
            deployment.begin()
            deployment.want(*(rules or (rule(),)))
            return deployment

        yield made


def take(deployment: Deployment, bearer: Bearer, *actions: str) -> None:
    """Take these actions away from a role, and give back what was taken before."""
    policies = granted()
    for right in rights(policies):
        if right.bearer == bearer and right.action in actions:
            policies = without(policies, right)
    for each, arn in ROLES.items():
        deployment.patch(roles={arn: {"policies": [policies[each]]}})


def give_back(deployment: Deployment) -> None:
    """Give every role all that the project grants."""
    take(deployment, "owner")


def told(applied: Applied) -> list[str]:
    """What a person has to allow."""
    return [finding.why for finding in applied.plan.findings if finding.kind == "not-permitted"]


def everybody(*accounts: str) -> dict[str, set[str]]:
    """These accounts for each image."""
    return {image: set(accounts) for image in ALL}


# --- the organization


@pytest.mark.parametrize("action", ["GetResourceDirectory", "ListAccounts"])
def test_an_organization_that_may_not_be_read_stops_the_run(deployed: Deployed, action: str) -> None:
    """Nothing is done, and the error names the action and whose policy has to allow it."""
    d = deployed()
    d.apply()
    d.move(A, "fd-test")
    take(d, "directory", f"resourcemanager:{action}")
    with pytest.raises(StopRun) as caught:
        d.apply()
    assert f"a policy of {READER_ROLE} has to allow resourcemanager:{action}" in str(caught.value)
    assert "check directory.account and directory.role" in str(caught.value)
    assert directly(d) == everybody(A, B)


def test_a_reader_that_may_not_be_assumed_stops_the_run(deployed: Deployed) -> None:
    """Both things that may be missing are named: the caller's policy and the role's trust."""
    d = deployed()
    take(d, "runner", "sts:AssumeRole")
    with pytest.raises(StopRun) as caught:
        d.apply()
    needed = (
        f"the credentials that orgshare runs with has to allow sts:AssumeRole on {READER_ROLE}, and the trust policy"
    )
    assert needed in str(caught.value)
    give_back(d)
    d.patch(roles={READER_ROLE: {"trusts": [OWNER]}})
    with pytest.raises(StopRun, match="an account's own access key can assume no role"):
        d.apply()
    assert directly(d) == everybody()


def test_a_departure_that_may_not_be_confirmed_revokes_nothing(deployed: Deployed) -> None:
    """Who is gone from the listing keeps its grants, and the missing action is named although no reading failed."""
    d = deployed()
    d.apply()
    d.leave(A)
    take(d, "directory", "resourcemanager:GetAccount")
    applied = d.apply()
    assert directly(d) == everybody(A, B)
    assert told(applied) == [f"a policy of {READER_ROLE} has to allow resourcemanager:GetAccount"]
    give_back(d)
    assert told(d.apply()) == []
    assert directly(d) == everybody(B)


@pytest.mark.parametrize("action", ["GetFolder", "ListFoldersForParent"])
def test_folders_that_may_not_be_read_freeze_what_rests_on_them(deployed: Deployed, action: str) -> None:
    """Nobody gets anything on the strength of a folder that was not seen, and the action is named."""
    excepting: dict[str, Any] = {"except": {"folders": ["fd-empty"]}}
    d = deployed(rule(channel="directory", folders=["root"], **excepting))
    take(d, "directory", f"resourcemanager:{action}")
    applied = d.apply()
    assert (directly(d), by_shares(d)) == (everybody(), everybody())
    assert told(applied) == [f"a policy of {READER_ROLE} has to allow resourcemanager:{action}"]
    assert applied.plan.incomplete


# --- an owner


READS = [
    "ecs:DescribeImages",
    "resourcesharing:CheckSharingWithResourceDirectoryStatus",
    "resourcesharing:ListResourceShares",
    "resourcesharing:ListResourceShareAssociations",
]


@pytest.mark.parametrize("action", READS)
def test_a_shard_that_may_not_be_read_is_left_alone(deployed: Deployed, action: str) -> None:
    """Nobody loses anything there, and it is named as unread with the action."""
    d = deployed()
    d.apply()
    d.move(A, "fd-test")
    take(d, "owner", action)
    applied = d.apply()
    (gap,) = applied.plan.incomplete
    assert (gap.where, gap.name) == ("shard", f"ecs/{OWNER}/{REGION}")
    assert gap.why.endswith(f"a policy of {OWNER_ROLE} has to allow {action}")
    assert told(applied) == [f"a policy of {OWNER_ROLE} has to allow {action}"]
    assert directly(d) == everybody(A, B)
    give_back(d)
    d.apply()
    assert directly(d) == everybody(B)


def test_the_owner_that_may_not_be_reached_stops_no_other(deployed: Deployed) -> None:
    """One owner's role cannot be assumed: it is unread, the other owner's images are shared."""
    other = "1000000000000021"
    d = deployed()
    row = {"service": "ecs", "owner": other, "region": REGION, "name": "far", "tags": {"share": "org"}}
    d.patch(directory={"members": {other: {"name": "other", "folder": "root"}}}, images={"m-other": row})
    unreached = f"acs:ram::{other}:role/orgshare"
    d.patch(roles={unreached: {"trusts": [OWNER]}})
    owners = [{"account": OWNER, "regions": [REGION]}, {"account": other, "regions": [REGION], "role": unreached}]
    d.write_policy(policy(owners=owners))
    applied = d.apply()
    assert directly(d) == {**everybody(A, B), "m-other": set()}
    assert [gap.name for gap in applied.plan.incomplete] == [f"ecs/{other}/{REGION}"]
    assert f"sts:AssumeRole on {unreached}" in applied.plan.incomplete[0].why


def test_regions_that_may_not_be_listed_are_one_owners_gap(deployed: Deployed) -> None:
    """With `regions: all` the owner is unread; nothing of it is an orphan."""
    d = deployed()
    d.patch(regions=[REGION, OTHER_REGION])
    d.write_policy(policy(owners=[{"account": OWNER, "regions": "all"}]))
    d.apply()
    take(d, "owner", "ecs:DescribeRegions")
    applied = d.apply()
    assert [gap.name for gap in applied.plan.incomplete] == [f"ecs/{OWNER}/*"]
    assert found(applied, "orphaned") == set()
    assert directly(d) == everybody(A, B)


def test_images_whose_grants_may_not_be_read_keep_them(deployed: Deployed) -> None:
    """Each image is named as unread, and nobody loses one."""
    d = deployed()
    d.apply()
    d.move(A, "fd-test")
    take(d, "owner", "ecs:DescribeImageSharePermission")
    applied = d.apply()
    assert directly(d) == everybody(A, B)
    assert len(applied.plan.incomplete) == len(ALL)
    assert told(applied) == [f"a policy of {OWNER_ROLE} has to allow ecs:DescribeImageSharePermission"]


def test_a_grant_that_may_not_be_made_has_failed_and_is_made_as_soon_as_it_may(deployed: Deployed) -> None:
    """One call an image shows it, no account is blamed, nothing is remembered against it, and nobody waits."""
    d = deployed()
    take(d, "owner", "ecs:ModifyImageSharePermission")
    before = d.cloud.calls["ecs:ModifyImageSharePermission"]
    applied = d.apply()
    assert d.cloud.calls["ecs:ModifyImageSharePermission"] - before == len(ALL)
    assert (applied.done, applied.plan.refused) == ((), ())
    assert {failure.code for failure in applied.failed} == {"Forbidden.RAM"}
    needed = f"a policy of {OWNER_ROLE} has to allow ecs:ModifyImageSharePermission"
    assert all(needed in failure.remedy for failure in applied.failed)
    assert told(applied) == [needed]
    give_back(d)
    again = d.apply()
    assert (again.failed, told(again)) == ((), [])
    assert directly(d) == everybody(A, B)


def test_a_revoke_that_may_not_be_made_has_failed_and_is_made_later(deployed: Deployed) -> None:
    """It is no finding against the account, and what is ours stays ours."""
    d = deployed()
    d.apply()
    d.move(A, "fd-test")
    take(d, "owner", "ecs:ModifyImageSharePermission")
    applied = d.apply()
    assert found(applied, "cannot-revoke") == set()
    assert len(applied.failed) == len(ALL)
    assert directly(d) == everybody(A, B)
    give_back(d)
    d.apply()
    assert directly(d) == everybody(B)


def test_one_image_that_may_not_be_shared_stops_no_other(deployed: Deployed) -> None:
    """A policy that denies it by name is told as such."""
    d = deployed()
    denied = {
        "Effect": "Deny",
        "Action": "ecs:ModifyImageSharePermission",
        "Resource": f"acs:ecs:*:{OWNER}:image/m-gold",
    }
    policies = [granted()["owner"], {"Version": "1", "Statement": [denied]}]
    d.patch(roles={OWNER_ROLE: {"policies": policies}})
    applied = d.apply()
    assert directly(d) == {**everybody(A, B), "m-gold": set()}
    assert told(applied) == [f"a policy of {OWNER_ROLE} must not deny ecs:ModifyImageSharePermission"]
    assert [failure.change.images for failure in applied.failed] == [("m-gold",)]


@pytest.mark.parametrize("action", ["CreateResourceShare", "AssociateResourceShare"])
@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_a_share_that_may_not_be_made_or_filled_lets_nothing_go_direct(
    deployed: Deployed, action: str, channel: str
) -> None:
    """A permission that is lacking is no lasting cause to leave the directory, however often it is met."""
    d = deployed(rule(channel=channel))
    take(d, "owner", f"resourcesharing:{action}")
    for runs in range(1, 4):
        applied = d.apply()
        assert d.cloud.calls[f"resourcesharing:{action}"] == runs
        assert (directly(d), by_shares(d)) == (everybody(), everybody())
        assert applied.failed
        assert applied.plan.refused == ()
        assert found(applied, "channel-fallback") == set()
        assert told(applied) == [f"a policy of {OWNER_ROLE} has to allow resourcesharing:{action}"]
        d.cloud.advance(16 * 60)
    give_back(d)
    until_settled(d)
    assert (directly(d), by_shares(d)) == (everybody(), everybody(A, B))


def test_a_share_that_may_not_be_emptied_keeps_everybody_until_it_may(deployed: Deployed) -> None:
    """The targets of a narrower audience stay, the failure names the action, and it is finished later."""
    d = deployed(rule(channel="directory", folders=["fd-prod", "fd-test"]))
    until_settled(d)
    before = contents(d)
    d.want(rule(channel="directory"))
    take(d, "owner", "resourcesharing:DisassociateResourceShare")
    applied = d.apply()
    assert contents(d) == before
    assert told(applied) == [f"a policy of {OWNER_ROLE} has to allow resourcesharing:DisassociateResourceShare"]
    assert found(applied, "cannot-revoke") == set()
    assert C in by_shares(d)["m-gold"]
    give_back(d)
    until_settled(d, approve=True)
    assert by_shares(d) == everybody(A, B)


@pytest.mark.parametrize("detailed", [True, False])
def test_the_action_is_named_with_and_without_details(deployed: Deployed, detailed: bool) -> None:
    """Not every service says what it missed, and the operation has the action's name."""
    d = deployed()
    d.patch(switches={"access_denied_detail": detailed})
    take(d, "owner", "ecs:ModifyImageSharePermission")
    assert told(d.apply()) == [f"a policy of {OWNER_ROLE} has to allow ecs:ModifyImageSharePermission"]


# --- the state


@pytest.mark.parametrize(
    "action", ["oss:PutObject", "oss:GetObject", "oss:ListObjects", "oss:DeleteObject", "oss:GetBucketVersioning"]
)
def test_a_state_that_may_not_be_used_is_said_before_anything_is_done(deployed: Deployed, action: str) -> None:
    """The check of `init` tries them all, and names the action and everything that a state needs."""
    d = deployed()
    take(d, "runner", action)
    with pytest.raises(ConfigurationError) as caught:
        check_store(d.store())
    assert f"has to allow {action}; they need oss:PutObject, " in str(caught.value)
    assert f"acs:oss:*:*:{BUCKET}" in str(caught.value)
