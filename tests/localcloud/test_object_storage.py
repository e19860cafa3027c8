"""Object storage as its documents describe it, through the official SDK."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.exceptions import OperationError, RequestError
from alibabacloud_oss_v2.signer import SignerV4
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends

from localcloud import HttpRequest, LocalCloud, LogEntry, ManualClock, WorldError
from localcloud.catalog import OBJECT_OPERATIONS, OBJECT_STORAGE, object_host
from localcloud.inprocess import in_process
from localcloud.oss.errors import ERRORS
from localcloud.oss.responses import SERVED
from localcloud.server import serving
from tests.support.cloud import FAR, MANAGEMENT, OWNER, REGION, SHOP, START, Clients, key_of, start, world
from tests.support.objects import (
    BUCKETS,
    FAR_BUCKET,
    NEAR_BUCKET,
    SHOP_BUCKET,
    SUSPENDED,
    VERSIONED,
    Objects,
    storage_refuses,
)

ROLE = f"acs:ram::{OWNER}:role/orgshare"
DENIED = "AccessDenied"


@pytest.fixture
def stored(begin: Callable[..., LocalCloud]) -> LocalCloud:
    """The usual world with buckets and a role of their owner."""
    return begin(buckets=BUCKETS, roles={ROLE: {"trusts": [MANAGEMENT]}})


@pytest.fixture
def objects(stored: LocalCloud) -> Objects:
    """The owner's client for a plain bucket."""
    return Objects()


# --- objects


def test_an_object_is_stored_read_and_removed(objects: Objects) -> None:
    """What was put is what is got, until it is deleted; names may hold anything."""
    content = bytes(range(256)) * 20
    for key in ("plain", "a/b/c", "with space & <markup> + plus", "häuser/日本", ".dot"):
        answer = objects.put(key, content, content_type="text/plain")
        found = objects.found(key)
        assert found.body.read() == content
        assert found.content_type == "text/plain"
        assert found.object_type == "Normal"
        assert found.etag == answer.etag == f'"{answer.etag.strip(chr(34)).upper()}"'
        assert found.hash_crc64 == answer.hash_crc64
        assert objects.delete(key).status_code == 204
        with storage_refuses("NoSuchKey", 404):
            objects.get(key)


def test_deleting_what_is_not_there_is_no_error(objects: Objects) -> None:
    """DeleteObject answers 204 either way."""
    assert objects.delete("nothing").status_code == 204


def test_an_empty_object_is_an_object(objects: Objects) -> None:
    """No content is content."""
    objects.put("empty", b"")
    assert objects.get("empty") == b""


def test_a_put_overwrites_unless_it_must_not(objects: Objects) -> None:
    """With x-oss-forbid-overwrite a taken name is refused and keeps its content, until it is free again."""
    objects.put_new("one", b"first")
    with storage_refuses("FileAlreadyExists", 409):
        objects.put_new("one", b"second")
    assert objects.get("one") == b"first"
    objects.put("one", b"third")
    assert objects.get("one") == b"third"
    objects.delete("one")
    objects.put_new("one", b"fourth")
    assert objects.get("one") == b"fourth"


@pytest.mark.parametrize("bucket", [VERSIONED, SUSPENDED])
def test_a_put_always_overwrites_where_there_is_or_was_versioning(stored: LocalCloud, bucket: str) -> None:
    """x-oss-forbid-overwrite has no effect there, and what is deleted is hidden."""
    objects = Objects(bucket=bucket)
    objects.put_new("one", b"first")
    objects.put_new("one", b"second")
    assert objects.get("one") == b"second"
    assert objects.names() == ["one"]
    objects.delete("one")
    assert objects.names() == []
    with storage_refuses("NoSuchKey", 404):
        objects.get("one")
    objects.delete("one")
    objects.put_new("one", b"third")
    assert objects.get("one") == b"third"


