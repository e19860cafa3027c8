"""Roles, their sessions, and who a caller is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    SHOP,
    THREE,
    TWO,
    UNKNOWN,
    Clients,
    acs3,
    answered,
    channels,
    outcome,
    refused,
    start,
    world,
)

Begin = Callable[..., LocalCloud]
READER = f"acs:ram::{MANAGEMENT}:role/reader"
SHARER = f"acs:ram::{OWNER}:role/sharer"
ROLES = {READER: {"trusts": [OWNER, SHOP]}, SHARER: {"trusts": [MANAGEMENT], "max_session": 7200}}
HOST = "sts.cn-hangzhou.aliyuncs.com"
UNSERVED = '{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Sid": "x"}]}'


@pytest.fixture
def cloud(begin: Begin) -> LocalCloud:
    """The usual world with two roles."""
    return begin(roles=ROLES)


@pytest.mark.usefixtures("cloud")
def test_a_session_acts_in_the_account_of_its_role() -> None:
    """The reader lists the organization for the owner, and the sharer shares the owner's images for management."""
    assert len(Clients(OWNER).assume(READER).accounts()) == 4
    sharer = Clients(MANAGEMENT).assume(SHARER)
    assert sharer.images() == [ONE, THREE, TWO]
    sharer.share(ONE, SHOP, BANK, LAB)
    assert Clients(OWNER).shared_with(ONE) == [SHOP, BANK, LAB]


@pytest.mark.usefixtures("cloud")
def test_callers_learn_who_they_are() -> None:
    """GetCallerIdentity names the account's root, or the role and its session."""
    root = Clients(OWNER).sts.get_caller_identity().body.to_map()
    assert (root["AccountId"], root["Arn"], root["IdentityType"]) == (OWNER, f"acs:ram::{OWNER}:root", "Account")
    session = Clients(OWNER).assume(READER, "night-run").sts.get_caller_identity().body.to_map()
    assert (session["AccountId"], session["IdentityType"]) == (MANAGEMENT, "AssumedRoleUser")
    assert session["Arn"] == f"acs:ram::{MANAGEMENT}:assumed-role/reader/night-run"
    assert session["PrincipalId"] == f"{session['RoleId']}:night-run"


@pytest.mark.usefixtures("cloud")
def test_a_session_may_assume_a_role_that_trusts_its_account() -> None:
    """From the owner over the reader in management to the sharer, and no further."""
    chained = Clients(OWNER).assume(READER).assume(SHARER)
    assert chained.images() == [ONE, THREE, TWO]
    with refused("NoPermission", 403):
        Clients(SHOP).assume(SHARER)


@pytest.mark.parametrize("account", [BANK, PARTNER, MANAGEMENT])
@pytest.mark.usefixtures("cloud")
def test_a_role_that_does_not_trust_the_caller(account: str) -> None:
    """Even the role's own account is not trusted unless the role says so."""
    with refused("NoPermission", 403):
        Clients(account).assume(READER)


def test_a_role_trusts_a_service_and_nobody_else(begin: Begin) -> None:
    """Trust in a service lets no account in."""
    begin(roles={READER: {"trusts_services": ["fc.aliyuncs.com", f"{OWNER}@ecs.aliyuncs.com"]}})
    with refused("NoPermission", 403):
        Clients(OWNER).assume(READER)


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"RoleArn": ""}, "MissingParameter.RoleArn", 400),
        ({"RoleSessionName": ""}, "MissingParameter.RoleSessionName", 400),
        ({"RoleArn": "reader"}, "InvalidParameter.RoleArn", 400),
        ({"RoleArn": f"acs:ram::{MANAGEMENT}:user/reader"}, "InvalidParameter.RoleArn", 400),
        ({"RoleArn": f"acs:ram::{MANAGEMENT}:role/nobody"}, "EntityNotExist.Role", 404),
        ({"RoleArn": f"acs:ram::{UNKNOWN}:role/reader"}, "EntityNotExist.Role", 404),
        ({"RoleSessionName": "x"}, "InvalidParameter.RoleSessionName", 400),
        ({"RoleSessionName": "x" * 65}, "InvalidParameter.RoleSessionName", 400),
        ({"RoleSessionName": "a b"}, "InvalidParameter.RoleSessionName", 400),
        ({"DurationSeconds": "899"}, "InvalidParameter.DurationSeconds", 400),
        ({"DurationSeconds": "3601"}, "InvalidParameter.DurationSeconds", 400),
        ({"DurationSeconds": "-1"}, "InvalidParameter.DurationSeconds", 400),
        ({"ExternalId": "x"}, "InvalidParameter.ExternalId", 400),
        ({"Policy": "{"}, "InvalidParameter.PolicyGrammar", 400),
        ({"Policy": "{" * 2049}, "InvalidParameter.PolicySize", 400),
        ({"Policy": '{"Version": "1"}'}, "InvalidParameter.PolicyGrammar", 400),
        ({"Policy": UNSERVED}, "UnsupportedParameter", 400),
    ],
)
def test_parameters_of_assume_role(params: dict[str, str], code: str, status: int) -> None:
    """Each parameter has its own code; a session policy is refused rather than ignored."""
    cloud = start(world(roles=ROLES))
    good = {"RoleArn": READER, "RoleSessionName": "session", "DurationSeconds": "3600"}
    request = acs3("AssumeRole", good, version="2015-04-01", host=HOST)
    assert outcome(cloud.handle(request)) == (200, "")
    request = acs3("AssumeRole", {**good, **params}, version="2015-04-01", host=HOST)
    assert outcome(cloud.handle(request)) == (status, code)


def test_a_session_lasts_an_hour_or_as_long_as_the_role_allows() -> None:
    """The default is an hour, the role's maximum the limit; the source identity comes back."""
    cloud = start(world(roles=ROLES))

    def expiration(account: str, arn: str, **params: str) -> str:
        params = {"RoleArn": arn, "RoleSessionName": "session", **params}
        answer = answered(cloud.handle(acs3("AssumeRole", params, account=account, version="2015-04-01", host=HOST)))
        assert answer.get("SourceIdentity") == params.get("SourceIdentity")
        return str(answer["Credentials"]["Expiration"])

    assert expiration(OWNER, READER, SourceIdentity="ann") == "2026-11-21T13:00:00Z"
    assert expiration(OWNER, READER, DurationSeconds="900") == "2026-11-21T12:15:00Z"
    assert expiration(MANAGEMENT, SHARER) == "2026-11-21T13:00:00Z"
    assert expiration(MANAGEMENT, SHARER, DurationSeconds="7200") == "2026-11-21T14:00:00Z"


def test_a_role_that_is_taken_away_cannot_be_assumed(cloud: LocalCloud) -> None:
    """Changes from outside reach roles and keys too."""
    Clients(OWNER).assume(READER)
    cloud.patch({"roles": {READER: None}, "access_keys": {f"KEY{SHOP}": None}})
    with refused("EntityNotExist.Role", 404):
        Clients(OWNER).assume(READER)
    with refused("InvalidAccessKeyId.NotFound", 404):
        Clients(SHOP).images()
    assert channels(cloud) == {}


def test_old_sessions_are_forgotten(cloud: LocalCloud) -> None:
    """A session is known as expired for a day and not at all after that, so that keys do not pile up."""
    session = Clients(OWNER).assume(READER)
    cloud.advance(3600 + 86_399)
    Clients(OWNER).assume(READER)
    with refused("InvalidSecurityToken.Expired", 400):
        session.accounts()
    cloud.advance(1)
    Clients(OWNER).assume(READER)
    with refused("InvalidAccessKeyId.NotFound", 404):
        session.accounts()
