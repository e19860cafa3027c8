"""What the official SDK knows of an operation: the fields of its answer, its parameters, and which are required.

The SDK is generated from the vendor's newest metadata, and is there where the handbook is not.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from alibabacloud_ecd20200930 import models as ecd_models
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_resourcemanager20200331 import models as resourcemanager_models
from alibabacloud_resourcesharing20200110 import models as resourcesharing_models
from alibabacloud_sts20150401 import models as sts_models

MODELS: Mapping[str, Any] = {
    "ecd": ecd_models,
    "ecs": ecs_models,
    "ram": ram_models,
    "resourcemanager": resourcemanager_models,
    "resourcesharing": resourcesharing_models,
    "sts": sts_models,
}

COMMON = frozenset({"OwnerAccount", "OwnerId", "ResourceOwnerAccount", "ResourceOwnerId"})
"""Parameters of all calls of ECS that no page explains."""

_NAME = re.compile(r"result\['(\w+)'\] = ")
_ATTRIBUTE = re.compile(r"((?:[ ]+#.*\n)*)[ ]+self\.(\w+) = \2\n")


def understood(operation: str, answer: Mapping[str, Any]) -> Any:
    """The answer as the SDK hands it on: what it does not know is dropped without a word."""
    product, _, name = operation.partition(":")
    body = getattr(MODELS[product], f"{name}ResponseBody")()
    return body.from_map(answer).to_map()


def parameters(operation: str) -> dict[str, bool]:
    """The parameters of an operation, and whether the SDK's own text says that it is required."""
    product, _, name = operation.partition(":")
    request = getattr(MODELS[product], f"{name}Request", None)
    if request is None:
        return {}
    texts = [text for text, _ in _ATTRIBUTE.findall(inspect.getsource(request.__init__))]
    attributes = [attribute for _, attribute in _ATTRIBUTE.findall(inspect.getsource(request.__init__))]
    names = _NAME.findall(inspect.getsource(request.to_map))
    assert len(names) == len(attributes), operation
    found = {name: "This parameter is required." in text for name, text in zip(names, texts, strict=True)}
    return {name: required for name, required in found.items() if name not in COMMON}