def test_versions_are_numbered_while_versioning_is_enabled(stored: LocalCloud) -> None:
    """Each put there answers with another version."""
    versioned, plain = Objects(bucket=VERSIONED), Objects()
    first, second = (versioned.put("one").version_id for _ in range(2))
    assert first != second
    assert first is not None
    assert plain.put("one").version_id is None


def test_times_are_those_of_the_clouds_clock(objects: Objects, stored: LocalCloud) -> None:
    """Last-Modified, the rows of a listing and Date follow the manual clock, in whole seconds."""
    objects.put("one")
    stored.advance(90.7)
    objects.put("two")
    page = objects.page()
    ages = [row.last_modified.timestamp() - START for row in page.contents]
    assert ages == [0, 90]
    assert page.headers["Date"] == "Sat, 21 Nov 2026 12:01:30 GMT"
    assert objects.found("two").last_modified.timestamp() - START == 90
    with storage_refuses("NoSuchKey", 404) as told:
        objects.get("three")
    assert told[0].headers["Date"] == "Sat, 21 Nov 2026 12:01:30 GMT"


# --- listings


def test_a_listing_goes_from_page_to_page(objects: Objects) -> None:
    """100 names a page unless told, at most 1,000, and a token where there are more."""
    for number in range(105):
        objects.put(f"row/{number:03d}", b"x" * number)
    first = objects.page()
    assert (first.key_count, first.max_keys, first.is_truncated) == (100, 100, True)
    second = objects.page(continuation_token=first.next_continuation_token)
    assert [row.key for row in second.contents] == [f"row/{number:03d}" for number in range(100, 105)]
    assert (second.key_count, second.is_truncated, second.next_continuation_token) == (5, False, None)
    assert objects.page(max_keys=1000).key_count == 105
    assert objects.page(max_keys=7, prefix="row/01").contents[3].size == 13
    assert objects.names(start_after="row/102") == ["row/103", "row/104"]


def test_folders_are_common_prefixes_and_count_as_names(objects: Objects) -> None:
    """With a delimiter, what lies deeper is one row, in the one order of all names."""
    for key in ("s/a/1", "s/a/2", "s/b", "s/c/1", "s/d", "other"):
        objects.put(key)
    assert objects.names(prefix="s/", delimiter="/") == ["s/b", "s/d"]
    assert objects.folders(prefix="s/", delimiter="/") == ["s/a/", "s/c/"]
    seen, token = [], None
    for _ in range(4):
        page = objects.page(prefix="s/", delimiter="/", max_keys=1, continuation_token=token)
        seen += [row.key for row in page.contents or []] + [row.prefix for row in page.common_prefixes or []]
        assert page.key_count == 1
        token = page.next_continuation_token
    assert seen == ["s/a/", "s/b", "s/c/", "s/d"]
    assert token is None


def test_a_listing_names_owners_only_if_asked(objects: Objects) -> None:
    """fetch-owner adds the owner to each row."""
    objects.put("one")
    assert objects.page().contents[0].owner is None
    assert objects.page(fetch_owner=True).contents[0].owner.id == OWNER


# --- buckets


def test_a_bucket_tells_about_itself(stored: LocalCloud) -> None:
    """GetBucketInfo, GetBucketLocation and GetBucketVersioning; nothing is said of versioning that never was."""
    plain, versioned, suspended = (Objects(bucket=name) for name in (NEAR_BUCKET, VERSIONED, SUSPENDED))
    info = plain.info()
    assert (info.name, info.location, info.versioning) == (NEAR_BUCKET, f"oss-{REGION}", None)
    assert (info.extranet_endpoint, info.intranet_endpoint) == (
        f"oss-{REGION}.aliyuncs.com",
        f"oss-{REGION}-internal.aliyuncs.com",
    )
    assert (info.owner.id, info.acl, info.creation_date.timestamp()) == (OWNER, "private", START)
    assert [one.versioning() for one in (plain, versioned, suspended)] == [None, "Enabled", "Suspended"]
    assert [one.info().versioning for one in (versioned, suspended)] == ["Enabled", "Suspended"]
    assert Objects(bucket=FAR_BUCKET, region=FAR).location() == f"oss-{FAR}"


