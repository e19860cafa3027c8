"""Owners with encrypted images: their sharing roles, and whom these let in."""

from __future__ import annotations

import json
from typing import Any

from localcloud.ram.models import trust_text
from tests.support.cloud import trusting
from tests.support.trial import Trial


def sharing_role(owner: str) -> str:
    """The ARN of an owner's sharing role."""
    return f"acs:ram::{owner}:role/AliyunECSShareEncryptImageDefaultRole"


def encrypt(trial: Trial, owner: str) -> None:
    """Encrypt all images of an owner, and make its sharing role."""
    own = [image for image, row in trial.cloud.world().images.items() if row.owner == owner]
    trial.patch(images={image: {"encryption": "cmk"} for image in own})
    sharing_role_of(trial, owner)


def sharing_role_of(trial: Trial, owner: str) -> None:
    """Make an owner's sharing role as a person would: it lets no account in yet."""
    trial.patch(roles={sharing_role(owner): {"trust_policy": trusting("ecs.aliyuncs.com")}})


def document(trial: Trial, owner: str) -> dict[str, Any]:
    """The trust policy of an owner's sharing role as it is."""
    return dict(json.loads(trust_text(trial.cloud.world().roles[sharing_role(owner)])))


def let_in(trial: Trial, owner: str) -> set[str]:
    """The accounts whose ECS the role lets in."""
    names = [one["Principal"].get("Service", ()) for one in document(trial, owner)["Statement"]]
    flat = {name for of in names for name in ([of] if isinstance(of, str) else of)}
    return {name.partition("@")[0] for name in flat if name.endswith("@ecs.aliyuncs.com")}
