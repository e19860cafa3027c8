"""The state store in a bucket, against a local cloud, with every way in which an answer can go wrong."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random
from typing import Any

import pytest

from localcloud import HttpRequest, HttpResponse, LocalCloud, LogEntry
from localcloud.inprocess import in_process
from localcloud.server import serving
from orgshare import __version__
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud, Credentials
from orgshare.alibaba.storage import ObjectStorage
from orgshare.errors import (
    ConfigurationError,
    CredentialsRefused,
    Malformed,
    NoAnswer,
    OrgshareError,
    Refused,
    TooLarge,
    TryAgain,
)
from orgshare.policy.model import DirectoryReader, Policy
from orgshare.ports import ObjectStore, ReadObject
from orgshare.wiring import check_store
from tests.support.cloud import FAR, MANAGEMENT, OWNER, REGION, SHOP, START, Clients, key_of, start, world
from tests.support.objects import BUCKETS, FAR_BUCKET, NEAR_BUCKET, SUSPENDED, VERSIONED, Objects

NOON = datetime.fromtimestamp(START, timezone.utc)
ROLE = f"acs:ram::{OWNER}:role/orgshare"


def patient() -> Calls:
    """Calls whose waits cost nothing."""
    return Calls(sleep=lambda _: None, random=Random(1), clock=lambda: 0.0)


def storage(
    bucket: str = NEAR_BUCKET,
    prefix: str = "state",
    *,
    account: str = OWNER,
    credentials: Credentials | None = None,
    **more: Any,
) -> ObjectStorage:
    """The adapter with one account's key; waits cost nothing."""
    calls = patient()
    given = credentials or Credentials(key_of(account), "local")
    return ObjectStorage(bucket, prefix, credentials=given, calls=calls, run="r1", **more)


@pytest.fixture
def cloud(begin: Callable[..., LocalCloud]) -> LocalCloud:
    """The usual world with buckets and a role of their owner."""
    return begin(buckets=BUCKETS, roles={ROLE: {"trusts": [MANAGEMENT]}})


@pytest.fixture
def store(cloud: LocalCloud) -> ObjectStorage:
    """The adapter for a plain bucket in the region where it looks first."""
    return storage()


def broken(cloud: LocalCloud, kind: str, operation: str, *, times: int = 1, **more: Any) -> None:
    """The next calls of an operation go wrong."""
    cloud.patch({"faults": [{"operation": operation, "kind": kind, "times": times, **more}]})


# --- what a store does


def test_it_is_an_object_store(store: ObjectStorage) -> None:
    """It has all that the port asks for, and its text is what the policy says."""
    port: ObjectStore = store
    assert str(port) == f"oss://{NEAR_BUCKET}/state"
    assert str(storage(prefix="")) == f"oss://{NEAR_BUCKET}"
    assert str(storage(prefix="/a/b/")) == f"oss://{NEAR_BUCKET}/a/b"


@pytest.mark.parametrize("prefix", ["state", "deep/er", ""])
def test_objects_are_put_once_got_listed_and_deleted(cloud: LocalCloud, prefix: str) -> None:
    """A taken name keeps its bytes, and all lies under the prefix."""
    store = storage(prefix=prefix)
    Objects().put("elsewhere", b"not ours")
    assert store.put_new("ecs.1/0002", b"first") is True
    assert store.put_new("ecs.1/0002", b"second") is False
    assert store.get("ecs.1/0002") == b"first"
    assert store.get("ecs.1/0001") is None
    cloud.advance(5.5)
    assert store.put_new("ecs.1/0001", b"") is True
    assert store.get("ecs.1/0001") == b""
    store.put_new("ecs.1/signals/a", b"x")
    store.put_new("ecs.10/0001", b"x")
    found = store.listed("ecs.1")
    assert [(one.name, one.put_at - NOON) for one in found.objects] == [
        ("ecs.1/0001", timedelta(seconds=5)),
        ("ecs.1/0002", timedelta()),
    ]
    assert found.now == NOON + timedelta(seconds=5)
    assert [one.name for one in store.listed("ecs.1", most=1).objects] == ["ecs.1/0001"]
    assert store.listed("ecs.2").objects == ()
    assert store.folders("ecs.1") == ["ecs.1/signals"]
    assert store.folders("") == ["ecs.1", "ecs.10"]
    store.delete("ecs.1/0001")
    store.delete("ecs.1/0001")
    assert [one.name for one in store.listed("ecs.1").objects] == ["ecs.1/0002"]
    assert prefix == "" or set(Objects().names()) == {
        "elsewhere",
        *(f"{prefix}/{name}" for name in ("ecs.1/0002", "ecs.1/signals/a", "ecs.10/0001")),
    }