@pytest.mark.parametrize(("switch", "code"), [("AccessDenied", DENIED), ("PermanentRedirect", "PermanentRedirect")])
def test_another_regions_endpoint_names_the_right_one(begin: Callable[..., LocalCloud], switch: str, code: str) -> None:
    """Whatever is asked there is refused, with the endpoint to ask instead."""
    begin(buckets=BUCKETS, switches={"bucket_elsewhere": switch})
    astray = Objects(bucket=FAR_BUCKET, region=REGION)
    for ask in (astray.location, astray.info, astray.page, lambda: astray.put("one"), lambda: astray.get("one")):
        with storage_refuses(code, 403) as told:
            ask()
        assert told[0].error_fileds["Endpoint"] == f"oss-{FAR}.aliyuncs.com"
        assert told[0].message.startswith("The bucket you are attempting to access must be addressed using")
    assert Objects(bucket=FAR_BUCKET, region=FAR).names() == []


def test_a_bucket_is_its_owners_alone(stored: LocalCloud) -> None:
    """Other accounts are denied everything, whatever they ask; a role of the owner is not."""
    mine, strange = Objects(bucket=NEAR_BUCKET), Objects(SHOP, bucket=NEAR_BUCKET)
    mine.put("one")
    for ask in (
        strange.page,
        strange.location,
        strange.info,
        strange.versioning,
        lambda: strange.get("one"),
        lambda: strange.put("two"),
        lambda: strange.delete("one"),
    ):
        with storage_refuses(DENIED, 403) as told:
            ask()
        assert "Endpoint" not in told[0].error_fileds
    assert mine.names() == ["one"]
    assert Objects(SHOP, bucket=SHOP_BUCKET).names() == []


def test_no_such_bucket(stored: LocalCloud) -> None:
    """A bucket that the world does not have."""
    with storage_refuses("NoSuchBucket", 404):
        Objects(bucket="nobodys").names()


# --- who asks


def test_a_role_of_the_owner_may_do_what_the_owner_may(stored: LocalCloud) -> None:
    """Temporary keys come with their token, and a wrong, missing or expired one is refused in its own way."""
    seen: list[LogEntry] = []
    stored.on_request(seen.append)
    config = Clients(MANAGEMENT).assume(ROLE)._config
    session: dict[str, Any] = {
        "key": config["access_key_id"],
        "secret": config["access_key_secret"],
        "token": config["security_token"],
    }
    Objects(**session).put("one")
    assert seen[-1].principal == f"acs:ram::{OWNER}:assumed-role/orgshare/test"
    with storage_refuses("InvalidAccessKeyId", 403):
        Objects(**{**session, "token": None}).names()
    with storage_refuses("InvalidSecurityToken", 403):
        Objects(**{**session, "token": "nonsense"}).names()
    other = Clients(MANAGEMENT).assume(ROLE, session="other")._config["security_token"]
    with storage_refuses("AccessKeyIdAndSecurityTokenNotMatch", 403):
        Objects(**{**session, "token": other}).names()
    stored.advance(3601)
    with storage_refuses("SecurityTokenExpired", 403):
        Objects(**session).names()


def test_keys_and_signatures_are_checked(stored: LocalCloud) -> None:
    """An unknown key, a wrong secret, and a permanent key with a token."""
    with storage_refuses("InvalidAccessKeyId", 403):
        Objects(key="NOBODY").names()
    with storage_refuses("SignatureDoesNotMatch", 403):
        Objects(secret="wrong").put("one")
    with storage_refuses("InvalidAccessKeyId", 403):
        Objects(token="given").names()
    assert stored.calls["oss:PutObject"] == stored.calls["oss:ListObjectsV2"] == 0


