"""The foreign clients are there as their makers published them: one that is missing is a failure, never a skip."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path

import pytest

from tests.clients.running import console_command

PACKAGES = [
    "alibabacloud-ecs20140526",
    "alibabacloud-resourcemanager20200331",
    "alibabacloud-sts20150401",
    "aliyun-img-utils",
    "aliyun-python-sdk-core",
    "aliyun-python-sdk-ecs",
    "aliyun-python-sdk-resourcemanager",
    "aliyun-python-sdk-resourcesharing",
    "aliyun-python-sdk-sts",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_client_is_installed_and_unmodified(package: str) -> None:
    """Each file has the checksum that the package itself records."""
    checked = 0
    for file in metadata.distribution(package).files or ():
        if file.hash is not None:
            digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value, file
            checked += 1
    assert checked > 5


def test_the_console_command_is_installed() -> None:
    """SUSE's tool is called as its users call it."""
    assert console_command("aliyun-img-utils")
