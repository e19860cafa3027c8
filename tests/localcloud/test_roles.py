"""Roles, whom they trust, the policies that are attached to them, and what that means for encrypted images."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from localcloud import LocalCloud
from localcloud.policies import read_trust_policy
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    SHARING_ROLE,
    SHOP,
    START,
    THREE,
    TWO,
    Clients,
    allowing,
    channels,
    ecs_of,
    image,
    iso,
    refused,
    trusting,
    world,
)

Begin = Callable[..., LocalCloud]
SHARING = SHARING_ROLE.partition("/")[2]
WORKER = f"acs:ram::{OWNER}:role/worker"
KEYS = f"acs:ram::{OWNER}:policy/share-keys"
ALL_KEYS = "acs:ram::system:policy/AliyunKMSFullAccess"
USE_KEYS = allowing("kms:Decrypt", "kms:TagResource")
POLICIES = {KEYS: USE_KEYS, ALL_KEYS: allowing("kms:*")}
ENCRYPTED = {name: image(name[2:], encryption="cmk") for name in (ONE, TWO, THREE)}


def principals(client: Clients, name: str) -> list[object]:
    """What the statements of a role's trust policy name, as GetRole shows them."""
    return [one["Principal"] for one in client.role(name)["AssumeRolePolicyDocument"]["Statement"]]


# --- roles


def test_roles_of_the_world_and_roles_that_are_made_are_the_same(begin: Begin) -> None:
    """A new role can be assumed at once, a changed one only by whom it trusts now, and both stand in the world."""
    cloud = begin(roles={WORKER: {"trusts": [MANAGEMENT]}})
    owner, root = Clients(), f"acs:ram::{BANK}:root"
    owner.make_role("new", trusting(root, kind="RAM"), description="for the bank", max_session_duration=7200)
    owner.change_role("worker", trusting(root, kind="RAM"))
    for name in ("new", "worker"):
        arn = f"acs:ram::{OWNER}:role/{name}"
        identity = Clients(BANK).assume(arn).sts.get_caller_identity().body
        assert (identity.account_id, identity.arn) == (OWNER, f"acs:ram::{OWNER}:assumed-role/{name}/test")
        with refused("NoPermission", 403):
            Clients(MANAGEMENT).assume(arn)
    world_roles = cloud.world().roles
    assert world_roles[f"acs:ram::{OWNER}:role/new"].description == "for the bank"
    assert world_roles[WORKER].trusts == ()
    assert LocalCloud.from_world(cloud.world()).world().roles == world_roles


def test_a_role_that_is_made_may_do_nothing_until_a_policy_is_attached(begin: Begin) -> None:
    """Policies come from the world, the vendor's among them; each is attached once, and counts at once."""
    begin(policies={KEYS: allowing("ecs:Describe*"), ALL_KEYS: allowing("ecs:ModifyImageSharePermission")})
    owner = Clients()
    owner.make_role("new", trusting(f"acs:ram::{BANK}:root", kind="RAM"))
    session = Clients(BANK).assume(f"acs:ram::{OWNER}:role/new")
    with refused("Forbidden.RAM", 403):
        session.images()
    owner.attach("new", "share-keys")
    assert session.images() == [ONE, THREE, TWO]
    with refused("Forbidden.RAM", 403):
        session.share(ONE, SHOP)
    owner.attach("new", "AliyunKMSFullAccess", "System")
    session.share(ONE, SHOP)
    assert owner.attached("new") == [("Custom", "share-keys"), ("System", "AliyunKMSFullAccess")]
    with refused("EntityAlreadyExists.Role.Policy", 409):
        owner.attach("new", "share-keys")
    with refused("EntityNotExist.Policy", 404):
        owner.attach("new", "share-keys", "System")


