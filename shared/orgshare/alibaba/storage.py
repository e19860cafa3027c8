"""A bucket of Object Storage Service as the store of a deployment's state, and as where others put files for us.

A put never overwrites: it carries ``x-oss-forbid-overwrite``, which OSS answers with FileAlreadyExists where the name
is taken (https://www.alibabacloud.com/help/en/oss/user-guide/http-status-code-409). After that answer, and after every
put that was not answered, the object is read back: the bytes that are there say whose put it was. OSS is strongly
consistent, so what was put is read and listed at once
(https://www.alibabacloud.com/help/en/oss/product-overview/what-is-oss).

That header has no effect in a bucket whose versioning is enabled or suspended
(https://www.alibabacloud.com/help/en/oss/developer-reference/putobject). Then two runs would both hold one lease, so
``check_versioning`` refuses such a bucket, and what begins a state tries the promise itself, too.

A policy names the bucket and not its region. A request at another region's endpoint is refused, whatever it asks, with
the right endpoint in the answer's element Endpoint
(https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code): so the first call learns the region, at the
price of one more call, and without a permission of its own. GetBucketLocation would need one, and its page does not
say that it answers elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

from msgspec import Struct

from orgshare import __version__
from orgshare.alibaba.calls import OURSELVES, Calls, one_line, required
from orgshare.alibaba.cloud import CENTRAL_REGION, CONNECT_TIMEOUT, READ_TIMEOUT, Credentials, silence_sdks
from orgshare.errors import ConfigurationError, CredentialsRefused, Malformed, NoAnswer, Refused, TooLarge
from orgshare.permissions import PERMISSIONS, action_of
from orgshare.ports import Listing, StoredObject

Answer = TypeVar("Answer")

MOST_NAMES = 1000
"""Names a page, the most that a listing allows: https://help.aliyun.com/en/oss/developer-reference/listobjectsv2"""

PUTS = 4
"""How often an object is put that is found to be absent after a put that was not answered."""

_ENDPOINT = re.compile(r"(?:https?://)?oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")
_EXPIRED = frozenset({"SecurityTokenExpired", "AccessKeyIdAndSecurityTokenNotMatch"})
_NO_ERROR_DOCUMENT = "BadErrorResponse"
"""What the SDK calls the code of a refusal that it cannot read."""

_BLOCK = 2**20
"""Bytes that are read at a time."""


class Use(Struct, frozen=True):
    """What a bucket is used for: the actions that it takes, and what to do if there is no such bucket."""

    actions: tuple[str, ...]
    no_bucket: str


STATE = Use(
    tuple(permission.action for permission in PERMISSIONS["runner"] if permission.action.startswith("oss:")),
    "create the bucket, without versioning, or mend its name in the policy",
)
TRAIL = Use(("oss:GetObject",), "remove the trigger that tells of files in it")