def test_additional_headers_are_signed(stored: LocalCloud) -> None:
    """What AdditionalHeaders names is part of the signature, as the SDK's own signer makes it."""
    host = f"{NEAR_BUCKET}.oss-{REGION}.aliyuncs.com"
    signed = oss.types.HttpRequest("GET", f"http://{host}/?list-type=2", headers={"host": host, "user-agent": "one/2"})
    context = oss.types.SigningContext(
        product="oss",
        region=REGION,
        bucket=NEAR_BUCKET,
        request=signed,
        credentials=oss.credentials.Credentials(key_of(OWNER), "local"),
        additional_headers={"user-agent", "host"},
    )
    SignerV4().sign(context)
    headers = {name.lower(): value for name, value in signed.headers.items()}
    assert "AdditionalHeaders=host;user-agent" in headers["authorization"]
    assert ask(stored, headers=headers) == (200, "")
    assert ask(stored, headers={**headers, "user-agent": "other/2"}) == (403, "SignatureDoesNotMatch")


def test_nobody_may_do_anything(stored: LocalCloud) -> None:
    """A request without a signature is anonymous."""
    anonymous = Objects(credentials_provider=oss.credentials.AnonymousCredentialsProvider())
    with storage_refuses(DENIED, 403) as told:
        anonymous.names()
    assert "Anonymous" in told[0].message


def test_the_older_signature_and_signed_addresses_are_not_served(stored: LocalCloud) -> None:
    """They are refused as not implemented."""
    with storage_refuses("NotImplemented", 501):
        Objects(signature_version="v1").names()
    given = Objects().client.presign(oss.GetObjectRequest(bucket=NEAR_BUCKET, key="one"))
    host, _, rest = given.url.removeprefix("http://").partition("/")
    path, _, query = rest.partition("?")
    assert ask(stored, host=host, path=f"/{path}", query=query) == (501, "NotImplemented")


def test_a_signature_is_for_the_region_of_its_endpoint(stored: LocalCloud) -> None:
    """A region in the signature that is not the endpoint's is refused."""
    with storage_refuses("InvalidArgument", 400) as told:
        Objects(region=FAR, endpoint=f"oss-{REGION}.aliyuncs.com").names()
    assert told[0].message == "Invalid signing region in Authorization header."


def test_a_request_that_was_signed_long_ago_is_refused() -> None:
    """15 minutes by real time, whatever the cloud's clock says."""
    cloud = LocalCloud.from_world(
        world(buckets=BUCKETS), clock=ManualClock(START), real_time=lambda: time.time() + 16 * 60
    )
    with in_process(cloud), storage_refuses("RequestTimeTooSkewed", 403):
        Objects().names()


SIGNED = {
    "authorization": "OSS4-HMAC-SHA256 "
    f"Credential={key_of(OWNER)}/20261121/cn-hangzhou/oss/aliyun_v4_request,Signature=0",
    "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    "x-oss-date": "20261121T120000Z",
}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authorization": "OSS4-HMAC-SHA256 Signature=0"}, "InvalidArgument"),
        ({"authorization": "OSS4-HMAC-SHA256 Credential=k/20261121/cn-hangzhou/oss/v4,Signature=0"}, "InvalidArgument"),
        ({"x-oss-content-sha256": "e3b0"}, "InvalidArgument"),
        ({"x-oss-date": "20261122T120000Z"}, "InvalidArgument"),
        ({"x-oss-date": "yesterday"}, DENIED),
        ({}, "RequestTimeTooSkewed"),
    ],
)
def test_a_malformed_signature_is_refused(changes: dict[str, str], code: str) -> None:
    """Each part of the header has its form."""
    cloud = start(world(buckets=BUCKETS))
    assert ask(cloud, headers={**SIGNED, **changes})[1] == code


# --- what is asked


