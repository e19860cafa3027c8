"""Requests in, answers out, for object storage.

What is asked for is told by method, object and sub-resource. Everything of the API that is not served, down to single
headers and parameters, is NotImplemented: nothing is ignored. Pages of the vendor stand at each operation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from localcloud.call import Models
from localcloud.clock import iso_millis
from localcloud.http import HttpRequest
from localcloud.oss.errors import ERRORS, NO_RIGHT, StorageError, bad_argument, denied
from localcloud.oss.models import StoredThing
from localcloud.render import as_xml
from localcloud.sts.models import Principal
from localcloud.world import Bucket

Headers = tuple[tuple[str, str], ...]

XML = "application/xml"
_DEFAULT_KEYS, _MOST_KEYS = 100, 1000
_LONGEST_NAME = 1023
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")

_COMMON = frozenset({"x-oss-content-sha256", "x-oss-date", "x-oss-security-token"})
_IGNORED_NEVER = ("x-oss-", "if-", "range", "cache-control", "content-disposition", "content-encoding", "expires")
"""Beginnings of headers that ask for something: one that is not served must not be dropped silently."""


@dataclass(frozen=True, slots=True)
class ObjectCall:
    """One call to object storage that passed the signature check."""

    request: HttpRequest
    query: Mapping[str, str]
    bucket: str
    key: str
    region: str
    principal: Principal
    now: float
    models: Models


@dataclass(frozen=True, slots=True)
class ObjectAnswer:
    """An answer: an XML document under its root, or plain content."""

    status: int = 200
    root: str = ""
    document: Mapping[str, Any] | None = None
    content: bytes = b""
    content_type: str = XML
    headers: Headers = ()

    def body(self) -> bytes:
        """The answer's bytes."""
        return self.content if self.document is None else as_xml(self.document, root=self.root)


@dataclass(frozen=True, slots=True)
class ObjectOperation:
    """An operation of object storage, with the parameters and headers of its own that it reads."""

    name: str
    handler: Callable[[ObjectCall], ObjectAnswer]
    parameters: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()

    def check_served(self, call: ObjectCall) -> None:
        """NotImplemented if the call asks for more than is served."""
        if not self.parameters.issuperset(call.query):
            raise ERRORS.error("NotImplemented")
        for name in call.request.headers:
            if name.startswith(_IGNORED_NEVER) and name not in _COMMON and name not in self.headers:
                raise ERRORS.error("NotImplemented")


def operation_asked(method: str, key: str, query: Mapping[str, str]) -> ObjectOperation | None:
    """The operation that a request is about; None if it is one that is not served."""
    if key:
        return {"PUT": _PUT, "GET": _GET, "DELETE": _DELETE}.get(method)
    if method != "GET":
        return None
    for name, operation in _SUB_RESOURCES.items():
        if name in query:
            return operation
    return _LIST if query.get("list-type") == "2" else None


def put_object(call: ObjectCall) -> ObjectAnswer:
    """PutObject: https://www.alibabacloud.com/help/en/oss/developer-reference/putobject.

    `x-oss-forbid-overwrite` has no effect while versioning is enabled or suspended, as that page says.
    """
    _own_bucket(call)
    _check_name(call.key)
    headers, content = call.request.headers, call.request.body
    forbid = headers.get("x-oss-forbid-overwrite", "false").lower()
    if forbid not in ("true", "false"):
        raise bad_argument("x-oss-forbid-overwrite must be true or false.")
    _check_digest(headers.get("content-md5", ""), content)
    thing = call.models.storage.put_thing(
        call.bucket,
        call.key,
        content,
        headers.get("content-type", "application/octet-stream"),
        new=forbid == "true",
        now=call.now,
    )
    version: Headers = (("x-oss-version-id", thing.version),) if thing.version != "null" else ()
    return ObjectAnswer(headers=(*_sums(thing), *version))


