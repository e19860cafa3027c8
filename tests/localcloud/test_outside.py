"""What tests and stories do to a cloud from outside: the oracle, patches, hooks, the clock, and their HTTP paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from darabonba.exceptions import UnretryableException
from hypothesis import given
from hypothesis import strategies as st

from localcloud import HttpRequest, LocalCloud, RealClock, WorldError
from localcloud.inprocess import in_process
from localcloud.world import World, world_document
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    PARTNER_2,
    REGION,
    SHOP,
    THREE,
    TWO,
    UNKNOWN,
    Clients,
    acs3,
    answered,
    channels,
    image,
    outcome,
    refused,
    start,
    world,
)

Begin = Callable[..., LocalCloud]
GRANTS = {ONE: [SHOP, BANK, PARTNER], TWO: [BANK]}


def rows(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"image": image_id, "account": account, "channels": ["direct"]} for image_id, account in pairs]


def control(cloud: LocalCloud, method: str, path: str, body: bytes = b"", query: str = "") -> tuple[int, Any]:
    response = cloud.handle(HttpRequest(method, "127.0.0.1", f"/_localcloud/{path}", query, {}, body))
    return response.status, answered(response)


# --- the oracle


def test_the_oracle_tells_who_has_what(begin: Begin) -> None:
    """Sorted rows of pairs with access, whole or for one image, one account, or both."""
    cloud = begin(grants=GRANTS)
    assert cloud.access() == rows((ONE, SHOP), (ONE, BANK), (ONE, PARTNER), (TWO, BANK))
    assert cloud.access(image=ONE) == rows((ONE, SHOP), (ONE, BANK), (ONE, PARTNER))
    assert cloud.access(account=BANK) == rows((ONE, BANK), (TWO, BANK))
    assert cloud.access(image=TWO, account=BANK) == rows((TWO, BANK))
    assert cloud.access(image=TWO, account=SHOP) == cloud.access(image="m-x") == cloud.access(account="1") == []


def test_owners_and_community_images_are_no_shares(begin: Begin) -> None:
    """An owner's own images and images that everybody may use are not in the oracle."""
    cloud = begin(images={ONE: image("one", public=True), TWO: image("two")})
    assert cloud.access() == []
    Clients().share(TWO, SHOP)
    assert cloud.access() == rows((TWO, SHOP))


# --- patches


def test_a_patch_changes_what_it_names_and_nothing_else(begin: Begin) -> None:
    """Members, folders, images, grants, tags, quotas and switches change; the rest stays as it was."""
    cloud = begin(grants=GRANTS)
    before = cloud.world()
    cloud.patch(
        {
            "directory": {
                "folders": {"fd-new": {"name": "new", "parent": "fd-eu"}},
                "members": {LAB: {"folder": "fd-new", "tags": {"env": None, "x": "1"}}},
            },
            "images": {ONE: {"status": "Deprecated"}, "m-four": image("four"), THREE: None},
            "grants": {ONE: [BANK], "m-four": [LAB]},
            "quotas": {"accounts_per_image": 1},
            "switches": {"over_ten": "ignored"},
        }
    )
    after = cloud.world()
    assert after.directory is not None
    assert after.directory.members[LAB].tags == {"x": "1"}
    assert after.directory.members[SHOP] == before.directory.members[SHOP]  # type: ignore[union-attr]
    assert channels(cloud) == {ONE: {BANK}, TWO: {BANK}, "m-four": {LAB}}
    assert set(after.images) == {ONE, TWO, "m-four"}
    paths = {row["AccountId"]: row["ResourceDirectoryPath"] for row in Clients(MANAGEMENT).accounts()}
    assert paths[LAB] == f"rd-local1/r-local1/fd-prod/fd-eu/fd-new/{LAB}"
    with refused("QuotaExceed.ShareImageUser", 403):
        Clients().share(TWO, SHOP)


def test_who_leaves_goes_on_existing(begin: Begin) -> None:
    """A member taken out is outside and keeps its shares; one put in is no outsider any more."""
    cloud = begin(grants=GRANTS)
    cloud.patch({"directory": {"members": {BANK: None, PARTNER: {"name": "globex"}}}})
    assert cloud.world().outsiders == (BANK, PARTNER_2)
    assert channels(cloud) == {ONE: {SHOP, BANK, PARTNER}, TWO: {BANK}}
    Clients().share(THREE, BANK)
    assert [row["AccountId"] for row in Clients(MANAGEMENT).accounts()] == [OWNER, SHOP, LAB, PARTNER]
    cloud.patch({"directory": {"members": {BANK: {"name": "bank again"}}}})
    assert cloud.world().outsiders == (PARTNER_2,)
    cloud.patch({"directory": None})
    assert set(cloud.world().outsiders) == {MANAGEMENT, OWNER, SHOP, BANK, LAB, PARTNER, PARTNER_2}