def test_a_role_is_shown_with_its_trust_policy_as_text(begin: Begin) -> None:
    """Short lists of the world are statements, single values no lists, and the text has spaces as in samples."""
    begin(roles={WORKER: {"trusts": [BANK], "trusts_services": [ecs_of(SHOP), ecs_of(LAB)], "description": "works"}})
    owner = Clients()
    role = owner.role("worker")
    assert (role["Arn"], role["Description"], role["MaxSessionDuration"]) == (WORKER, "works", 3600)
    assert principals(owner, "worker") == [{"RAM": f"acs:ram::{BANK}:root"}, {"Service": [ecs_of(SHOP), ecs_of(LAB)]}]
    text = owner.change_role("worker", trusting(ecs_of(LAB)))["AssumeRolePolicyDocument"]
    assert json.loads(text) == {
        "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ecs_of(LAB)}}],
        "Version": "1",
    }
    assert ", " in text


def test_times_of_a_role(begin: Begin) -> None:
    """A role of the world was made when the cloud began; changes are told from that."""
    cloud = begin(roles={WORKER: {}})
    cloud.advance(60)
    owner = Clients()
    owner.make_role("new", trusting(ecs_of(LAB)))
    cloud.advance(60)
    for name in ("new", "worker"):
        owner.change_role(name, new_description="changed")
    shown = [(role["CreateDate"], role["UpdateDate"]) for role in map(owner.role, ("worker", "new"))]
    assert shown == [(iso(START), iso(START + 120)), (iso(START + 60), iso(START + 120))]


def test_what_is_not_given_stays(begin: Begin) -> None:
    """UpdateRole changes what it is given and nothing else, not even with an empty trust policy."""
    begin(roles={WORKER: {"trusts_services": [ecs_of(SHOP)], "description": "works", "max_session": 7200}})
    owner = Clients()
    owner.change_role("worker", new_description="rests")
    assert principals(owner, "worker") == [{"Service": ecs_of(SHOP)}]
    owner.change_role("worker", new_max_session_duration=3600)
    role = owner.role("worker")
    assert (role["Description"], role["MaxSessionDuration"]) == ("rests", 3600)


def test_of_two_writers_the_later_one_wins(begin: Begin) -> None:
    """There is no version: whoever writes what it read before loses what another added meanwhile."""
    cloud = begin(roles={SHARING_ROLE: {"trusts_services": [ecs_of(SHOP)]}}, images=ENCRYPTED, policies=POLICIES)
    first, second = Clients(), Clients()
    read = [ecs_of(SHOP)]
    first.change_role(SHARING, trusting(*read, ecs_of(BANK)))
    second.change_role(SHARING, trusting(*read, ecs_of(LAB)))
    assert principals(first, SHARING) == [{"Service": [ecs_of(SHOP), ecs_of(LAB)]}]
    with refused("AssumeRoleError", 403):
        first.share(ONE, BANK)
    first.share(TWO, SHOP, LAB)
    assert channels(cloud) == {TWO: {SHOP, LAB}}


def test_another_accounts_roles_do_not_exist(begin: Begin) -> None:
    """A role is looked for in the caller's account, and the same name in two accounts is two roles."""
    begin(roles={WORKER: {"trusts": [BANK]}, f"acs:ram::{SHOP}:role/worker": {"trusts": [LAB]}})
    assert principals(Clients(OWNER), "worker") == [{"RAM": f"acs:ram::{BANK}:root"}]
    assert principals(Clients(SHOP), "worker") == [{"RAM": f"acs:ram::{LAB}:root"}]
    with refused("EntityNotExist.Role", 404):
        Clients(LAB).role("worker")


