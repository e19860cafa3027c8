"""Worlds are read strictly: what is wrong is named with its place, and nothing is guessed."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import World, WorldError, load_world, parse_world
from localcloud.world import merged, read_yaml, world_document
from tests.support.cloud import BANK, MANAGEMENT, ONE, OWNER, PARTNER, REGION, SHOP, UNKNOWN, image, world

SAMPLES = resources.files("localcloud") / "samples"


NOWHERE = "it is neither management, nor in members, nor in outsiders"


def error(document: object) -> str:
    with pytest.raises(WorldError) as caught:
        parse_world(document, source="world.yaml")
    text = str(caught.value)
    assert "\n" not in text
    return text


def changed(path: str, value: Any) -> dict[str, Any]:
    """The usual world with one value put somewhere else."""
    document = copy.deepcopy(world())
    at: Any = document
    *above, last = path.split("/")
    for key in above:
        at = at.setdefault(key, {})
    at[last] = value
    return document


def share(**fields: Any) -> dict[str, Any]:
    """A resource share of OWNER in REGION."""
    return {"owner": OWNER, "region": REGION, "name": "x", **fields}


def test_resource_shares_are_read_whole() -> None:
    """All keys of a resource share are kept, images and targets once each, and `root` becomes the id."""
    document = world(
        switches={"root_folder_target": "accepted"},
        resource_shares={
            "rs-x": share(
                images=[ONE, ONE],
                targets=["rd-local1", "fd-gone", "root", SHOP],
                tags={"a": "b"},
                allow_external=True,
                created="2026-11-01T00:00:00Z",
            )
        },
    )
    found = parse_world(document)
    assert found.resource_shares["rs-x"].images == (ONE,)
    assert found.resource_shares["rs-x"].targets == ("rd-local1", "fd-gone", "r-local1", SHOP)
    assert parse_world(world_document(found)) == found


def test_the_contracts_world_is_read_with_all_its_keys() -> None:
    """The small sample is a world; it has every key of the contract that is built."""
    found = load_world(Path(str(SAMPLES / "world-small.yaml")))
    assert found.directory is not None
    assert found.directory.members[SHOP].tags == {"env": "prod"}
    assert found.grants == {"m-gold0000000000000001": (PARTNER,)}
    assert found.resource_shares["rs-hand1"].targets == ("fd-prod",)
    assert found.flow_control["ecs:ModifyImageSharePermission"].limit == 200


def test_every_sample_is_a_world() -> None:
    """Whatever sample is shipped can be served."""
    names = [sample.name for sample in SAMPLES.iterdir() if sample.name.endswith(".yaml")]
    assert names
    for name in names:
        load_world(Path(str(SAMPLES / name)))


def test_an_empty_world_is_a_world() -> None:
    """Everything has a default."""
    assert parse_world({}) == World()


def test_a_world_survives_being_written_and_read() -> None:
    """The document of a world makes the same world."""
    found = parse_world(
        world(faults=[{"operation": "*", "kind": "error", "every": 2}], sites={PARTNER: "international"})
    )
    assert parse_world(world_document(found)) == found


def test_root_has_a_name_and_an_id() -> None:
    """`root` and `r-local1` mean the same folder."""
    named = parse_world(
        {
            "directory": {
                "id": "rd-1",
                "management": MANAGEMENT,
                "folders": {"fd-a": {"name": "a", "parent": "r-local1"}},
                "members": {OWNER: {"name": "o", "folder": "r-local1"}},
            }
        }
    )
    assert named.directory is not None
    assert named.directory.folders["fd-a"].parent == "root"
    assert named.directory.members[OWNER].folder == "root"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "directory/members",
            {1000000000000009: {}},
            'directory.members."1000000000000009": put the account id in quotes',
        ),
        ("outsiders", [2000000000000001], 'outsiders[0]: put the account id in quotes: "2000000000000001"'),
        ("outsiders", ["abc"], "outsiders[0]: expected an account id of digits in quotes, found 'abc'"),
        ("outsiders", [SHOP], f'outsiders[0]: account "{SHOP}" belongs to the directory'),
        ("directory/management", SHOP, "directory.management: no member of its own directory; take it out of members"),
        ("directory/id", "local", "directory.id: expected an id such as \"rd-local1\", found 'local'"),
        (
            "directory/colour",
            1,
            "directory.colour: unknown key; known: id, management, sharing_enabled, folders, members",
        ),
        ("directory/sharing_enabled", "yes", "directory.sharing_enabled: expected true or false, found text"),
        (
            "directory/folders/fd-x",
            {"name": "x", "parent": "fd-y"},
            'directory.folders.fd-x.parent: no folder "fd-y"; known: root, fd-eu, fd-prod, fd-test, fd-x',
        ),
        (
            "directory/folders/fd-prod/parent",
            "fd-eu",
            "directory.folders.fd-prod.parent: the folders go in a circle: fd-prod -> fd-eu -> fd-prod",
        ),
        ("directory/folders/prod", {}, 'directory.folders.prod: expected a folder id such as "fd-prod"'),
        ("directory/folders/fd-x", {"name": "x"}, 'directory.folders.fd-x: the key "parent" is missing'),
        (
            f"directory/members/{SHOP}/folder",
            "fd-x",
            f'directory.members."{SHOP}".folder: no folder "fd-x"; known: root, fd-eu, fd-prod, fd-test',
        ),
        (
            f"directory/members/{SHOP}/tags/n",
            1,
            f'directory.members."{SHOP}".tags.n: expected text, found a number; put it in quotes',
        ),
        (
            f"directory/members/{SHOP}/joined",
            "born",
            f"directory.members.\"{SHOP}\".joined: expected one of invited, created, found 'born'",
        ),
        ("images/m-one/owner", 5, 'images.m-one.owner: put the account id in quotes: "5"'),
        (
            "images/m-one/owner",
            UNKNOWN,
            f'images.m-one.owner: no account "{UNKNOWN}": {NOWHERE}',
        ),
        (
            "images/m-one/status",
            "Ready",
            "images.m-one.status: expected one of "
            "Creating, Waiting, Available, UnAvailable, CreateFailed, Deprecated, found 'Ready'",
        ),
        (
            "images/m-one/encryption",
            "yes",
            "images.m-one.encryption: expected one of none, cmk, service-key, found 'yes'",
        ),
        ("images/m-one/public", "no", "images.m-one.public: expected true or false, found text"),
        ("images/m-one/size", 0, "images.m-one.size: expected a whole number of 1 or more, found 0"),
        ("images/m-one/created", "yesterday", 'images.m-one.created: expected a time such as "2026-11-01T00:00:00Z"'),
        ("images/m-one/service", "eds", "images.m-one.service: eds: not in this version"),
        ("images/i-1", {}, 'images.i-1: expected an image id such as "m-gold1"'),
        ("grants/m-x", [SHOP], "grants.m-x: no such image in images"),
        (
            "grants/m-one",
            [UNKNOWN],
            f'grants.m-one[0]: no account "{UNKNOWN}": {NOWHERE}',
        ),
        ("grants/m-one", [SHOP, OWNER], "grants.m-one[1]: the owner needs no grant"),
        ("grants/m-one", SHOP, "grants.m-one: expected a list, found text"),
        ("access_keys/K", {"secret": "s"}, 'access_keys.K: the key "account" is missing'),
        (
            "access_keys/K",
            {"secret": "s", "account": UNKNOWN},
            f'access_keys.K.account: no account "{UNKNOWN}": {NOWHERE}',
        ),
        (
            "access_keys/STS.x",
            {"secret": "s", "account": SHOP},
            'access_keys."STS.x": "STS." is kept for temporary keys',
        ),
        ("roles/reader", {}, 'roles.reader: expected a name such as "acs:ram::1000000000000001:role/reader"'),
        (
            f"roles/acs:ram::{MANAGEMENT}:role",
            {},
            f'roles."acs:ram::{MANAGEMENT}:role": expected a name such as "acs:ram::1000000000000001:role/reader"',
        ),
        ("quotas/accounts_per_image", "50", "quotas.accounts_per_image: expected a whole number, found text"),
        ("quotas/accounts_per_image", True, "quotas.accounts_per_image: expected a whole number, found a boolean"),
        (
            "flow_control/ecs:Describe",
            {"limit": 1, "window": 1},
            'flow_control."ecs:Describe": no operation "ecs:Describe"; known: ecs:CopyImage, ',
        ),
        (
            "flow_control/sts:AssumeRole",
            {"limit": 1, "window": 0},
            'flow_control."sts:AssumeRole".window: expected a number above 0',
        ),
        ("latency/seconds", -1, "latency.seconds: expected a number of 0 or more"),
        ("latency/seconds", float("inf"), "latency.seconds: expected a number of 0 or more"),
        ("delays/weather", 1, "delays.weather: unknown key; known: association, coverage, membership, image, share"),
        ("switches/over_ten", "second", "switches.over_ten: expected one of first, ignored, found 'second'"),
        ("switches/is_self_shared", True, "switches.is_self_shared: expected one of absent, bool, string, found true"),
        ("switches/nested_folder_targets", "yes", "switches.nested_folder_targets: expected true or false, found text"),
        (
            "faults",
            [{"operation": "*", "kind": "error"}],
            "faults[0]: expected exactly one of every, times and probability",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 1, "times": 1}],
            "faults[0]: expected exactly one of every, times and probability",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "fire", "every": 1}],
            "faults[0].kind: expected one of throttle, error, ",
        ),
        (
            "faults",
            [{"operation": "kms:Get", "kind": "error", "every": 1}],
            'faults[0].operation: no operation "kms:Get"; known: ecs:CopyImage, ',
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 0}],
            "faults[0].every: expected a whole number of 1 or more, found 0",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "probability": 2}],
            "faults[0].probability: expected a number of 0 or more and at most 1",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "killed", "every": 1}],
            "faults[0].kind: only in a world with functions, as an instance of one dies",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "malformed", "every": 1, "code": "X"}],
            "faults[0].code: only for the kinds error and throttle",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 1, "status": 200}],
            "faults[0].status: expected a whole number of 400 or more, found 200",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 1, "status": 700}],
            "faults[0].status: expected an HTTP error status, found 700",
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 1, "account": UNKNOWN}],
            f'faults[0].account: no account "{UNKNOWN}": ',
        ),
        (
            "faults",
            [{"operation": "*", "kind": "error", "every": 1, "region": "mars-1"}],
            "faults[0].region: expected one of ",
        ),
        ("regions", ["mars-1"], "regions[0]: expected one of cn-qingdao, "),
        ("regions", [], "regions: expected at least one region"),
        ("regions", ["ap-southeast-1"], f"images.m-one.region: expected one of ap-southeast-1, found '{REGION}'"),
        ("sites", {PARTNER: "mars"}, f"sites.\"{PARTNER}\": expected one of china, international, found 'mars'"),
        ("resource_shares/x", {}, 'resource_shares.x: expected an id such as "rs-hand1"'),
        ("resource_shares/rs-x", {"owner": OWNER}, 'resource_shares.rs-x: the key "region" is missing'),
        ("resource_shares/rs-x", share(colour=1), "resource_shares.rs-x.colour: unknown key; known: owner, region, "),
        ("resource_shares/rs-x", share(owner=5), 'resource_shares.rs-x.owner: put the account id in quotes: "5"'),
        (
            "resource_shares/rs-x",
            share(owner=UNKNOWN),
            f'resource_shares.rs-x.owner: no account "{UNKNOWN}": {NOWHERE}',
        ),
        (
            "resource_shares/rs-x",
            share(name="a b"),
            "resource_shares.rs-x.name: expected a name of at most 50 letters, digits, dots, hyphens and underscores, "
            "found 'a b'",
        ),
        ("resource_shares/rs-x", share(images=["m-x"]), "resource_shares.rs-x.images[0]: no such image in images"),
        (
            "resource_shares/rs-x",
            share(images=[ONE], owner=SHOP),
            "resource_shares.rs-x.images[0]: not an image of the share's owner in its region",
        ),
        (
            "resource_shares/rs-x",
            share(images=[ONE], region="cn-beijing"),
            "resource_shares.rs-x.images[0]: not an image of the share's owner in its region",
        ),
        (
            "resource_shares/rs-x",
            share(targets=["prod"]),
            "resource_shares.rs-x.targets[0]: expected the id of the directory, a folder or an account, found 'prod'",
        ),
        ("resource_shares/rs-x", share(targets=[OWNER]), "resource_shares.rs-x.targets[0]: the owner needs no share"),
        (
            "resource_shares/rs-x",
            share(targets=[SHOP, UNKNOWN]),
            f'resource_shares.rs-x.targets[1]: no account "{UNKNOWN}": {NOWHERE}',
        ),
        (
            "resource_shares/rs-x",
            share(targets=["rd-other"]),
            "resource_shares.rs-x.targets[0]: not the id of the directory",
        ),
        (
            "resource_shares/rs-x",
            share(targets=["root"]),
            "resource_shares.rs-x.targets[0]: the Root folder is no target while the switch root_folder_target is "
            "refused",
        ),
        (
            "resource_shares/rs-x",
            share(targets=["r-other"]),
            "resource_shares.rs-x.targets[0]: the Root folder's id is r-local1",
        ),
        (
            "resource_shares/rs-x",
            share(created="yesterday"),
            'resource_shares.rs-x.created: expected a time such as "2026-11-01T00:00:00Z"',
        ),
        (
            "resource_shares/rs-x",
            share(allow_external="no"),
            "resource_shares.rs-x.allow_external: expected true or false, found text",
        ),
        ("quotas/resource_shares", -1, "quotas.resource_shares: expected a whole number of 0 or more, found -1"),
        (
            "switches/root_folder_target",
            True,
            "switches.root_folder_target: expected one of accepted, refused, found true",
        ),
        (
            "faults",
            [{"operation": "resourcesharing:*", "kind": "fail-association", "every": 1}],
            "faults[0].kind: only for the operation resourcesharing:AssociateResourceShare",
        ),
        ("colour", 1, "colour: unknown key; known: directory, outsiders, "),
        ("grants", [], "grants: expected a mapping, found a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(path: str, value: Any, message: str) -> None:
    """File, place, what is wrong and what was expected, in one line."""
    text = error(changed(path, value))
    assert text.startswith(f"world.yaml: {message}")
    if not message.endswith((", ", ": ", "of ")):
        assert text == f"world.yaml: {message}"


ROLE = f"acs:ram::{MANAGEMENT}:role/reader"
READ = {"Effect": "Allow", "Action": "resourcemanager:Get*", "Resource": ["*"]}
ALWAYS = {"Version": "1", "Statement": [READ]}
TRUST: dict[str, Any] = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["fc.aliyuncs.com"]}}],
}


def test_policies_and_trust_policies_are_read_whole() -> None:
    """Every element is kept, texts become lists of one, and the world's document makes the same world again."""
    condition = {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}, "Bool": {"acs:SecureTransport": [True]}}
    actions = ["oss:*", "sts:*"]
    within = {"Effect": "Deny", "NotAction": actions, "Resource": "acs:ecs:*:*:image/m-?", "Condition": condition}
    role = {"trust_policy": TRUST, "policies": [ALWAYS, {"Version": "1", "Statement": [READ, within]}]}
    keys = {"KEYUSER": {"secret": "s", "account": OWNER, "user": "alice", "policies": []}}
    found = parse_world(world(roles={ROLE: role}, access_keys=keys))
    assert parse_world(world_document(found)) == found
    document = json.loads(json.dumps(world_document(found)))
    trusting = {**TRUST["Statement"][0], "Action": ["sts:AssumeRole"]}
    assert document["roles"][ROLE]["trust_policy"] == {"Version": "1", "Statement": [trusting]}
    assert document["roles"][ROLE]["policies"][1]["Statement"][1] == {
        "Effect": "Deny",
        "NotAction": ["oss:*", "sts:*"],
        "Resource": ["acs:ecs:*:*:image/m-?"],
        "Condition": {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8"]}, "Bool": {"acs:SecureTransport": ["true"]}},
    }
    assert document["access_keys"]["KEYUSER"]["policies"] == []
    assert "policies" not in world_document(parse_world(world(roles={ROLE: {}})))["roles"][ROLE]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Effect": "Perhaps"}, "Statement[0].Effect: expected Allow or Deny"),
        ({"Action": []}, 'Statement[0].Action: expected an action such as "ecs:DescribeImages" or "ecs:*"'),
        (
            {"Action": "DescribeImages"},
            'Statement[0].Action: expected an action such as "ecs:DescribeImages" or "ecs:*", found \'DescribeImages\'',
        ),
        ({"NotAction": "oss:*"}, "Statement[0]: expected either Action or NotAction"),
        (
            {"Resource": "acs:ecs:image/m-1"},
            "Statement[0].Resource: expected \"*\" or acs:CODE:REGION:ACCOUNT:RESOURCE, found 'acs:ecs:image/m-1'",
        ),
        ({"NotResource": "*"}, "Statement[0].NotResource: this element is not served; served: Effect, Action, "),
        ({"Principal": {"RAM": "*"}}, "Statement[0].Principal: this element is not served; served: Effect, "),
        ({"Condition": []}, "Statement[0].Condition: expected a mapping"),
        (
            {"Condition": {"NumericEquals": {"acs:CurrentTime": "1"}}},
            "Statement[0].Condition.NumericEquals: this operator is not served; served: StringEquals, ",
        ),
        (
            {"Condition": {"StringEquals": {"acs:ResourceTag/team": "dev"}}},
            "Statement[0].Condition.StringEquals.acs:ResourceTag/team: this condition key is not served; served: ",
        ),
        (
            {"Condition": {"StringLike": {"acs:SourceIp": "10.*"}}},
            'Statement[0].Condition.StringLike."acs:SourceIp": StringLike is for keys that hold text',
        ),
        (
            {"Condition": {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8", "home"]}}},
            'Statement[0].Condition.IpAddress."acs:SourceIp": expected an address, or a list of that',
        ),
        (
            {"Condition": {"Bool": {"acs:MFAPresent": "perhaps"}}},
            'Statement[0].Condition.Bool."acs:MFAPresent": expected true or false, or a list of that',
        ),
        (
            {"Condition": {"DateLessThan": {"acs:CurrentTime": "tomorrow"}}},
            'Statement[0].Condition.DateLessThan."acs:CurrentTime": expected a time, or a list of that',
        ),
    ],
)
def test_what_a_policy_asks_for_is_served_or_refused(statement: dict[str, Any], message: str) -> None:
    """An operator, a key or an element that is not evaluated is an error with its place, never ignored."""
    policy = {"Version": "1", "Statement": [{**READ, **statement}]}
    text = error(world(roles={ROLE: {"policies": [ALWAYS, policy]}}))
    assert text.startswith(f'world.yaml: roles."{ROLE}".policies[1]: {message}')


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("Allow", "expected a mapping"),
        ({"Statement": [READ]}, 'the element "Version" is missing'),
        ({"Version": 1, "Statement": [READ]}, 'Version: expected "1" in quotes'),
        ({"Version": "1", "Statement": []}, "Statement: expected a list of at least one statement"),
        ({"Version": "1", "Statement": ["Allow"]}, "Statement[0]: expected a mapping"),
        (
            {"Version": "1", "Statement": [READ], "Id": "x"},
            "Id: this element is not served; served: Version, Statement",
        ),
    ],
)
def test_the_frame_of_a_policy(policy: Any, message: str) -> None:
    """A policy is its version and a list of statements."""
    assert error(world(roles={ROLE: {"policies": [policy]}})) == f'world.yaml: roles."{ROLE}".policies[0]: {message}'