def test_times_survive_a_patch(begin: Begin) -> None:
    """What a patch does not touch keeps when it was shared, joined and made; what it adds is new."""
    cloud = begin(grants=GRANTS)
    cloud.advance(3600)
    cloud.patch({"grants": {ONE: [SHOP, LAB]}, "directory": {"members": {SHOP: {"folder": "fd-test"}}}})
    shared = {row["AliyunId"]: row["SharedTime"] for row in Clients().permission(ONE)["Accounts"]["Account"]}
    assert shared == {SHOP: "2026-11-21T12:00:00Z", LAB: "2026-11-21T13:00:00Z"}
    times = {row["AccountId"]: (row["JoinTime"], row["ModifyTime"]) for row in Clients(MANAGEMENT).accounts()}
    assert times[SHOP] == ("2026-11-21T12:00:00.000Z", "2026-11-21T13:00:00.000Z")
    assert times[BANK] == ("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00.000Z")
    assert Clients().image(ONE)["CreationTime"] == "2026-11-21T12:00:00Z"


def test_a_patch_ends_what_was_under_way_only_if_it_says_so(begin: Begin) -> None:
    """Another status replaces the one that time would bring; other changes leave the making alone."""
    cloud = begin(delays={"image": 60})
    made = [
        answered(cloud.handle(acs3("CreateImage", {"RegionId": REGION, "InstanceId": "i-1", "ImageName": name})))[
            "ImageId"
        ]
        for name in ("first", "second")
    ]
    cloud.patch({"images": {made[0]: {"tags": {"a": "1"}}, made[1]: {"status": "CreateFailed"}}})
    assert [Clients().image(one)["Status"] for one in made] == ["Creating", "CreateFailed"]
    cloud.advance(60)
    assert [Clients().image(one)["Status"] for one in made] == ["Available", "CreateFailed"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"grants": {ONE: [UNKNOWN]}}, f'world: grants.{ONE}[0]: no account "{UNKNOWN}": '),
        ({"images": {ONE: None}}, f"world: grants.{ONE}: no such image in images"),
        (
            {"directory": {"folders": {"fd-prod": None}}},
            'world: directory.folders.fd-eu.parent: no folder "fd-prod"; known: ',
        ),
        ({"outsiders": []}, f'world: access_keys.KEY{PARTNER}.account: no account "{PARTNER}": '),
        ({"outsiders": [PARTNER, SHOP]}, f'world: outsiders[1]: account "{SHOP}" belongs to the directory'),
        ({"outsiders": 5}, "world: outsiders: expected a list, found a number"),
        ({"directory": 5}, "world: directory: expected a mapping, found a number"),
        ({"directory": {"members": 5}}, "world: directory.members: expected a mapping, found a number"),
        ({"faults": {}}, "world: faults: expected a list, found a mapping"),
        ({"colour": 1}, "world: colour: unknown key; known: "),
        ({"resource_shares": {"rs-x": {}}}, 'world: resource_shares.rs-x: the key "owner" is missing'),
        ([], "world: expected a mapping"),
    ],
)
def test_a_bad_patch_changes_nothing(begin: Begin, part: Any, message: str) -> None:
    """A patch is checked like a world file, as a whole, before anything is changed."""
    cloud = begin(grants=GRANTS)
    before = cloud.world()
    part = {**part, "quotas": {"accounts_per_image": 1}} if isinstance(part, dict) else part
    with pytest.raises(WorldError) as caught:
        cloud.patch(part)
    assert str(caught.value).startswith(message)
    assert cloud.world() == before
    assert control(cloud, "PATCH", "world", msgspec.json.encode(part)) == (400, {"error": str(caught.value)})
    assert cloud.world() == before