def test_a_trust_policy_has_a_length(begin: Begin) -> None:
    """One character more than the world allows is refused, and nothing changes; the limit is a setting."""
    long = json.dumps(trusting(*(ecs_of(f"1{number:015d}") for number in range(8))))
    cloud = begin(roles={SHARING_ROLE: {"trusts_services": [ecs_of(SHOP)]}}, quotas={"trust_policy_length": len(long)})
    owner = Clients()
    owner.make_role("new", long)
    cloud.patch({"quotas": {"trust_policy_length": len(long) - 1}})
    with refused("InvalidParameter.AssumeRolePolicyDocument.Length", 400):
        owner.make_role("newer", long)
    before = cloud.world().roles
    # Compact JSON is shorter than what the limit is made of.
    more = json.loads(long)
    more["Statement"] *= 2
    with refused("InvalidParameter.NewAssumeRolePolicyDocument.Length", 400):
        owner.change_role(SHARING, more)
    assert cloud.world().roles == before


def test_calls_about_roles_take_their_permissions(begin: Begin) -> None:
    """A role that may change one role may not change another, and reading is another permission than changing."""
    policy = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": "ram:GetRole", "Resource": "*"},
            {"Effect": "Allow", "Action": "ram:UpdateRole", "Resource": f"acs:ram:*:{OWNER}:role/{SHARING}"},
        ],
    }
    cloud = begin(roles={WORKER: {"trusts": [OWNER], "policies": [policy]}, SHARING_ROLE: {}})
    worker = Clients().assume(WORKER)
    worker.change_role(SHARING, trusting(ecs_of(LAB)))
    assert principals(worker, SHARING) == [{"Service": ecs_of(LAB)}]
    before = cloud.world().roles
    for forbidden in (
        lambda: worker.change_role("worker", trusting(f"acs:ram::{LAB}:root", kind="RAM")),
        lambda: worker.make_role("new", trusting(ecs_of(LAB))),
        lambda: worker.attached("worker"),
        lambda: worker.attach("worker", "share-keys"),
    ):
        with refused("NoPermission", 403):
            forbidden()
    assert cloud.world().roles == before


# --- encrypted images


@pytest.mark.parametrize(
    ("role", "code"),
    [
        (None, "AssumeRoleError"),
        ({}, "AssumeRoleError"),
        ({"trusts_services": ["ecs.aliyuncs.com"]}, "AssumeRoleError"),
        ({"trusts_services": [ecs_of(LAB)]}, "AssumeRoleError"),
        ({"trust_policy": trusting(f"acs:ram::{SHOP}:root", kind="RAM")}, "AssumeRoleError"),
        ({"trust_policy": trusting(ecs_of(SHOP)), "policies": []}, "InvalidParameter.KMSKeyId.CMKUnauthorized"),
        (
            {"trust_policy": trusting(ecs_of(SHOP)), "policies": [allowing("kms:Decrypt")]},
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
        ),
    ],
)
def test_encrypted_images_need_the_role_with_its_policy_and_the_receiver_in_its_trust(
    begin: Begin, role: dict[str, Any] | None, code: str
) -> None:
    """The role has to be there, to trust the receiver's ECS and to be allowed the key; a plain image needs nothing."""
    images = {**ENCRYPTED, THREE: image("three")}
    cloud = begin(images=images, roles={} if role is None else {SHARING_ROLE: role}, grants={TWO: [LAB]})
    with refused(code, 403):
        Clients().share(ONE, SHOP)
    Clients().share(THREE, SHOP, BANK)
    assert channels(cloud) == {TWO: {LAB}, THREE: {SHOP, BANK}}


@pytest.mark.parametrize(
    "role",
    [
        {"trusts_services": [ecs_of(SHOP), ecs_of(BANK)]},
        {"trust_policy": trusting(ecs_of(SHOP), ecs_of(BANK)), "policies": [USE_KEYS]},
        {"trust_policy": trusting(ecs_of(SHOP), ecs_of(BANK)), "policies": [], "attached": [KEYS]},
        {"trusts_services": [ecs_of(SHOP), ecs_of(BANK)], "policies": [], "attached": [ALL_KEYS]},
    ],
)
def test_with_all_of_that_they_are_shared(begin: Begin, role: dict[str, Any]) -> None:
    """However the role came to its trust and its policy; who is not trusted is still refused."""
    cloud = begin(images=ENCRYPTED, roles={SHARING_ROLE: role}, policies=POLICIES)
    for name in ENCRYPTED:
        Clients().share(name, SHOP, BANK)
        with refused("AssumeRoleError", 403):
            Clients().share(name, PARTNER)
    assert channels(cloud) == {name: {SHOP, BANK} for name in ENCRYPTED}