def test_a_listing_of_more_than_a_page_is_whole(store: ObjectStorage) -> None:
    """All pages are read, each of a thousand names, and the first page says what time it was."""
    objects = Objects()
    for number in range(1003):
        objects.put(f"state/many/{number:04d}", b"")
    assert [one.name for one in store.listed("many").objects] == [f"many/{number:04d}" for number in range(1003)]
    assert [one.name for one in store.listed("many", most=1002).objects][-1] == "many/1001"


def test_the_first_objects_are_found_behind_folders(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Folders take places of a page, so a list of one may need several pages."""
    for name in ("s/a/1", "s/b/1", "s/c/1", "s/d", "s/e"):
        store.put_new(name, b"x")
    before = cloud.calls["oss:ListObjectsV2"]
    assert [one.name for one in store.listed("s", most=1).objects] == ["s/d"]
    assert cloud.calls["oss:ListObjectsV2"] - before == 4
    assert store.folders("s") == ["s/a", "s/b", "s/c"]


def test_a_listing_is_of_the_time_of_its_first_page(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Where reading took time, no object looks older than it was when the listing began."""
    for name in ("s/a/1", "s/b/1", "s/c"):
        store.put_new(name, b"x")

    def pass_time(_: LogEntry) -> None:
        cloud.advance(10)

    cloud.on_request(pass_time)
    assert store.listed("s", most=1).now == NOON


def test_a_list_of_one_is_one_call(store: ObjectStorage, cloud: LocalCloud) -> None:
    """The newest of many generations costs one call of one row."""
    for number in range(5):
        store.put_new(f"s/{number}", b"x")
    before = cloud.calls["oss:ListObjectsV2"]
    assert [one.name for one in store.listed("s", most=1).objects] == ["s/0"]
    assert cloud.calls["oss:ListObjectsV2"] - before == 1


def test_a_folder_that_somebody_made_is_no_object(store: ObjectStorage) -> None:
    """Consoles make folders as empty objects whose names end with a stroke."""
    Objects().put("state/s/", b"")
    store.put_new("s/1", b"x")
    assert [one.name for one in store.listed("s").objects] == ["s/1"]


def test_calls_carry_the_run_and_are_counted(cloud: LocalCloud) -> None:
    """Each is in the request log with the run, and in the run's own counts."""
    seen: list[LogEntry] = []
    cloud.on_request(seen.append)
    calls = patient()
    store = ObjectStorage(NEAR_BUCKET, "state", credentials=Credentials(key_of(OWNER), "local"), calls=calls, run="r7")
    store.put_new("one", b"x")
    store.get("one")
    store.listed("")
    store.delete("one")
    assert all(f"orgshare/{__version__} run/r7" in one.agent for one in seen)
    assert calls.counts() == {"oss:DeleteObject": 1, "oss:GetObject": 1, "oss:ListObjectsV2": 1, "oss:PutObject": 1}
    assert calls.counts() == cloud.calls


def test_temporary_credentials_will_do(cloud: LocalCloud) -> None:
    """A function has a key with a token; one that expired ends the run."""
    config = Clients(MANAGEMENT).assume(ROLE)._config
    given = Credentials(config["access_key_id"], config["access_key_secret"], config["security_token"])
    store = storage(credentials=given)
    assert store.put_new("one", b"x")
    cloud.advance(3601)
    with pytest.raises(CredentialsRefused, match="SecurityTokenExpired"):
        store.get("one")


# --- two writers


def test_of_two_writers_one_has_the_name(cloud: LocalCloud) -> None:
    """Whoever comes first, each knows whether its bytes are there."""
    names = [f"race/{number}" for number in range(30)]
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(
            lambda data: [writer.put_new(name, data) for writer in [storage()] for name in names], (b"a", b"b")
        )
    assert all(mine != yours for mine, yours in zip(one, other, strict=True))
    store = storage()
    assert [store.get(name) for name in names] == [b"a" if mine else b"b" for mine in one]


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "error", "throttle"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_put_that_was_not_answered_well_is_made_all_the_same(
    store: ObjectStorage, cloud: LocalCloud, kind: str, times: int
) -> None:
    """Whether it had been carried out or not, in the end the bytes are there and are known as ours."""
    broken(cloud, kind, "oss:PutObject", times=times)
    assert store.put_new("one", b"mine") is True
    assert store.get("one") == b"mine"


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "error", "throttle"])
def test_anothers_object_is_never_taken_for_ours(store: ObjectStorage, cloud: LocalCloud, kind: str) -> None:
    """A lost answer to a put that was refused, or never made, does not make the bytes there ours."""
    store.put_new("one", b"theirs")
    broken(cloud, kind, "oss:PutObject")
    assert store.put_new("one", b"mine") is False
    assert store.get("one") == b"theirs"


