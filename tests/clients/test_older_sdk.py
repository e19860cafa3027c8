"""aliyun-python-sdk-core with a package for each product that is served: the other signature, every form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as Xml

import pytest

from localcloud import LocalCloud, LogEntry
from localcloud.catalog import OPERATIONS as SERVED
from localcloud.server import serving
from tests.clients.conftest import new_cloud
from tests.clients.running import oracle, run
from tests.support.cloud import BANK, LAB, ONE, PARTNER, REGION, SHOP, THREE, TWO

OPERATIONS = {operation for operation in SERVED if not operation.startswith(("ecd:", "ram:"))}
"""What the older SDK is tried with: of Elastic Desktop Service and of RAM only the newer one is installed."""

AFTERWARDS = {ONE: {SHOP, BANK, LAB, PARTNER}, TWO: {SHOP, BANK}, THREE: {SHOP, BANK, LAB, PARTNER}}
REFUSED = [
    ("ecs:DescribeImageSharePermission", [404, "InvalidImageId.NotFound"]),
    ("ecs:DeleteImage", [403, "ImageUseShared"]),
    ("resourcemanager:ListAccounts", [403, "NoPermission"]),
    ("sts:GetCallerIdentity", [400, "InvalidAccessKeySecret"]),
    ("sts:GetCallerIdentity", [404, "InvalidAccessKeyId.NotFound"]),
]


def call_everything(url: str, form: str, *, through: str, home: Path) -> list[tuple[str, Any]]:
    """What the older SDK got from each call, in order."""
    endpoint = "-" if through == "proxy" else urlsplit(url).netloc
    environment = {"HTTP_PROXY": url} if through == "proxy" else {}
    done = run(
        [sys.executable, "-W", "ignore", "-m", "tests.clients.older", form, endpoint],
        home=home,
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    return [(action, answer) for action, answer in json.loads(done.stdout)]


@pytest.mark.parametrize("through", ["proxy", "endpoint"])
def test_every_operation_is_called_and_does_what_it_should(
    cloud: LocalCloud, url: str, tmp_path: Path, through: str
) -> None:
    """All operations answer through the proxy and at the port, and afterwards the oracle finds what was shared."""
    log: list[LogEntry] = []
    cloud.on_request(log.append)
    answers = call_everything(url, "json", through=through, home=tmp_path)
    assert {action for action, _ in answers} == set(cloud.calls) == OPERATIONS
    assert answers[-len(REFUSED) :] == REFUSED
    assert all(isinstance(answer, dict) for _, answer in answers[: -len(REFUSED)])
    assert cloud.users() == oracle(url) == AFTERWARDS
    assert {entry.region for entry in log if entry.product == "ecs" and entry.action != "DescribeRegions"} == {REGION}
    assert all("python-requests" in entry.agent for entry in log)


@pytest.mark.parametrize(("form", "through"), [("form", "proxy"), ("form", "endpoint"), ("xml", "proxy")])
def test_all_forms_get_the_same_answers(tmp_path: Path, form: str, through: str) -> None:
    """Parameters in a form, and answers in XML, change nothing of what is said: two equal clouds answer alike."""
    found = []
    for asked in ("json", form):
        cloud = new_cloud()
        with serving(cloud) as url:
            answers = call_everything(url, asked, through=through, home=tmp_path)
        assert cloud.users() == AFTERWARDS
        found.append([(action, texts(answer)) for action, answer in answers])
    plain, other = found
    assert len(plain) > len(OPERATIONS)
    for expected, answer in zip(plain, other, strict=True):
        assert answer == expected


def texts(answer: Any) -> list[tuple[str, str]]:
    """The paths and texts of an answer, whatever its form; XML tells neither numbers nor empty lists from nothing."""
    if isinstance(answer, list):
        # Where it reads JSON, the older SDK sees for itself that a wrong signature comes of a wrong secret.
        status, code = answer
        return [("refused", f"{status} {code.replace('InvalidAccessKeySecret', 'SignatureDoesNotMatch')}")]
    tree = _of_xml(Xml.fromstring(answer)) if isinstance(answer, str) else _of_json(answer)
    return sorted((path, text) for path, text in tree if text)


def _of_xml(element: Xml.Element, path: str = "") -> Iterator[tuple[str, str]]:
    for child in element:
        yield from _of_xml(child, f"{path}/{child.tag}")
    if not len(element):
        yield path, element.text or ""


def _of_json(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            for one in inner if isinstance(inner, list) else [inner]:
                yield from _of_json(one, f"{path}/{key}")
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
