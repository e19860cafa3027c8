"""What must not be lost or seen: the bucket of the state, and secrets. And that an installation begins by observing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.reading import Finding, Keys, Template, within

BUCKET = "ALIYUN::OSS::Bucket"
_SECRET = re.compile(r"\bLTAI[A-Za-z0-9]{8,}|-----BEGIN|(?i:(secret|password|access_?key|token)\w*\s*[:=]\s*\S{8,})")
_KEY = re.compile(r"(?i)secret|password|access_?key")


def check(template: Template) -> Iterator[Finding]:
    """Everything about what a template keeps."""
    for place, of in template.resources(BUCKET):
        yield from _bucket(template, place, of)
    for where, text in _literals(template.document, ()):
        if _SECRET.search(text):
            yield template.at(where, "this looks like a secret", "let the runtime give credentials, and keep none here")
    mode = template.section("Parameters").get("Mode")
    if mode is not None and within(mode, "Default") != "observe":
        at: Keys = ("Parameters", "Mode", "Default")
        what = f"begins with {within(mode, 'Default')}, and nobody has seen what it would do yet"
        yield template.at(at, what, "write observe")


def _bucket(template: Template, place: Keys, of: Any) -> Iterator[Finding]:
    """It stays, is private, is encrypted, and never has versions.

    https://www.alibabacloud.com/help/en/oss/developer-reference/putobject says of a bucket with versions that a put
    which must not overwrite does.
    """
    if within(template.section("Resources").get(str(place[1])), "DeletionPolicy") != "Retain":
        what = "the bucket goes when its stack goes, and what is in it"
        yield template.at(place[:2], what, "write DeletionPolicy: Retain")
    if of.get("AccessControl") != "private" or of.get("BlockPublicAccess") is not True:
        mend = "AccessControl: private and BlockPublicAccess: true"
        yield template.at((*place, "AccessControl"), "others might read the bucket", mend)
    if "ServerSideEncryptionConfiguration" not in of:
        mend = "ServerSideEncryptionConfiguration: {SSEAlgorithm: AES256}"
        yield template.at(place, "the bucket is not encrypted", mend)
    if "VersioningConfiguration" in of:
        what = "with versioning, enabled or suspended, a put overwrites, and two runs would hold one lease"
        yield template.at((*place, "VersioningConfiguration"), what, "take it out: a bucket begins without")
    if "DeletionForce" in of:
        yield template.at((*place, "DeletionForce"), "what is in the bucket would be deleted", "take it out")


def _literals(value: Any, place: Keys) -> Iterator[tuple[Keys, str]]:
    """Every text of a template, with its key where that says what it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and _KEY.search(key):
                yield (*place, key), f"{key}={item}"
            yield from _literals(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _literals(item, (*place, number))
    elif isinstance(value, str):
        yield place, value