def test_the_same_bytes_are_ours_whenever_they_came(store: ObjectStorage) -> None:
    """A put that was given up may still arrive; when its name is found taken, the bytes say whose it is."""
    assert store.put_new("one", b"mine") is True
    assert store.put_new("one", b"mine") is True


def test_a_put_whose_answer_was_lost_is_not_made_again(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Reading it back is enough."""
    broken(cloud, "lost-answer", "oss:PutObject")
    assert store.put_new("one", b"mine") is True
    assert (cloud.calls["oss:PutObject"], cloud.calls["oss:GetObject"]) == (1, 1)


def test_a_refusal_that_cannot_be_read_is_a_doubt(store: ObjectStorage, cloud: LocalCloud) -> None:
    """The answer that the name is taken comes cut off, so the object is read back."""
    store.put_new("one", b"theirs")
    broken(cloud, "malformed", "oss:PutObject")
    assert store.put_new("one", b"mine") is False


def test_a_put_that_is_never_answered_ends_in_a_doubt(store: ObjectStorage, cloud: LocalCloud) -> None:
    """It is tried a few times, and then said."""
    store.put_new("before", b"x")
    broken(cloud, "no-answer", "oss:PutObject", times=100)
    with pytest.raises(NoAnswer):
        store.put_new("one", b"mine")
    assert 1 < cloud.calls["oss:PutObject"] < 10


def test_a_name_that_was_freed_meanwhile_is_not_ours(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Taken when we put, gone when we look: our bytes are not there."""
    store.put_new("one", b"theirs")

    def free(entry: LogEntry) -> None:
        if entry.code == "FileAlreadyExists":
            cloud._gateway.models.storage.drop_thing(NEAR_BUCKET, "state/one")

    cloud.on_request(free)
    assert store.put_new("one", b"mine") is False
    assert store.get("one") is None


# --- reads that go wrong


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        *((kind, "oss:GetObject") for kind in ("throttle", "error", "no-answer", "lost-answer", "malformed")),
        *(
            (kind, "oss:ListObjectsV2")
            for kind in (
                "throttle",
                "error",
                "no-answer",
                "lost-answer",
                "malformed",
                "truncated-page",
                "wrong-total",
            )
        ),
    ],
)
def test_a_read_that_fails_or_lies_is_made_again(
    store: ObjectStorage, cloud: LocalCloud, kind: str, operation: str
) -> None:
    """Lost, cut off, with rows missing or bytes missing: the next answer is taken."""
    for name in ("s/1", "s/2", "s/3"):
        store.put_new(name, b"0123456789")
    broken(cloud, kind, operation, times=2)
    assert store.get("s/1") == b"0123456789"
    assert [one.name for one in store.listed("s").objects] == ["s/1", "s/2", "s/3"]
    broken(cloud, kind, operation, times=2)
    assert store.listed("s", most=2).objects[1].name == "s/2"
    assert store.get("s/3") == b"0123456789"