@pytest.mark.parametrize(
    ("principal", "message"),
    [
        ({}, "Statement[0].Principal: expected RAM or Service"),
        ({"RAM": OWNER}, "Statement[0].Principal.RAM: expected a principal such as "),
        ({"Service": "example.com"}, 'Statement[0].Principal.Service: expected a service such as "fc.aliyuncs.com"'),
        ({"Federated": "x"}, "Statement[0].Principal.Federated: this element is not served; served: RAM, Service"),
    ],
)
def test_who_can_be_trusted(principal: Any, message: str) -> None:
    """A trust policy names accounts, users, roles and services; identity providers are not served."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    text = error(world(roles={ROLE: {"trust_policy": {"Version": "1", "Statement": [statement]}}}))
    assert text.startswith(f'world.yaml: roles."{ROLE}".trust_policy: {message}')


def test_a_key_with_policies_is_a_users() -> None:
    """An account's own key is limited by nothing, so one with policies is of a user, called like the key if at all."""
    keys = {name: {"secret": "s", "account": OWNER, "policies": []} for name in ("KEYONE", "KEYTWO", "KEYTHREE")}
    keys["KEYTWO"]["user"] = "alice"
    found = parse_world(world(access_keys=keys))
    assert [found.access_keys[name].user for name in keys] == ["KEYONE", "alice", "KEYTHREE"]
    assert parse_world(world_document(found)) == found
    keys = {"A KEY": {"secret": "s", "account": OWNER, "policies": []}}
    assert error(world(access_keys=keys)).startswith('world.yaml: access_keys."A KEY": expected a user\'s name')


