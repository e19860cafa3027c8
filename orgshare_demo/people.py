"""What people do in the story, with the vendor's own SDKs: so audit records of it come about as in the real cloud.

Who calls decides where a record goes: what the management account does is forwarded, what an account outside does to
itself is not. What can go wrong is a person who is a part of the program: nothing of it is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import alibabacloud_oss_v2 as oss
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_resourcemanager20200331 import models
from alibabacloud_resourcemanager20200331.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config

from orgshare_demo.deployment import BUCKET, POLICY, REGION


class People:
    """The people of an organization whose local cloud is served at a URL."""

    def __init__(self, url: str) -> None:
        self._host = url.removeprefix("http://")
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider("LOCALIMAGES", "local")
        config.region, config.endpoint, config.disable_ssl = REGION, url, True
        self._storage = oss.Client(config)

    def policy(self) -> str:
        """The policy that lies in the bucket."""
        found = self._storage.get_object(oss.GetObjectRequest(bucket=BUCKET, key=POLICY))
        return bytes(found.body.read()).decode()

    def put_policy(self, text: str) -> None:
        """Put the policy into the bucket, in the place of the one that is there."""
        self._storage.put_object(oss.PutObjectRequest(bucket=BUCKET, key=POLICY, body=text.encode()))

    def create_account(self, name: str, folder: str) -> str:
        """Management creates an account in a folder; its id."""
        answer = self._call("create_resource_account", display_name=name, parent_folder_id=folder)
        return str(answer.account.account_id)

    def move_account(self, account: str, folder: str) -> None:
        """Management moves an account into another folder."""
        self._call("move_account", account_id=account, destination_folder_id=folder)

    def remove_account(self, account: str) -> None:
        """Management removes an account that had been invited."""
        self._call("remove_cloud_account", account_id=account)

    def invite_account(self, account: str) -> None:
        """Management invites an account from outside, which accepts and is directly under Root."""
        asked = self._call("invite_account_to_resource_directory", target_entity=account, target_type="Account")
        self._call("accept_handshake", by=f"LOCAL{account}", handshake_id=asked.handshake.handshake_id)

    def copy_image(self, image: str, name: str, *, key: str, tags: Mapping[str, str]) -> str:
        """The owner copies one of its images under a key of its own; the copy's id."""
        tagged = [ecs.CopyImageRequestTag(key=tag, value=value) for tag, value in tags.items()]
        answer = self._ecs().copy_image(
            ecs.CopyImageRequest(
                region_id=REGION, image_id=image, destination_region_id=REGION, destination_image_name=name,
                encrypted=True, kmskey_id=key, tag=tagged,
            )
        )  # fmt: skip
        return str(answer.body.image_id)

    def tag_image(self, image: str, **tags: str) -> None:
        """The owner tags one of its images."""
        named = [ecs.TagResourcesRequestTag(key=tag, value=value) for tag, value in tags.items()]
        self._ecs().tag_resources(
            ecs.TagResourcesRequest(region_id=REGION, resource_type="image", resource_id=[image], tag=named)
        )

    def delete_image(self, image: str) -> str:
        """The owner deletes one of its images; the code with which the service refuses that, or nothing."""
        try:
            self._ecs().delete_image(ecs.DeleteImageRequest(region_id=REGION, image_id=image))
        except ClientException as error:
            return str(error.code)
        return ""

    def _call(self, name: str, *, by: str = "LOCALMANAGEMENT", **fields: Any) -> Any:
        request: Callable[..., Any] = getattr(models, f"{''.join(part.title() for part in name.split('_'))}Request")
        return getattr(Client(self._config(by)), name)(request(**fields)).body

    def _ecs(self) -> Any:
        return EcsClient(self._config("LOCALIMAGES"))

    def _config(self, by: str) -> Config:
        key: dict[str, Any] = {"access_key_id": by, "access_key_secret": "local"}
        return Config(**key, protocol="http", endpoint=self._host, region_id=REGION)