def test_a_missing_field_is_never_an_empty_list(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Whichever field a listing lacks, its objects are all there or it is an error."""
    for name in ("s/1", "s/2", "s/3"):
        store.put_new(name, b"x")
    cloud.patch({"faults": [{"operation": "oss:ListObjectsV2", "kind": "missing-field", "probability": 1.0}]})
    answers = []
    for _ in range(20):
        try:
            answers.append(len(store.listed("s").objects))
        except (Malformed, TryAgain):
            answers.append(-1)
    assert set(answers) <= {3, -1}
    assert 3 in answers


@pytest.mark.parametrize(
    ("kind", "error"), [("throttle", TryAgain), ("error", TryAgain), ("no-answer", NoAnswer), ("malformed", Malformed)]
)
def test_a_read_that_keeps_failing_says_how(
    store: ObjectStorage, cloud: LocalCloud, kind: str, error: type[Exception]
) -> None:
    """After some tries it is an error of the kind that says what to do."""
    store.put_new("one", b"0123456789")
    broken(cloud, kind, "oss:GetObject", times=100)
    with pytest.raises(error):
        store.get("one")


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "throttle", "error"])
def test_a_delete_is_made_again(store: ObjectStorage, cloud: LocalCloud, kind: str) -> None:
    """It may be done twice, so it is."""
    store.put_new("one", b"x")
    broken(cloud, kind, "oss:DeleteObject", times=2)
    store.delete("one")
    assert store.get("one") is None


def test_what_nobody_knows_is_kept_as_the_vendor_said_it(store: ObjectStorage, cloud: LocalCloud) -> None:
    """Another refusal has the vendor's code and request id."""
    broken(cloud, "error", "oss:GetObject", code="InvalidObjectState", status=403)
    with pytest.raises(Refused, match="oss:GetObject: InvalidObjectState") as caught:
        store.get("one")
    assert caught.value.code == "InvalidObjectState"
    assert caught.value.request_id


# --- where the bucket is


@pytest.mark.parametrize("switch", ["AccessDenied", "PermanentRedirect"])
def test_the_first_refusal_tells_the_region(begin: Callable[..., LocalCloud], switch: str) -> None:
    """A bucket of another region costs one call more, once."""
    cloud = begin(buckets=BUCKETS, switches={"bucket_elsewhere": switch})
    seen: list[LogEntry] = []
    cloud.on_request(seen.append)
    store = storage(FAR_BUCKET)
    assert store.put_new("one", b"x") is True
    assert store.get("one") == b"x"
    assert [(one.action, one.region, one.code) for one in seen] == [
        ("PutObject", "cn-hangzhou", switch),
        ("PutObject", FAR, ""),
        ("GetObject", FAR, ""),
    ]
    assert storage(FAR_BUCKET, region=FAR).get("one") == b"x"


@pytest.mark.parametrize("operation", ["get", "listed", "folders", "delete", "check_versioning"])
def test_every_call_can_be_the_one_that_learns_the_region(cloud: LocalCloud, operation: str) -> None:
    """It does not matter what is asked first."""
    store = storage(FAR_BUCKET)
    getattr(store, operation)(*([] if operation == "check_versioning" else ["one"]))
    assert store.put_new("one", b"x")


def test_many_threads_learn_the_region_at_once(cloud: LocalCloud) -> None:
    """All of them end at the bucket."""
    store = storage(FAR_BUCKET)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: store.put_new(f"{number}", b"x"), range(40)))
    assert made == [True] * 40


def test_an_endpoint_that_leads_nowhere_is_said() -> None:
    """What names itself, or nothing that is an endpoint, is not followed."""
    for endpoint in ("oss-cn-hangzhou.aliyuncs.com", "example.com"):
        with in_process(elsewhere(endpoint)), pytest.raises(ConfigurationError, match=f"its endpoint is {endpoint}"):
            storage().get("one")