def test_the_permission_of_the_role_may_not_be_looked_at(begin: Begin) -> None:
    """By a switch only the trust counts when an image is shared."""
    cloud = begin(
        images=ENCRYPTED,
        roles={SHARING_ROLE: {"trusts_services": [ecs_of(SHOP)], "policies": []}},
        switches={"share_role_permission": "unchecked"},
    )
    Clients().share(ONE, SHOP)
    with refused("AssumeRoleError", 403):
        Clients().share(TWO, BANK)
    assert channels(cloud) == {ONE: {SHOP}}


def test_a_denied_principal_is_not_trusted(begin: Begin) -> None:
    """A trust policy may deny what it allows elsewhere."""
    document = trusting(ecs_of(SHOP), ecs_of(BANK))
    document["Statement"].append({**trusting(ecs_of(BANK))["Statement"][0], "Effect": "Deny"})
    cloud = begin(images=ENCRYPTED, roles={SHARING_ROLE: {"trust_policy": document}})
    with refused("AssumeRoleError", 403):
        Clients().share(ONE, BANK)
    Clients().share(ONE, SHOP)
    assert channels(cloud) == {ONE: {SHOP}}


# --- snapshots


MIXED = {
    ONE: image("one", encryption="cmk"),
    TWO: image("two", encryption="service-key"),
    THREE: image("three"),
    "m-far": image("far", region=FAR, encryption="cmk"),
    "m-shop": image("shop", owner=SHOP, encryption="cmk"),
}


def test_snapshots_say_what_is_encrypted_and_with_which_key(begin: Begin) -> None:
    """Each own image's snapshot in the region, with its key; the key does not say of which kind it is."""
    begin(images=MIXED)
    owner = Clients()
    disk = owner.image(ONE)["DiskDeviceMappings"]["DiskDeviceMapping"][0]
    assert "Encrypted" not in disk
    rows = owner.snapshots()
    assert rows[disk["SnapshotId"]]["Encrypted"] is True
    encrypted = {name: (row["Encrypted"], bool(row["KMSKeyId"])) for name, row in rows.items()}
    assert encrypted == {"s-one": (True, True), "s-two": (True, True), "s-three": (False, False)}
    assert list(Clients(region=FAR).snapshots()) == ["s-far"]
    assert list(Clients(SHOP).snapshots()) == ["s-shop"]


@pytest.mark.parametrize("ids", ['["s-one", "s-three", "s-nowhere"]', "s-one,s-three,s-nowhere"])
def test_snapshots_are_asked_for_by_id(begin: Begin, ids: str) -> None:
    """A list in JSON, or with commas; an unknown one is not there, and is no error."""
    begin(images=MIXED)
    assert sorted(Clients().snapshots(snapshot_ids=ids)) == ["s-one", "s-three"]


@pytest.mark.parametrize("listed", [True, False])
def test_whether_encrypted_snapshots_are_listed_unasked(begin: Begin, listed: bool) -> None:
    """By a switch a listing without `Encrypted`, or with false, leaves them out; with true there are no others."""
    begin(images=MIXED, switches={"encrypted_snapshots_listed": listed})
    owner = Clients()
    usual = ["s-one", "s-three", "s-two"] if listed else ["s-three"]
    assert sorted(owner.snapshots()) == sorted(owner.snapshots(encrypted=False)) == usual
    assert sorted(owner.snapshots(encrypted=True)) == ["s-one", "s-two"]