def test_folders_go_five_levels_deep() -> None:
    """Five levels under root are a world, six are not."""
    folders = {f"fd-{n}": {"name": f"{n}", "parent": f"fd-{n - 1}" if n else "root"} for n in range(6)}
    directory = {"id": "rd-1", "management": MANAGEMENT, "folders": folders}
    assert error({"directory": directory}) == "world.yaml: directory.folders.fd-5: 6 levels under root, at most 5"
    del folders["fd-5"]
    parse_world({"directory": directory})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "w.yaml: expected a mapping, found nothing"),
        ("- 1", "w.yaml: expected a mapping, found a list"),
        ("a: [1\nb: 2", "w.yaml: line 2, column 2: "),
        ("grants: {}\ngrants: {}", 'w.yaml: line 2, column 1: the key "grants" is there twice'),
        ("images:\n  m-1: {name: a, name: b}", 'w.yaml: line 2, column 18: the key "name" is there twice'),
        ("a: \x00", "w.yaml: not YAML: "),
        ("a: !!python/object:os.system {}", "w.yaml: line 1, column 4: could not determine a constructor"),
        ("a: " + "[" * 5000, "w.yaml: nested too deeply (more than 20 levels)"),
    ],
)
def test_files_that_are_no_world(tmp_path: Path, text: str, message: str) -> None:
    """Bad YAML, double keys and bottomless nesting are one line each, never a traceback."""
    path = tmp_path / "w.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WorldError) as caught:
        load_world(path)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory and other encodings are named."""
    with pytest.raises(WorldError, match=r"^w\.yaml: cannot be read: No such file"):
        load_world(tmp_path / "w.yaml")
    with pytest.raises(WorldError, match="cannot be read: Is a directory"):
        load_world(tmp_path)
    (tmp_path / "w.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(WorldError, match=r"^w\.yaml: is not UTF-8 text \(byte 0\)$"):
        load_world(tmp_path / "w.yaml")


def test_yaml_is_read_like_json_where_it_can_be() -> None:
    """Plain data of all kinds comes through."""
    assert read_yaml('a: [1, 2.5, true, null, "x", {b: c}]', source="w") == {"a": [1, 2.5, True, None, "x", {"b": "c"}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.dictionaries(st.text(max_size=2), JSON, max_size=4))
def test_merging_is_json_merge_patch(document: dict[str, Any], part: dict[str, Any]) -> None:
    """Merging follows RFC 7386, twice changes no more than once, and leaves its inputs alone."""

    def reference(target: Any, patch: Any) -> Any:
        if not isinstance(patch, dict):
            return patch
        result = dict(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = reference(result.get(key), value)
        return result

    before, part_before = copy.deepcopy(document), copy.deepcopy(part)
    once = merged(document, part)
    assert once == reference(document, part)
    assert merged(once, part) == once
    assert (document, part) == (before, part_before)


@given(st.dictionaries(st.sampled_from(sorted(World.__struct_fields__)), JSON, max_size=3))
def test_any_data_is_a_world_or_one_line(part: dict[str, Any]) -> None:
    """Nothing but WorldError ever comes out of reading, and its text is one line."""
    why = ""
    try:
        parse_world({**world(), **part})
    except WorldError as problem:
        why = str(problem)
    assert "\n" not in why


@pytest.mark.parametrize("owner", ["system", "marketplace"])
def test_images_of_the_vendor_belong_to_no_account(owner: str) -> None:
    """System and marketplace images need no account, and cannot be granted."""
    document = world(images={ONE: image("one", owner=owner)})
    parse_world(document)
    assert (
        error({**document, "grants": {ONE: [BANK]}})
        == f"world.yaml: grants.{ONE}: an image of {owner} cannot be granted"
    )


def test_messages_do_not_depend_on_how_the_world_came(tmp_path: Path) -> None:
    """A file and a document with the same mistake say the same."""
    path = tmp_path / "world.yaml"
    path.write_text("images: {m-1: {name: x}}", encoding="utf-8")
    with pytest.raises(WorldError) as caught:
        load_world(path)
    assert str(caught.value) == error({"images": {"m-1": {"name": "x"}}})