@pytest.mark.parametrize(
    ("ask_for", "code", "status"),
    [
        (lambda objects: objects.put("one", content_md5="AAAAAAAAAAAAAAAAAAAAAA=="), "InvalidDigest", 400),
        (lambda objects: objects.put("\\one"), "InvalidObjectName", 400),
        (lambda objects: objects.put("x" * 1023 + "ü"), "InvalidObjectName", 400),
        (lambda objects: objects.put("one", headers={"x-oss-forbid-overwrite": "maybe"}), "InvalidArgument", 400),
        (lambda objects: objects.put("one", acl="private"), "NotImplemented", 501),
        (lambda objects: objects.put("one", metadata={"a": "b"}), "NotImplemented", 501),
        (lambda objects: objects.put("one", cache_control="no-cache"), "NotImplemented", 501),
        (lambda objects: objects.found("one", range_header="bytes=0-1"), "NotImplemented", 501),
        (lambda objects: objects.found("one", if_none_match="x"), "NotImplemented", 501),
        (lambda objects: objects.found("one", version_id="x"), "NotImplemented", 501),
        (lambda objects: objects.page(max_keys=0), "InvalidArgument", 400),
        (lambda objects: objects.page(max_keys=1001), "InvalidArgument", 400),
        (lambda objects: objects.page(encoding_type="base64"), "InvalidArgument", 400),
        (lambda objects: objects.page(continuation_token="no token"), "InvalidArgument", 400),
        (lambda objects: objects.page(start_after="a", delimiter="/"), "NotImplemented", 501),
        (
            lambda objects: objects.client.list_objects(oss.ListObjectsRequest(bucket=NEAR_BUCKET)),
            "NotImplemented",
            501,
        ),
        (
            lambda objects: objects.client.put_bucket(oss.PutBucketRequest(bucket="new-bucket")),
            "NotImplemented",
            501,
        ),
        (lambda objects: objects.client.list_buckets(oss.ListBucketsRequest()), "NotImplemented", 501),
    ],
)
def test_what_is_not_in_order_or_not_served_is_refused(
    objects: Objects, ask_for: Callable[[Objects], Any], code: str, status: int
) -> None:
    """Nothing that a request asks for is ignored."""
    with storage_refuses(code, status):
        ask_for(objects)
    assert objects.names() == []


def test_an_impossible_bucket_name_is_refused(stored: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK checks names itself, so its check is taken out of the way."""
    monkeypatch.setattr("alibabacloud_oss_v2.validation.is_valid_bucket_name", lambda _: True)
    with storage_refuses("InvalidBucketName", 400):
        Objects(bucket="-no").names()


def test_a_vendor_host_does_not_take_the_bucket_from_the_path(stored: LocalCloud) -> None:
    """There the bucket belongs in the host."""
    with storage_refuses("SecondLevelDomainForbidden", 403):
        Objects(use_path_style=True).names()


def test_a_host_of_no_region_does_not_answer(stored: LocalCloud) -> None:
    """Such a name does not resolve."""
    with pytest.raises(OperationError) as caught:
        Objects(region="cn-nowhere").names()
    assert isinstance(caught.value.unwrap(), RequestError)


def test_the_inner_endpoint_leads_to_the_same_bucket(objects: Objects) -> None:
    """A function in the cloud uses it."""
    objects.put("one")
    assert Objects(use_internal_endpoint=True).names() == ["one"]


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("acme.oss-cn-hangzhou.aliyuncs.com", ("acme", "cn-hangzhou")),
        ("ACME-1.oss-ap-southeast-1-internal.aliyuncs.com:80", ("acme-1", "ap-southeast-1")),
        ("oss-cn-hangzhou.aliyuncs.com", ("", "cn-hangzhou")),
        ("ecs-cn-hangzhou.aliyuncs.com", None),
        ("oss-cn-hangzhou.example.com", None),
        ("127.0.0.1:8080", None),
    ],
)
def test_hosts_of_object_storage(host: str, parts: tuple[str, str] | None) -> None:
    """Bucket and region are in the host."""
    assert object_host(host) == parts


# --- every product's ways


def test_calls_are_logged_and_counted(objects: Objects, stored: LocalCloud) -> None:
    """Each request is in the log with the operation's name, who sent it and what came of it."""
    seen: list[LogEntry] = []
    stored.on_request(seen.append)
    named = Objects(user_agent="orgshare/1 run/abc")
    named.put_new("one")
    with storage_refuses("FileAlreadyExists", 409) as told:
        named.put_new("one")
    named.names()
    named.delete("one")
    assert [(one.action, one.status, one.code) for one in seen] == [
        ("PutObject", 200, ""),
        ("PutObject", 409, "FileAlreadyExists"),
        ("ListObjectsV2", 200, ""),
        ("DeleteObject", 204, ""),
    ]
    assert {(one.product, one.region, one.account) for one in seen} == {("oss", REGION, OWNER)}
    assert all("orgshare/1 run/abc" in one.agent for one in seen)
    assert seen[1].request_id == told[0].request_id
    assert stored.calls == {"oss:PutObject": 2, "oss:ListObjectsV2": 1, "oss:DeleteObject": 1}


def test_writes_to_a_bucket_change_nothing_of_who_can_use_what(objects: Objects, stored: LocalCloud) -> None:
    """Who looks after every write is not called for them."""
    called: list[LocalCloud] = []
    stored.on_write(called.append)
    objects.put("one")
    objects.delete("one")
    assert called == []


def fault(kind: str, operation: str = "oss:PutObject", **more: Any) -> dict[str, Any]:
    """A fault that strikes the first call."""
    return {"operation": operation, "kind": kind, "times": 1, **more}


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        (fault("throttle"), "TotalQpsLimitExceeded", 503),
        (fault("error"), "InternalError", 500),
        (fault("error", code="ServiceUnavailable", status=503), "ServiceUnavailable", 503),
        (fault("error", "oss:*"), "InternalError", 500),
        (fault("error", "*"), "InternalError", 500),
    ],
)
def test_a_call_can_be_made_to_fail(
    begin: Callable[..., LocalCloud], given: dict[str, Any], code: str, status: int
) -> None:
    """Throttled or failed, it did nothing, and the next one passes."""
    begin(buckets=BUCKETS, faults=[given])
    objects = Objects()
    with storage_refuses(code, status):
        objects.put("one")
    assert objects.names() == []
    objects.put("one")


