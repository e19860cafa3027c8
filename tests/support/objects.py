"""Object storage for tests: a world with buckets, and clients of the official SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.exceptions import OperationError, ServiceError

from tests.support.cloud import FAR, OWNER, REGION, SHOP, key_of

NEAR_BUCKET, FAR_BUCKET, SHOP_BUCKET = "acme-state", "acme-far", "shop-state"
VERSIONED, SUSPENDED = "acme-versioned", "acme-suspended"

BUCKETS: dict[str, dict[str, str]] = {
    NEAR_BUCKET: {"owner": OWNER, "region": REGION},
    FAR_BUCKET: {"owner": OWNER, "region": FAR},
    SHOP_BUCKET: {"owner": SHOP, "region": REGION},
    VERSIONED: {"owner": OWNER, "region": REGION, "versioning": "enabled"},
    SUSPENDED: {"owner": OWNER, "region": REGION, "versioning": "suspended"},
}


class Objects:
    """The official SDK, trying each call once, for one caller."""

    def __init__(
        self,
        account: str = OWNER,
        *,
        key: str | None = None,
        secret: str = "local",
        token: str | None = None,
        region: str = REGION,
        bucket: str = NEAR_BUCKET,
        **config: Any,
    ) -> None:
        self.bucket = bucket
        made = oss.config.load_default()
        made.credentials_provider = oss.credentials.StaticCredentialsProvider(key or key_of(account), secret, token)
        made.region = region
        made.disable_ssl = True
        made.retry_max_attempts = 1
        for name, value in config.items():
            setattr(made, name, value)
        self.client = oss.Client(made)

    def put(self, key: str, content: bytes = b"content", **more: Any) -> Any:
        """PutObject."""
        return self.client.put_object(oss.PutObjectRequest(bucket=self.bucket, key=key, body=content, **more))

    def put_new(self, key: str, content: bytes = b"content") -> Any:
        """PutObject that must not overwrite."""
        return self.put(key, content, forbid_overwrite=True)

    def get(self, key: str) -> bytes:
        """GetObject; the content."""
        return bytes(self.found(key).body.read())

    def found(self, key: str, **more: Any) -> Any:
        """GetObject; the whole result."""
        return self.client.get_object(oss.GetObjectRequest(bucket=self.bucket, key=key, **more))

    def delete(self, key: str) -> Any:
        """DeleteObject."""
        return self.client.delete_object(oss.DeleteObjectRequest(bucket=self.bucket, key=key))

    def page(self, **query: Any) -> Any:
        """ListObjectsV2."""
        return self.client.list_objects_v2(oss.ListObjectsV2Request(bucket=self.bucket, **query))

    def names(self, **query: Any) -> list[str]:
        """The names of one page."""
        return [row.key for row in self.page(**query).contents or []]

    def folders(self, **query: Any) -> list[str]:
        """The common prefixes of one page."""
        return [row.prefix for row in self.page(**query).common_prefixes or []]

    def versioning(self) -> str | None:
        """GetBucketVersioning."""
        found = self.client.get_bucket_versioning(oss.GetBucketVersioningRequest(bucket=self.bucket))
        status: str | None = found.version_status
        return status

    def location(self) -> str:
        """GetBucketLocation."""
        return str(self.client.get_bucket_location(oss.GetBucketLocationRequest(bucket=self.bucket)).location)

    def info(self) -> Any:
        """GetBucketInfo."""
        return self.client.get_bucket_info(oss.GetBucketInfoRequest(bucket=self.bucket)).bucket_info


@contextlib.contextmanager
def storage_refuses(code: str, status: int) -> Iterator[list[ServiceError]]:
    """What happens within is refused by object storage with exactly this code and HTTP status."""
    told: list[ServiceError] = []
    with pytest.raises(OperationError) as caught:
        yield told
    error = caught.value.unwrap()
    assert isinstance(error, ServiceError), error
    assert (error.code, error.status_code) == (code, status)
    told.append(error)