def get_object(call: ObjectCall) -> ObjectAnswer:
    """GetObject: https://www.alibabacloud.com/help/en/oss/developer-reference/getobject."""
    _own_bucket(call)
    _check_name(call.key)
    thing = call.models.storage.thing(call.bucket, call.key)
    if thing is None:
        raise StorageError(ERRORS.error("NoSuchKey"), {"Key": call.key})
    version: Headers = (("x-oss-version-id", thing.version),) if thing.version != "null" else ()
    return ObjectAnswer(
        content=thing.content,
        content_type=thing.content_type,
        headers=(
            *_sums(thing),
            ("last-modified", formatdate(thing.put_at, usegmt=True)),
            ("x-oss-object-type", "Normal"),
            ("x-oss-storage-class", "Standard"),
            *version,
        ),
    )


def delete_object(call: ObjectCall) -> ObjectAnswer:
    """DeleteObject: https://www.alibabacloud.com/help/en/oss/developer-reference/deleteobject; absent is no error."""
    _own_bucket(call)
    _check_name(call.key)
    call.models.storage.drop_thing(call.bucket, call.key)
    return ObjectAnswer(status=204)


def list_objects_v2(call: ObjectCall) -> ObjectAnswer:
    """ListObjectsV2: https://help.aliyun.com/en/oss/developer-reference/listobjectsv2, 100 names a page unless told."""
    _own_bucket(call)
    query = call.query
    encoding = query.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise bad_argument("The encoding-type must be url.")
    most = _most_keys(query.get("max-keys", ""))
    token, after = query.get("continuation-token", ""), query.get("start-after", "")
    delimiter, prefix = query.get("delimiter", ""), query.get("prefix", "")
    if after and delimiter:
        raise ERRORS.error("NotImplemented")
    found = call.models.storage.listed_things(call.bucket, prefix, delimiter, _after(token) if token else after, most)

    def name(text: str) -> str:
        return quote(text) if encoding else text

    document: dict[str, Any] = {"Name": call.bucket, "Prefix": name(prefix)}
    if after:
        document["StartAfter"] = name(after)
    document["MaxKeys"] = most
    document["Delimiter"] = name(delimiter)
    if encoding:
        document["EncodingType"] = encoding
    document["IsTruncated"] = bool(found.after)
    if token:
        document["ContinuationToken"] = token
    if found.after:
        document["NextContinuationToken"] = base64.urlsafe_b64encode(found.after.encode()).decode()
    owner = {"Owner": _owner(call)} if query.get("fetch-owner", "").lower() == "true" else {}
    document["Contents"] = [
        {
            "Key": name(key),
            "LastModified": iso_millis(put_at),
            "ETag": etag,
            "Type": "Normal",
            "Size": size,
            "StorageClass": "Standard",
            **owner,
        }
        for key, put_at, etag, size in found.objects
    ]
    document["CommonPrefixes"] = [{"Prefix": name(one)} for one in found.prefixes]
    document["KeyCount"] = len(found.objects) + len(found.prefixes)
    return ObjectAnswer(root="ListBucketResult", document=document)


def get_bucket_info(call: ObjectCall) -> ObjectAnswer:
    """GetBucketInfo: https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketinfo."""
    bucket = _own_bucket(call)
    document: dict[str, Any] = {
        "Name": call.bucket,
        "Location": f"oss-{bucket.region}",
        "CreationDate": iso_millis(call.models.storage.made_at(call.bucket)),
        "ExtranetEndpoint": endpoint_of(bucket),
        "IntranetEndpoint": f"oss-{bucket.region}-internal.aliyuncs.com",
        "Owner": _owner(call),
        "AccessControlList": {"Grant": "private"},
        "StorageClass": "Standard",
        "DataRedundancyType": "LRS",
    }
    if bucket.versioning != "none":
        document["Versioning"] = bucket.versioning.capitalize()
    return ObjectAnswer(root="BucketInfo", document={"Bucket": document})


def get_bucket_location(call: ObjectCall) -> ObjectAnswer:
    """GetBucketLocation: https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketlocation.

    That page does not say what it answers at another region's endpoint: here what every other call gets there.
    """
    bucket = _own_bucket(call)
    location = escape(f"oss-{bucket.region}")
    content = f"<?xml version='1.0' encoding='UTF-8'?><LocationConstraint>{location}</LocationConstraint>"
    return ObjectAnswer(content=content.encode())