@pytest.mark.parametrize(("kind", "names"), [("no-answer", []), ("lost-answer", ["one"])])
def test_an_answer_can_be_lost(begin: Callable[..., LocalCloud], kind: str, names: list[str]) -> None:
    """The connection is dropped, before or after the object was stored."""
    begin(buckets=BUCKETS, faults=[fault(kind)])
    objects = Objects()
    with pytest.raises(OperationError) as caught:
        objects.put("one")
    assert isinstance(caught.value.unwrap(), RequestError)
    assert objects.names() == names


def test_answers_can_lie(begin: Callable[..., LocalCloud]) -> None:
    """A listing loses rows, its number of names or both; content arrives by half; XML is cut off."""
    cloud = begin(buckets=BUCKETS)
    objects = Objects()
    for number in range(4):
        objects.put(f"{number}", b"0123456789")

    def lie(kind: str, operation: str = "oss:ListObjectsV2") -> None:
        cloud.patch({"faults": [fault(kind, operation)]})

    lie("truncated-page")
    page = objects.page(max_keys=3)
    assert (len(page.contents), page.key_count, page.is_truncated) == (1, 3, True)
    lie("wrong-total")
    page = objects.page()
    assert (len(page.contents), page.key_count) == (4, 5)
    lie("empty-list")
    page = objects.page(max_keys=2)
    assert (page.contents, page.key_count, page.is_truncated, page.next_continuation_token) == (None, 0, False, None)
    lie("missing-field")
    assert objects.page().common_prefixes is None
    lie("malformed", "oss:GetObject")
    assert objects.get("1") == b"01234"
    lie("malformed")
    with pytest.raises(SyntaxError):
        objects.page()
    lie("malformed", "oss:GetObject")
    with storage_refuses("BadErrorResponse", 404):
        objects.get("none")


def test_flow_control_counts_calls(begin: Callable[..., LocalCloud]) -> None:
    """What is above the limit of a window is refused, and the next window is free again."""
    cloud = begin(buckets=BUCKETS, flow_control={"oss:PutObject": {"limit": 2, "window": 60}})
    objects = Objects()
    objects.put("one")
    objects.put("two")
    with storage_refuses("TotalQpsLimitExceeded", 503):
        objects.put("three")
    cloud.advance(60)
    objects.put("three")