def elsewhere(endpoint: str) -> Any:
    """Answers every call with one endpoint."""

    class Astray:
        broken: tuple[Exception, ...] = ()

        def handle(self, _: HttpRequest) -> HttpResponse:
            body = f"<Error><Code>AccessDenied</Code><Message>no</Message><Endpoint>{endpoint}</Endpoint></Error>"
            date = ("date", "Sat, 21 Nov 2026 12:00:00 GMT")
            return HttpResponse(403, body.encode(), content_type="application/xml", more=(date,))

    return Astray()


# --- what a person has to mend


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            lambda: storage("nobodys"),
            "state oss://nobodys/state: .*NoSuchBucket.*create the bucket, without versioning",
        ),
        (lambda: storage(account=SHOP), f"AccessDenied.*need oss:PutObject.*acs:oss:\\*:\\*:{NEAR_BUCKET}"),
        (lambda: storage("No"), "state oss://No/state: .*name"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get("one"),
        lambda store: store.put_new("one", b"x"),
        lambda store: store.listed("s"),
        lambda store: store.folders("s"),
        lambda store: store.delete("one"),
        check_store,
    ],
)
def test_what_a_person_has_to_mend_is_said_with_the_remedy(
    cloud: LocalCloud, made: Callable[[], ObjectStorage], told: str, ask: Callable[[ObjectStorage], Any]
) -> None:
    """No such bucket, no permission, no possible name: one line, whatever was asked."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        ask(made())
    assert "\n" not in str(caught.value)


def test_credentials_that_are_refused_end_the_run(cloud: LocalCloud) -> None:
    """An unknown key or a wrong secret, and nothing of them is said."""
    for given, code in (
        (Credentials("NOBODY", "local"), "InvalidAccessKeyId"),
        (Credentials(key_of(OWNER), "hidden-secret"), "SignatureDoesNotMatch"),
    ):
        with pytest.raises(CredentialsRefused, match=code) as caught:
            storage(credentials=given).get("one")
        assert "hidden-secret" not in str(caught.value)


def test_a_clock_that_is_off_is_said(begin: Callable[..., LocalCloud], cloud: LocalCloud) -> None:
    """Every request of such a machine is refused."""
    broken(cloud, "error", "oss:GetObject", code="RequestTimeTooSkewed", status=403)
    with pytest.raises(ConfigurationError, match="set this machine's clock"):
        storage().get("one")


def test_a_sound_bucket_passes_the_check(store: ObjectStorage, cloud: LocalCloud) -> None:
    """It tries that a put never overwrites, and leaves nothing behind."""
    check_store(store)
    assert Objects().names() == []
    assert cloud.calls["oss:PutObject"] == 2


@pytest.mark.parametrize(("bucket", "status"), [(VERSIONED, "Enabled"), (SUSPENDED, "Suspended")])
def test_a_bucket_with_versioning_is_refused(cloud: LocalCloud, bucket: str, status: str) -> None:
    """Where there is or was versioning, puts overwrite; nothing is written there."""
    with pytest.raises(ConfigurationError, match=f"versioning of the bucket is {status}.*create a bucket without it"):
        check_store(storage(bucket))
    assert cloud.calls["oss:PutObject"] == 0


def test_a_bucket_that_hides_its_versioning_is_found_out(cloud: LocalCloud) -> None:
    """The probe finds what the status does not say, and goes away."""
    cloud.patch({"faults": [{"operation": "oss:GetBucketVersioning", "kind": "missing-field", "times": 1}]})
    with pytest.raises(ConfigurationError, match="let an object be overwritten although told not to"):
        check_store(storage(SUSPENDED))
    assert Objects(bucket=SUSPENDED).names() == []


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "throttle", "error"])
@pytest.mark.parametrize("operation", ["oss:PutObject", "oss:GetBucketVersioning", "oss:DeleteObject"])
def test_the_check_is_not_misled_by_lost_answers(
    store: ObjectStorage, cloud: LocalCloud, kind: str, operation: str
) -> None:
    """A sound bucket stays sound."""
    broken(cloud, kind, operation)
    check_store(store)
    assert Objects().names() == []


# --- beside the cloud


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cloud with buckets behind a real socket, whatever proxies the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(start(world(buckets=BUCKETS))) as address:
        yield address


def test_a_local_cloud_is_reached_as_a_proxy(url: str) -> None:
    """Over a real socket, in plain HTTP, from several threads, and the connections are given back."""
    store = storage(FAR_BUCKET, local_cloud=url)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda number: store.put_new(f"s/{number % 10}", f"{number}".encode()), range(20)))
    assert made.count(True) == 10
    assert [one.name for one in store.listed("s").objects] == [f"s/{number}" for number in range(10)]
    check_store(store)
    store.close()
    assert store.get("s/1") in (b"1", b"11")
    store.close()


def test_nobody_there_is_no_answer() -> None:
    """A port where nobody listens."""
    with pytest.raises(NoAnswer):
        storage(local_cloud="http://127.0.0.1:9").get("one")


class Breaking(BaseHTTPRequestHandler):
    """Promises more bytes than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.send_header("x-oss-hash-crc64ecma", "0")
        self.end_headers()
        self.wfile.write(b"half")

    def log_message(self, *_: Any) -> None:
        """Nothing is said on standard error."""


