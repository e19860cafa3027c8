"""Checks of parameters that several calls of ECS have in common."""

from __future__ import annotations

from localcloud.call import Call
from localcloud.ecs.errors import ERRORS
from localcloud.params import Params

TAGS_ASKED_FOR = 20


def stop_if_dry_run(call: Call) -> None:
    """A dry run that would succeed ends as an error, says the vendor, with the code DryRunOperation."""
    if call.params.flag("DryRun"):
        raise ERRORS.error("DryRunOperation")


def tags_asked_for(params: Params) -> list[tuple[str, str]]:
    """The tags that a list is narrowed to."""
    tags = params.pairs("Tag")
    if len(tags) > TAGS_ASKED_FOR:
        raise ERRORS.error("InvalidTagCount")
    if any(not key for key, _ in tags):
        raise ERRORS.error("InvalidTag.Mismatch")
    return tags