def test_answers_take_their_time() -> None:
    """The world's latency is waited for."""
    waited: list[float] = []
    with in_process(start(world(buckets=BUCKETS, latency={"seconds": 0.25})), sleep=waited.append):
        Objects().put("one")
    assert waited == [0.25]


# --- the world


def test_buckets_come_and_go_with_the_world(stored: LocalCloud) -> None:
    """A bucket that stays keeps its objects; one that goes takes them along; an owner that changes starts empty."""
    kept, gone, given = (Objects(bucket=name) for name in (NEAR_BUCKET, "acme-new", "acme-gone"))
    kept.put("one")
    stored.patch({"buckets": {"acme-new": {"owner": OWNER, "region": REGION}, "acme-gone": BUCKETS[NEAR_BUCKET]}})
    gone.put("one")
    given.put("one")
    stored.patch({"buckets": {"acme-new": None, "acme-gone": {"owner": SHOP}, NEAR_BUCKET: {"versioning": "enabled"}}})
    assert kept.names() == ["one"]
    assert kept.versioning() == "Enabled"
    with storage_refuses("NoSuchBucket", 404):
        gone.names()
    assert Objects(SHOP, bucket="acme-gone").names() == []
    assert stored.world().buckets[NEAR_BUCKET].versioning == "enabled"


def test_versioning_is_never_undone(stored: LocalCloud) -> None:
    """It can be suspended only, as with the vendor."""
    stored.patch({"buckets": {VERSIONED: {"versioning": "suspended"}}})
    for name in (VERSIONED, SUSPENDED):
        with pytest.raises(WorldError, match=f"buckets.{name}.versioning: a bucket that had versioning"):
            stored.patch({"buckets": {name: {"versioning": "none"}}})
    stored.patch({"buckets": {SUSPENDED: None}})


@pytest.mark.parametrize(
    ("buckets", "why"),
    [
        ({"ab": {}}, "buckets.ab: expected a bucket name of 3 to 63"),
        ({"Acme": {}}, "buckets.Acme: expected a bucket name"),
        ({"acme": {"owner": OWNER}}, 'buckets.acme: the key "region" is missing'),
        ({"acme": {"owner": int(OWNER), "region": REGION}}, "buckets.acme.owner: put the account id in quotes"),
        ({"acme": {"owner": "9000000000000009", "region": REGION}}, "buckets.acme.owner: no account"),
        ({"acme": {"owner": OWNER, "region": "cn-nowhere"}}, "buckets.acme.region: expected one of"),
        ({"acme": {"owner": OWNER, "region": REGION, "versioning": True}}, "buckets.acme.versioning: expected one of"),
        ({"acme": {"owner": OWNER, "region": REGION, "acl": "private"}}, "buckets.acme.acl: unknown key"),
    ],
)
def test_a_wrong_bucket_is_named_with_its_place(buckets: dict[str, Any], why: str) -> None:
    """Nothing about a bucket is guessed."""
    with pytest.raises(WorldError) as caught:
        start(world(buckets=buckets))
    assert str(caught.value).startswith(f"world: {why}")


# --- carriers


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cloud with buckets behind a real socket, whatever proxies the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(start(world(buckets=BUCKETS))) as address:
        yield address


@pytest.mark.parametrize("way", ["proxy", "direct"])
def test_a_socket_serves_every_operation(url: str, way: str) -> None:
    """As an HTTP proxy with the vendor's hosts, and straight at the port with the bucket in the path."""
    config: dict[str, Any] = {"proxy_host": {"http": url}} if way == "proxy" else {"endpoint": url}
    objects = Objects(**config)
    content = random.Random(1).randbytes(200_000)
    objects.put_new("a/one", content)
    with storage_refuses("FileAlreadyExists", 409):
        objects.put_new("a/one")
    assert objects.get("a/one") == content
    page = objects.page()
    assert page.headers["Date"] == "Sat, 21 Nov 2026 12:00:00 GMT"
    assert objects.folders(delimiter="/") == ["a/"]
    assert (objects.versioning(), objects.location(), objects.info().name) == (None, f"oss-{REGION}", NEAR_BUCKET)
    assert objects.delete("a/one").status_code == 204
    assert Objects(bucket=FAR_BUCKET, region=FAR, **config).names() == []