def test_snapshots_by_page_and_by_token(begin: Begin) -> None:
    """Both ways show every snapshot once, and say how many there are."""
    begin(images=MIXED)
    owner = Clients()
    by_page = [list(owner.snapshots(page_size=1, page_number=page)) for page in (1, 2, 3, 4)]
    assert sorted(chain(*by_page)) == ["s-one", "s-three", "s-two"]
    by_token = [list(owner.snapshots(page_size=None, max_results=2, next_token=token)) for token in (None, "2")]
    assert [len(page) for page in by_token] == [2, 1]
    assert sorted(chain(*by_token)) == ["s-one", "s-three", "s-two"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "accomplished"}, ["s-one", "s-three", "s-two"]),
        ({"status": "progressing"}, []),
        ({"usage": "image"}, ["s-one", "s-three", "s-two"]),
        ({"usage": "none"}, []),
        ({"snapshot_type": "auto"}, []),
        ({"source_disk_type": "Data"}, []),
        ({"category": "archive"}, []),
        ({"snapshot_name": "two"}, ["s-two"]),
        ({"disk_id": "d-three"}, ["s-three"]),
        ({"snapshot_link_id": "sl-one"}, ["s-one"]),
        ({"kmskey_id": "key-customer"}, ["s-one"]),
        ({"instance_id": "i-1"}, []),
    ],
)
def test_snapshots_are_filtered(begin: Begin, query: dict[str, Any], found: list[str]) -> None:
    """Everything that is asked for has to hold."""
    begin(images=MIXED)
    assert sorted(Clients().snapshots(**query)) == found


# --- the world


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"policies": {"share-keys": USE_KEYS}},
            'policies.share-keys: expected a name such as "acs:ram::1000000000000002:policy/share-keys"',
        ),
        ({"policies": {"acs:ram::9000000000000009:policy/x": USE_KEYS}}, 'no account "9000000000000009"'),
        ({"policies": {KEYS: {"Version": "2"}}}, 'policies."acs:ram::1000000000000002:policy/share-keys": the element'),
        ({"roles": {WORKER: {"attached": [KEYS]}}}, ".attached[0]: no such policy in policies"),
        (
            {"roles": {f"acs:ram::{SHOP}:role/x": {"attached": [KEYS]}}, "policies": POLICIES},
            ".attached[0]: a policy of another account",
        ),
        ({"roles": {WORKER: {"attached": ["keys"]}}}, ".attached[0]: expected a policy's ARN"),
    ],
)
def test_policies_of_a_world_are_checked(parts: dict[str, Any], message: str) -> None:
    """A policy has an owner that exists, and is attached to roles of that account, or of any if it is the vendor's."""
    with pytest.raises(Exception, match=r"^world: ") as caught:
        LocalCloud.from_world(world(**parts))
    assert message in str(caught.value)


def test_a_patch_keeps_what_calls_made_of_roles(begin: Begin) -> None:
    """A change from outside is merged into the roles as they are."""
    cloud = begin(roles={WORKER: {"trusts_services": [ecs_of(SHOP)]}}, policies=POLICIES)
    owner = Clients()
    owner.make_role("new", trusting(ecs_of(LAB)))
    owner.attach("worker", "share-keys")
    owner.change_role("worker", trusting(ecs_of(BANK)))
    cloud.patch({"roles": {SHARING_ROLE: {"trusts_services": [ecs_of(LAB)]}}})
    roles = cloud.world().roles
    assert set(roles) == {WORKER, SHARING_ROLE, f"acs:ram::{OWNER}:role/new"}
    assert roles[WORKER].trust_policy == read_trust_policy(trusting(ecs_of(BANK)))
    assert roles[WORKER].attached == (KEYS,)
    cloud.patch({"roles": {WORKER: None}})
    with refused("EntityNotExist.Role", 404):
        owner.role("worker")