def test_a_connection_that_breaks_under_way_is_no_answer() -> None:
    """The head of the answer came, the rest did not."""
    with HTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        store = storage(local_cloud=f"http://127.0.0.1:{server.server_port}")
        try:
            with pytest.raises(NoAnswer, match="oss:GetObject: no answer"):
                store.get("one")
        finally:
            store.close()
            server.shutdown()
            thread.join()


def test_the_sdk_is_loaded_with_the_first_call() -> None:
    """A cold start that needs no object storage does not pay for it."""
    script = (
        "import sys\n"
        "import orgshare.alibaba.storage\n"
        "assert not [name for name in sys.modules if name.startswith(('alibabacloud', 'requests', 'moto', 'crcmod'))]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": "shared"})


def test_every_error_is_one_of_ours(cloud: LocalCloud) -> None:
    """Whatever goes wrong with whatever is asked, the SDK's own exceptions do not come out."""
    store = storage()
    store.put_new("s/1", b"0123456789")
    for kind in ("throttle", "error", "no-answer", "lost-answer", "malformed", "missing-field", "truncated-page"):
        cloud.patch({"faults": [{"operation": "oss:*", "kind": kind, "probability": 0.8}]})
        for ask in (
            lambda: store.get("s/1"),
            lambda: store.put_new("s/2", b"x"),
            lambda: store.listed("s"),
            lambda: store.folders("s"),
            lambda: store.delete("s/2"),
        ):
            with contextlib.suppress(OrgshareError):
                ask()


def test_versioning_that_is_switched_on_later_stops_the_first_put(store: ObjectStorage, cloud: LocalCloud) -> None:
    """From then on two runs could write at once, so nothing more is believed to be put."""
    assert store.put_new("first", b"1")
    cloud.patch({"buckets": {NEAR_BUCKET: {"versioning": "enabled"}}})
    with pytest.raises(ConfigurationError, match=r"versioning of the bucket was switched on.*without it"):
        store.put_new("second", b"2")


# --- files that others put


def reader(*, account: str = OWNER, local_cloud: str = "http://127.0.0.1:9") -> ReadObject:
    """What reads files of a trail, for one account."""
    policy = Policy(
        deployment="d", mode="observe", state="/state", directory=DirectoryReader(MANAGEMENT), owners=(), rules=()
    )
    cloud = AlibabaCloud(
        policy,
        Credentials(key_of(account), "local"),
        local_cloud=local_cloud,
        run="r7",
        now=lambda: NOON,
        calls=patient(),
    )
    return cloud.read_object


KEY = "a-b/AliyunLogs/Actiontrail/cn-hangzhou/2026/11/21/Actiontrail_cn-hangzhou_1_1002_6_2310_x.gz"