def test_faults_are_replaced_as_a_whole(begin: Begin) -> None:
    """New faults begin to count at once; a patch without faults leaves the counting alone."""
    cloud = begin(faults=[{"operation": "*", "kind": "error", "every": 2}])
    ask = {"RegionId": REGION, "ImageId": ONE}

    def code() -> str:
        return outcome(cloud.handle(acs3("DescribeImageSharePermission", ask)))[1]

    assert code() == ""
    cloud.patch({"quotas": {"accounts_per_image": 5}})
    assert code() == "InternalError"
    cloud.patch({"faults": [{"operation": "*", "kind": "throttle", "times": 1}]})
    assert [code(), code()] == ["Throttling.User", ""]
    cloud.patch({"faults": None})
    assert {code() for _ in range(4)} == {""}


def test_the_state_is_a_world_again(begin: Begin) -> None:
    """A cloud started from another's world has the same organization, images and shares."""
    cloud = begin(grants=GRANTS, delays={"image": 5})
    Clients().share(THREE, LAB, MANAGEMENT)
    cloud.patch({"directory": {"members": {SHOP: None}}})
    again = LocalCloud.from_world(world_document(cloud.world()))
    assert again.world() == cloud.world()
    assert again.access() == cloud.access()


def test_changes_of_the_world_respect_the_delays(begin: Begin) -> None:
    """A change from outside is as late in the lists as one through the API."""
    cloud = begin(delays={"membership": 10, "share": 20})
    cloud.patch({"directory": {"members": {SHOP: None}}, "grants": {ONE: [LAB]}})
    assert SHOP in [row["AccountId"] for row in Clients(MANAGEMENT).accounts()]
    assert Clients().shared_with(ONE) == []
    cloud.advance(20)
    assert SHOP not in [row["AccountId"] for row in Clients(MANAGEMENT).accounts()]
    assert Clients().shared_with(ONE) == [LAB]


# --- hooks


def test_every_write_is_announced(begin: Begin) -> None:
    """The hook sees the state after each writing call and each patch, whatever the client learns of it."""
    cloud = begin(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "lost-answer", "every": 3}])
    seen: list[dict[str, set[str]]] = []
    cloud.on_write(lambda changed: seen.append(channels(changed)))
    owner = Clients()
    owner.share(ONE, SHOP)
    owner.images()
    owner.shared_with(ONE)
    with refused("InvalidAccount.NotFound", 404):
        owner.share(ONE, UNKNOWN)
    cloud.handle(acs3("ModifyImageSharePermission", {"RegionId": REGION, "ImageId": ONE, "AddAccount.1": BANK}))
    cloud.patch({"grants": {ONE: None, TWO: [LAB]}})
    assert seen == [{ONE: {SHOP}}, {ONE: {SHOP}}, {ONE: {SHOP, BANK}}, {TWO: {LAB}}]


def test_a_call_that_is_not_performed_is_not_announced(begin: Begin) -> None:
    """Refused signatures, throttled calls and calls without an answer write nothing."""
    cloud = begin(faults=[{"operation": "*", "kind": "no-answer", "every": 2}])
    seen: list[LocalCloud] = []
    cloud.on_write(seen.append)
    ask = {"RegionId": REGION, "ImageId": ONE, "AddAccount.1": SHOP}
    cloud.handle(acs3("ModifyImageSharePermission", ask, secret="other"))
    assert seen == []
    cloud.handle(acs3("ModifyImageSharePermission", ask))
    cloud.handle(acs3("ModifyImageSharePermission", ask))
    assert seen == [cloud]


def test_what_a_hook_raises_reaches_the_caller() -> None:
    """A broken invariant fails the call, and the test even if the client survives the failed call."""
    cloud = start()

    def check(changed: LocalCloud) -> None:
        assert not changed.access(account=LAB), "the lab must never have it"

    cloud.on_write(check)

    def story() -> None:
        with in_process(cloud):
            Clients().share(ONE, SHOP)
            with pytest.raises(UnretryableException, match="the lab must never have it"):
                Clients().share(ONE, LAB)

    with pytest.raises(AssertionError, match="the lab must never have it"):
        story()
    ask = {"RegionId": REGION, "ImageId": TWO, "AddAccount.1": LAB}
    with pytest.raises(AssertionError):
        cloud.handle(acs3("ModifyImageSharePermission", ask))
    assert len(cloud.broken) == 2


# --- the paths under /_localcloud/


def test_the_oracle_over_http(begin: Begin) -> None:
    """GET access answers with the contract's document, filtered by the query."""
    cloud = begin(grants=GRANTS)
    assert control(cloud, "GET", "access") == (200, {"access": cloud.access()})
    assert control(cloud, "GET", "access", query=f"image={ONE}&account={BANK}") == (200, {"access": rows((ONE, BANK))})
    assert control(cloud, "GET", "access", query="image=&account=") == (200, {"access": cloud.access()})