class ObjectStorage:
    """``ports.ObjectStore`` in a bucket, under a prefix. One object serves one run, from any number of threads.

    ``calls`` makes the calls, for the account of the credentials, whatever it is. Nothing here asks for a lease or a
    pause before it writes: the state is what tells of them. ``region`` is where the bucket is looked for first, best
    where the program runs, if that is known. What a person has to mend (no such bucket, no permission, versioning, a
    clock that is off) is a ``ConfigurationError`` that says how; ``called`` is what it says of what lies here.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        credentials: Credentials,
        calls: Calls,
        run: str,
        local_cloud: str | None = None,
        region: str = "",
        called: str = "",
        use: Use = STATE,
    ) -> None:
        silence_sdks()
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._credentials = credentials
        self._calls = calls
        self._agent = f"orgshare/{__version__} run/{run}"
        self._local_cloud = local_cloud
        self._region = region or CENTRAL_REGION
        self._called = called or f"state {self}"
        self._use = use
        self._http: Any = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"oss://{self._bucket}/{self._prefix}" if self._prefix else f"oss://{self._bucket}"

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless its name is taken; whether these bytes are there now."""
        puts = 0
        while True:
            puts += 1
            try:
                self._put(name, data)
            except Refused as refusal:
                if refusal.code != "FileAlreadyExists":
                    raise
                return self.get(name) == data
            except NoAnswer:
                there = self.get(name)
                if there is not None:
                    return there == data
                if puts == PUTS:
                    raise
            else:
                return True

    def get(self, name: str, *, most: int | None = None) -> bytes | None:
        """An object's bytes, checked against the sum that OSS keeps of them, or ``None``.

        One of more than ``most`` bytes is not read; it is ``TooLarge``.
        """
        from alibabacloud_oss_v2 import GetObjectRequest
        from alibabacloud_oss_v2.crc import Crc64

        operation = "oss:GetObject"
        request = GetObjectRequest(bucket=self._bucket, key=self._key(name))

        def call(client: Any) -> bytes:
            found = client.get_object(request)
            content = self._content(found, most)
            if found.content_encoding:  # stored as packed, and unpacked on its way: the sum is of something else
                return content
            kept = required(found.hash_crc64, operation, "x-oss-hash-crc64ecma")
            made = Crc64(0)
            made.update(content)
            if str(made.sum64()) != kept:
                raise Malformed(f"{operation}: {self}/{name}: {len(content)} bytes arrived that are not what is stored")
            return content

        try:
            return self._call(operation, call)
        except Refused as refusal:
            if refusal.code == "NoSuchKey":
                return None
            raise

    def _content(self, found: Any, most: int | None) -> bytes:
        if most is None:
            return bytes(found.body.read())
        told = found.content_length or 0
        content = bytearray()
        with found.body as body:
            for block in body.iter_bytes(block_size=_BLOCK) if told <= most else ():
                content += block
                if len(content) > most:
                    break
        if max(told, len(content)) > most:
            raise TooLarge(f"{self._called}: larger than {most:,} bytes")
        return bytes(content)

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        """The first objects directly under a prefix; ``now`` is the time of the first page.

        Folders count as names of a page, so there may be several pages even for few objects. The first page's time is
        the safe one: an object's age comes out too small rather than too great.
        """
        objects: list[StoredObject] = []
        now: datetime | None = None
        for page in self._pages(prefix, most or MOST_NAMES):
            now = now or page.now
            objects.extend(page.objects)
            if most is not None and len(objects) >= most:
                break
        assert now is not None
        return Listing(tuple(objects[:most]), now)

    def folders(self, prefix: str) -> list[str]:
        """The prefixes directly under a prefix, sorted."""
        return sorted(folder for page in self._pages(prefix, MOST_NAMES) for folder in page.folders)

    def delete(self, name: str) -> None:
        """Remove an object; OSS answers the same where there is none, so it may be done twice."""
        from alibabacloud_oss_v2 import DeleteObjectRequest

        request = DeleteObjectRequest(bucket=self._bucket, key=self._key(name))
        self._call("oss:DeleteObject", lambda client: client.delete_object(request))

    def check_versioning(self) -> None:
        """Make sure that the bucket has no versioning, under which puts overwrite; ``ConfigurationError`` if it has."""
        from alibabacloud_oss_v2 import GetBucketVersioningRequest

        request = GetBucketVersioningRequest(bucket=self._bucket)
        status = self._call(
            "oss:GetBucketVersioning", lambda client: client.get_bucket_versioning(request).version_status
        )
        if status:
            raise ConfigurationError(
                f"{self._called}: versioning of the bucket is {status}, so that OSS lets objects be overwritten and "
                "two runs could write at once",
                remedy="versioning cannot be undone: create a bucket without it and name that one",
            )

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            if self._http is not None:
                self._http.close()
            self._http = None
            self._clients.clear()

    def _put(self, name: str, data: bytes) -> None:
        from alibabacloud_oss_v2 import PutObjectRequest

        request = PutObjectRequest(
            bucket=self._bucket,
            key=self._key(name),
            body=data,
            content_md5=_md5(data),
            content_type="application/octet-stream",
            forbid_overwrite=True,
        )
        done = self._call("oss:PutObject", lambda client: client.put_object(request), writes=True)
        if done.version_id:
            raise ConfigurationError(
                f"{self._called}: versioning of the bucket was switched on, so that OSS lets objects be overwritten "
                "and two runs could write at once",
                remedy="versioning cannot be undone: copy the objects to a bucket without it and name that one",
            )

    def _pages(self, prefix: str, size: int) -> Iterator[_Page]:
        """The pages of what is directly under a prefix, one after the other."""
        token = ""
        while True:
            page = self._page(self._key(f"{prefix}/" if prefix else ""), min(size, MOST_NAMES), token)
            yield page
            if not page.token:
                return
            token = page.token

    def _page(self, prefix: str, size: int, token: str) -> _Page:
        from alibabacloud_oss_v2 import ListObjectsV2Request

        operation = "oss:ListObjectsV2"
        request = ListObjectsV2Request(
            bucket=self._bucket, prefix=prefix, delimiter="/", max_keys=size, continuation_token=token or None
        )

        def call(client: Any) -> _Page:
            body = client.list_objects_v2(request)
            objects, folders = body.contents or [], body.common_prefixes or []
            number = required(body.key_count, operation, "KeyCount")
            if number != len(objects) + len(folders):
                raise Malformed(f"{operation}: {len(objects) + len(folders)} rows instead of KeyCount {number}")
            more = required(body.is_truncated, operation, "IsTruncated")
            return _Page(
                objects=tuple(
                    StoredObject(
                        self._name(required(row.key, operation, "Key")),
                        _utc(required(row.last_modified, operation, "LastModified")),
                    )
                    for row in objects
                    if row.key != prefix
                ),
                folders=tuple(self._name(required(row.prefix, operation, "Prefix")).rstrip("/") for row in folders),
                token=required(body.next_continuation_token, operation, "NextContinuationToken") if more else "",
                now=parsedate_to_datetime(required(body.headers.get("Date"), operation, "Date")),
            )

        return self._call(operation, call)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _name(self, key: str) -> str:
        return key[len(self._prefix) + 1 :] if self._prefix else key

    def _call(self, operation: str, call: Callable[[Any], Answer], *, writes: bool = False) -> Answer:
        """Make a call at the bucket's endpoint; one that is sent on to another endpoint was not carried out."""
        asked = self._region
        try:
            return self._call_at(asked, operation, call, writes=writes)
        except _Elsewhere as told:
            if told.region in ("", asked):
                raise ConfigurationError(f"{self._called}: {told}") from told
            region = told.region
        try:
            answer = self._call_at(region, operation, call, writes=writes)
        except _Elsewhere as told:
            raise ConfigurationError(f"{self._called}: {told}") from told
        self._region = region
        return answer

    def _call_at(self, region: str, operation: str, call: Callable[[Any], Answer], *, writes: bool) -> Answer:
        lane = self._calls.lane("", region)
        make = lane.write if writes else lane.read
        return make(operation, lambda: self._once(operation, call, region, writes=writes))

    def _once(self, operation: str, call: Callable[[Any], Answer], region: str, *, writes: bool) -> Answer:
        """One try, with the SDK's exceptions turned into what ``Calls`` sorts."""
        from alibabacloud_oss_v2 import exceptions as sdk

        try:
            return call(self._client(region))
        except sdk.OperationError as error:
            inner = error.unwrap()
            if isinstance(inner, sdk.ServiceError):
                self._answered(operation, inner, writes=writes)
            if isinstance(inner, (sdk.RequestError, sdk.ResponseError)):
                raise NoAnswer(f"{operation}: no answer: {one_line(str(inner))}") from error
            raise ConfigurationError(f"{self._called}: {operation}: {one_line(str(inner))}") from error
        except (sdk.BaseError, SyntaxError) as error:  # an answer that is no XML, or not the expected one
            kind = NoAnswer if writes else Malformed
            raise kind(f"{operation}: the answer could not be parsed: {one_line(str(error))}") from error
        except OSError as error:  # the connection broke while an object was read
            raise NoAnswer(f"{operation}: no answer: {one_line(str(error))}") from error

    def _answered(self, operation: str, error: Any, *, writes: bool) -> NoReturn:
        """Raise what an error of the service means for the state store, or the error itself."""
        code = error.code or ""
        text = f"{operation}: {code}: {one_line(error.message or '')} (request {error.request_id})"
        endpoint = (error.error_fileds or {}).get("Endpoint")
        if endpoint:
            raise _Elsewhere(endpoint, text) from error
        if code == _NO_ERROR_DOCUMENT:
            kind = NoAnswer if writes else Malformed
            raise kind(f"{operation}: a refusal (HTTP {error.status_code}) that could not be parsed") from error
        if code in _EXPIRED:
            raise CredentialsRefused(f"{text}; check the credentials") from error
        remedy = {
            "NoSuchBucket": self._use.no_bucket,
            "InvalidBucketName": "mend the bucket's name in the policy",
            "AccessDenied": (
                f"a policy of {OURSELVES} has to allow {action_of(operation)}; they need "
                f"{', '.join(self._use.actions)} for acs:oss:*:*:{self._bucket} and what is in it, "
                "in the account whose bucket it is"
            ),
            "RequestTimeTooSkewed": "set this machine's clock",
        }.get(code)
        if remedy:
            raise ConfigurationError(f"{self._called}: {text}", remedy=remedy) from error
        raise error

    def _client(self, region: str) -> Any:
        with self._lock:
            client = self._clients.get(region)
            if client is None:
                client = self._clients[region] = self._make_client(region)
            return client

    def _make_client(self, region: str) -> Any:
        """A client whose retries and sums are ours: it tries once, and Content-MD5 says what was sent."""
        import alibabacloud_oss_v2 as oss
        from alibabacloud_oss_v2.retry import NopRetryer

        given = self._credentials
        config = oss.config.load_default()
        config.region = region
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(given.key, given.secret, given.token)
        config.user_agent = self._agent
        config.disable_ssl = self._local_cloud is not None
        config.retryer = NopRetryer()
        config.retry_max_attempts = 1
        config.readwrite_timeout = READ_TIMEOUT / 1000
        config.disable_upload_crc64_check = True
        config.http_client = self._connections()
        return oss.Client(config)

    def _connections(self) -> Any:
        """The connections of all clients."""
        from alibabacloud_oss_v2.transport import RequestsHttpClient

        if self._http is None:
            self._http = RequestsHttpClient(
                connect_timeout=CONNECT_TIMEOUT / 1000,
                readwrite_timeout=READ_TIMEOUT / 1000,
                proxy_host={"http": self._local_cloud} if self._local_cloud else None,
            )
            self._http.open()
            if self._local_cloud:
                self._http.session.trust_env = False  # nothing of the environment is meant for it
        return self._http


class _Page(Struct, frozen=True):
    """One page of a listing."""

    objects: tuple[StoredObject, ...]
    folders: tuple[str, ...]
    token: str
    now: datetime


class _Elsewhere(Exception):
    """The bucket is at another endpoint, so nothing was done."""

    def __init__(self, endpoint: str, text: str) -> None:
        super().__init__(f"{text}; its endpoint is {endpoint}")
        found = _ENDPOINT.fullmatch(endpoint)
        self.region = found[1] if found else ""


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