def get_bucket_versioning(call: ObjectCall) -> ObjectAnswer:
    """GetBucketVersioning: https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketversioning.

    There is no Status while versioning was never enabled.
    """
    bucket = _own_bucket(call)
    status = {} if bucket.versioning == "none" else {"Status": bucket.versioning.capitalize()}
    return ObjectAnswer(root="VersioningConfiguration", document=status)


def endpoint_of(bucket: Bucket) -> str:
    """The public endpoint of a bucket's region."""
    return f"oss-{bucket.region}.aliyuncs.com"


def _own_bucket(call: ObjectCall) -> Bucket:
    """The bucket, at its own endpoint and of the caller's account.

    At another endpoint the answer names the right one. The vendor has been seen to say AccessDenied
    (https://www.alibabacloud.com/help/doc-detail/31945.htm) and describes PermanentRedirect, too
    (https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code); a switch of the world decides.
    """
    if not _BUCKET.fullmatch(call.bucket):
        raise ERRORS.error("InvalidBucketName")
    bucket = call.models.storage.bucket_named(call.bucket)
    if bucket.region != call.region:
        error = ERRORS.error("PermanentRedirect")
        if call.models.settings.switches.bucket_elsewhere == "AccessDenied":
            error = denied(error.message)
        raise StorageError(error, {"Bucket": call.bucket, "Endpoint": endpoint_of(bucket)})
    if bucket.owner != call.principal.account:
        raise denied(NO_RIGHT)
    return bucket


def _check_name(key: str) -> None:
    """Names of objects: https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions."""
    if len(key.encode()) > _LONGEST_NAME or key.startswith(("/", "\\")):
        raise ERRORS.error("InvalidObjectName")


def _check_digest(digest: str, content: bytes) -> None:
    if not digest:
        return
    made = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    if digest != made:
        raise ERRORS.error("InvalidDigest")


def _most_keys(text: str) -> int:
    if not text:
        return _DEFAULT_KEYS
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_KEYS):
        raise bad_argument("Argument max-keys must be an integer between 1 and 1000.")
    return int(text)


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise bad_argument("The continuation-token is not valid.") from None


def _owner(call: ObjectCall) -> dict[str, str]:
    return {"ID": call.principal.account, "DisplayName": call.principal.account}


def _sums(thing: StoredThing) -> Headers:
    """What lets a client check what it sent or got."""
    md5 = base64.b64encode(hashlib.md5(thing.content, usedforsecurity=False).digest()).decode()
    return (
        ("etag", thing.etag),
        ("x-oss-hash-crc64ecma", str(_crc64()(thing.content))),
        ("content-md5", md5),
    )


@cache
def _crc64() -> Callable[[bytes], int]:
    """CRC-64 of ECMA-182: https://www.alibabacloud.com/help/en/oss/user-guide/check-data-transmission-integrity-using-crc64."""
    import crcmod

    made: Callable[[bytes], int] = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF)
    return made


_PUT = ObjectOperation("PutObject", put_object, headers=frozenset({"x-oss-forbid-overwrite"}))
_GET = ObjectOperation("GetObject", get_object)
_DELETE = ObjectOperation("DeleteObject", delete_object)
_LIST = ObjectOperation(
    "ListObjectsV2",
    list_objects_v2,
    frozenset(
        {
            "list-type",
            "prefix",
            "delimiter",
            "max-keys",
            "continuation-token",
            "start-after",
            "encoding-type",
            "fetch-owner",
        }
    ),
)
_SUB_RESOURCES = {
    "bucketInfo": ObjectOperation("GetBucketInfo", get_bucket_info, frozenset({"bucketInfo"})),
    "location": ObjectOperation("GetBucketLocation", get_bucket_location, frozenset({"location"})),
    "versioning": ObjectOperation("GetBucketVersioning", get_bucket_versioning, frozenset({"versioning"})),
}
SERVED = (_PUT, _GET, _DELETE, _LIST, *_SUB_RESOURCES.values())
"""Every operation of object storage."""