@pytest.mark.parametrize(("bucket", "region"), [(NEAR_BUCKET, REGION), (NEAR_BUCKET, None), (FAR_BUCKET, REGION)])
def test_a_file_is_read_wherever_it_is_put(cloud: LocalCloud, bucket: str, region: str | None) -> None:
    """In the region that is told, in the central one if none is, and where storage says that the bucket is."""
    Objects(bucket=bucket, region=FAR if bucket == FAR_BUCKET else REGION).put(KEY, b"0123456789")
    seen: list[LogEntry] = []
    cloud.on_request(seen.append)
    assert reader()(bucket, KEY, region=region, most=10) == b"0123456789"
    assert reader()(bucket, "other", region=region, most=10) is None
    assert all(f"orgshare/{__version__} run/r7" in one.agent for one in seen)
    assert {one.action for one in seen} == {"GetObject"}


def test_a_file_that_is_too_large_is_not_read(cloud: LocalCloud) -> None:
    """One byte more than is wanted, and the size is said instead; of a large one hardly more is fetched."""
    Objects().put(KEY, b"x" * 11)
    with pytest.raises(TooLarge, match=f"trail file oss://{NEAR_BUCKET}/{KEY}: larger than 10 bytes"):
        reader()(NEAR_BUCKET, KEY, region=REGION, most=10)
    assert reader()(NEAR_BUCKET, KEY, region=REGION, most=11) == b"x" * 11
    assert cloud.calls["oss:GetObject"] == 2


@pytest.mark.parametrize("kind", ["throttle", "error", "no-answer", "lost-answer", "malformed"])
def test_a_file_is_read_again_when_its_answer_is_not_whole(cloud: LocalCloud, kind: str) -> None:
    """What is cut off on its way is no truncated file."""
    Objects().put(KEY, b"0123456789")
    broken(cloud, kind, "oss:GetObject", times=2)
    assert reader()(NEAR_BUCKET, KEY, region=REGION, most=100) == b"0123456789"


@pytest.mark.parametrize(
    ("account", "bucket", "told"),
    [
        (SHOP, NEAR_BUCKET, f"trail file oss://{NEAR_BUCKET}/{KEY}: .*AccessDenied.*need oss:GetObject for acs:oss"),
        (OWNER, "nobodys", f"trail file oss://nobodys/{KEY}: .*NoSuchBucket.*remove the trigger"),
    ],
)
def test_a_bucket_that_may_not_be_read_is_a_persons_to_mend(
    cloud: LocalCloud, account: str, bucket: str, told: str
) -> None:
    """The one permission that reading takes is named, and nothing of a state."""
    with pytest.raises(ConfigurationError, match=told):
        reader(account=account)(bucket, KEY, region=REGION, most=10)


def test_a_file_is_read_over_a_real_socket(url: str) -> None:
    """In blocks, and checked as a whole."""
    content = bytes(range(256)) * 10_000
    writer = storage(FAR_BUCKET, prefix="", local_cloud=url)
    writer.put_new(KEY, content)
    writer.close()
    assert reader(local_cloud=url)(FAR_BUCKET, KEY, region=FAR, most=len(content)) == content
    with pytest.raises(TooLarge):
        reader(local_cloud=url)(FAR_BUCKET, KEY, region=FAR, most=len(content) - 1)


class Packing(BaseHTTPRequestHandler):
    """Says that what it has is packed, as storage does of an object that was put so, and not how long it is."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("x-oss-hash-crc64ecma", "1")
        self.end_headers()
        self.wfile.write(gzip.compress(b"0123456789" * 1000))

    def log_message(self, *_: Any) -> None:
        """Nothing is said on standard error."""


def test_a_file_that_is_unpacked_on_its_way_is_still_bounded() -> None:
    """Whether trails put their files so is not documented: the content is taken, and the sum is not of it."""
    with HTTPServer(("127.0.0.1", 0), Packing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        read = reader(local_cloud=f"http://127.0.0.1:{server.server_port}")
        try:
            assert read(NEAR_BUCKET, KEY, region=REGION, most=10_000) == b"0123456789" * 1000
            with pytest.raises(TooLarge):
                read(NEAR_BUCKET, KEY, region=REGION, most=9_999)
        finally:
            server.shutdown()
            thread.join()