def test_a_lost_answer_over_a_socket_is_lost() -> None:
    """The connection is closed without a byte."""
    cloud = start(world(buckets=BUCKETS, faults=[fault("lost-answer")]))
    with serving(cloud) as address:
        objects = Objects(proxy_host={"http": address})
        with pytest.raises(OperationError):
            objects.put("one")
        assert objects.names() == ["one"]


# --- the rest


def test_every_operation_is_served_under_its_name() -> None:
    """The catalogue that faults and limits are checked against names exactly what is served."""
    assert {operation.name for operation in SERVED} == set(OBJECT_STORAGE.operations)
    assert {f"oss:{operation.name}" for operation in SERVED} == OBJECT_OPERATIONS


def test_statuses_are_those_of_the_vendors_pages() -> None:
    """Codes by HTTP status, as the pages for each status list them."""
    by_status: dict[int, set[str]] = {}
    for code, (status, _) in ERRORS.codes.items():
        by_status.setdefault(status, set()).add(code)
    assert by_status == {
        400: {"InvalidArgument", "InvalidBucketName", "InvalidDigest", "InvalidObjectName"},
        403: {
            "AccessDenied",
            "AccessKeyIdAndSecurityTokenNotMatch",
            "InvalidAccessKeyId",
            "InvalidSecurityToken",
            "PermanentRedirect",
            "RequestTimeTooSkewed",
            "SecondLevelDomainForbidden",
            "SecurityTokenExpired",
            "SignatureDoesNotMatch",
        },
        404: {"NoSuchBucket", "NoSuchKey"},
        409: {"FileAlreadyExists"},
        500: {"InternalError"},
        501: {"NotImplemented"},
        503: {"TotalQpsLimitExceeded"},
    }


def test_moto_is_loaded_only_for_buckets() -> None:
    """It takes longer to import than all the rest, and starts none of its mocks."""
    script = (
        "import sys\n"
        "from localcloud import LocalCloud\n"
        "world = {'outsiders': ['2000000000000001']}\n"
        "LocalCloud.from_world(world)\n"
        "assert 'moto' not in sys.modules and 'boto3' not in sys.modules\n"
        "bucket = {'owner': '2000000000000001', 'region': 'cn-hangzhou'}\n"
        "LocalCloud.from_world({**world, 'buckets': {'acme': bucket}})\n"
        "assert 'moto.s3.models' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_clouds_share_nothing_and_leave_nothing() -> None:
    """Two clouds have a bucket of one name each; what they held is gone with them."""
    first, second = start(world(buckets=BUCKETS)), start(world(buckets=BUCKETS))
    with in_process(first):
        Objects().put("one")
        Objects(bucket=VERSIONED).put("one")
        Objects(bucket=VERSIONED).delete("one")
    with in_process(second):
        assert Objects().names() == []
    del first, second
    gc.collect()
    assert NEAR_BUCKET not in s3_backends.bucket_accounts
    assert [kind.instances_tracked for kind in (FakeBucket, FakeKey, FakeDeleteMarker)] == [[], [], []]


def ask(
    cloud: LocalCloud, *, host: str = "", path: str = "/", query: str = "list-type=2", headers: Any = None
) -> tuple[int, str]:
    """(status, code) of a request that no SDK made."""
    host = host or f"{NEAR_BUCKET}.oss-{REGION}.aliyuncs.com"
    answer = cloud.handle(HttpRequest("GET", host, path, query, {"host": host, **(headers or {})}))
    return answer.status, answer.body.decode().partition("<Code>")[2].partition("</Code>")[0]
