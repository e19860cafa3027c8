"""SELECT: what of the policy a command looks at.

Any of ``--owner``, ``--region``, ``--image`` and ``--rule``; repeated ones are alternatives, different ones must all
hold. What can go wrong is a slip that selects nothing and so looks like "nothing to do": whatever names nothing is an
error that says what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from msgspec import Struct

from orgshare.errors import UNREAD, ConfigurationError
from orgshare.focus import EVERYTHING, Focus, Selection
from orgshare.way.runtime import Runtime


class Select(Struct, frozen=True, omit_defaults=False):
    """The options, sorted: this form is kept in plan files."""

    owners: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def focus(self) -> Focus:
        """What a run looks at."""
        if self == Select():
            return EVERYTHING
        return Focus(
            (
                Selection(
                    owners=frozenset(self.owners),
                    regions=frozenset(self.regions),
                    images=frozenset(self.images),
                    rules=frozenset(self.rules),
                ),
            )
        )


def select_options(body: Callable[..., None]) -> Callable[..., None]:
    """The options of SELECT."""
    for name, metavar, what in reversed(
        (
            ("owner", "ACCOUNT", "Only images of this owner."),
            ("region", "REGION", "Only images in this region."),
            ("image", "IMAGE", "Only this image."),
            ("rule", "NAME", "Only images that this rule selects, or that were shared for it."),
        )
    ):
        body = click.option(f"--{name}", f"{name}s", metavar=metavar, multiple=True, help=f"{what} Repeatable.")(body)
    return body


def selected(options: dict[str, Any]) -> Select:
    """The selection that the options name; they are taken out of the options."""
    return Select(**{key: tuple(sorted(set(options.pop(key)))) for key in ("owners", "regions", "images", "rules")})


def check(select: Select, runtime: Runtime) -> None:
    """Raise ``ConfigurationError`` for an owner, region or rule that the policy does not have."""
    policy = runtime.policy
    _known("owner", select.owners, (owner.account for owner in policy.owners))
    _known("rule", select.rules, (rule.name for rule in policy.rules))
    if not select.regions:
        return
    regions: set[str] = set()
    for owner in policy.owners:
        if select.owners and owner.account not in select.owners:
            continue
        try:
            regions.update(owner.regions if owner.regions is not None else runtime.cloud.regions(owner.account))
        except UNREAD:
            return  # the run will say that this owner's regions cannot be read
    of = f" of {', '.join(select.owners)}" if select.owners else ""
    _known("region", select.regions, regions, of)


def _known(what: str, named: Iterable[str], known: Iterable[str], of: str = "") -> None:
    there = sorted(set(known))
    for name in named:
        if name not in there:
            raise ConfigurationError(
                f"--{what} {name}: the policy has no such {what}{of}; it has {', '.join(there) or 'none'}"
            )