def test_the_world_over_http(begin: Begin) -> None:
    """GET world shows the state, PATCH changes it."""
    cloud = begin(grants=GRANTS)
    assert control(cloud, "PATCH", "world", msgspec.json.encode({"grants": {ONE: None}})) == (200, {})
    status, document = control(cloud, "GET", "world")
    assert (status, document["grants"]) == (200, {TWO: [BANK]})


def test_the_clock_over_http(cloud: LocalCloud) -> None:
    """POST clock moves a manual clock forward; a real one stays."""
    assert control(cloud, "POST", "clock", b'{"advance": 90.5}') == (200, {"now": "2026-11-21T12:01:30.500Z"})
    for body in (b"", b"[]", b"{}", b'{"advance": "1"}'):
        assert control(cloud, "POST", "clock", body) == (400, {"error": 'body: expected {"advance": seconds}'})
    assert control(cloud, "POST", "clock", b'{"advance": -1}') == (400, {"error": "a clock moves forward only"})
    real = LocalCloud.from_world(world(), clock=RealClock())
    why = "the clock is real; only a manual clock can be moved"
    assert control(real, "POST", "clock", b'{"advance": 1}') == (400, {"error": why})


def test_other_paths_and_broken_bodies(cloud: LocalCloud) -> None:
    """What does not exist is 404, what is no JSON is 400."""
    assert control(cloud, "GET", "nothing") == (404, {"error": "no such path: GET /_localcloud/nothing"})
    assert control(cloud, "POST", "access")[0] == 404
    assert control(cloud, "PATCH", "world", b"{")[1]["error"].startswith("body: not JSON: ")
    deep = b'{"a":' * 3000 + b"1" + b"}" * 3000
    assert control(cloud, "PATCH", "world", deep) == (400, {"error": "body: nested too deeply"})


# --- the indexes agree with the plain truth


ACCOUNTS = [OWNER, SHOP, BANK, LAB]
IDS = [f"m-{number}" for number in range(4)]
_IMAGE = st.fixed_dictionaries(
    {
        "owner": st.sampled_from([OWNER, SHOP]),
        "region": st.sampled_from([REGION, FAR]),
        "name": st.sampled_from(["a", "b"]),
        "public": st.booleans(),
    }
)
_STEP = st.dictionaries(
    st.sampled_from(IDS), st.none() | st.tuples(_IMAGE, st.sets(st.sampled_from(ACCOUNTS))), max_size=3
)


@given(st.lists(_STEP, max_size=5))
def test_listings_agree_with_the_state_after_any_changes(steps: list[dict[str, Any]]) -> None:
    """Whatever images and shares come, move and go, each list shows exactly what the world says."""
    cloud = start(world(images={}))
    for step in steps:
        part: dict[str, Any] = {"images": {}, "grants": {}}
        for image_id, wanted in step.items():
            part["images"][image_id] = wanted and wanted[0]
            part["grants"][image_id] = wanted and sorted(wanted[1] - {wanted[0]["owner"]})
        cloud.patch(part)
        state = cloud.world()
        for account in ACCOUNTS:
            for region in (REGION, FAR):
                assert _shown(cloud, account, region, "self") == _expected(state, account, region, "self")
                assert _shown(cloud, account, region, "others") == _expected(state, account, region, "others")
                assert _shown(cloud, account, region, "others", IsPublic="true") == _expected(
                    state, account, region, "public"
                )
        pairs = {(row["image"], row["account"]) for row in cloud.access()}
        assert pairs == {(one, account) for one, accounts in state.grants.items() for account in accounts}
        assert pairs == {(row["image"], row["account"]) for one in ACCOUNTS for row in cloud.access(account=one)}


def _shown(cloud: LocalCloud, account: str, region: str, alias: str, **more: str) -> list[str]:
    params = {"RegionId": region, "ImageOwnerAlias": alias, "PageSize": "100", **more}
    answer = answered(cloud.handle(acs3("DescribeImages", params, account=account)))
    return [row["ImageId"] for row in answer["Images"]["Image"]]


def _expected(state: World, account: str, region: str, kind: str) -> list[str]:
    return sorted(
        image_id
        for image_id, spec in state.images.items()
        if spec.region == region
        and {
            "self": spec.owner == account,
            "others": account in state.grants.get(image_id, ()),
            "public": spec.public and spec.owner != account,
        }[kind]
    )
