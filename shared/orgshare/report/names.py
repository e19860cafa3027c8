"""The names that people know accounts and images by, to stand beside their ids.

Names come from outside and go to a terminal, so what is not printable is replaced. What can go wrong is a name that is
taken for the thing: names repeat and change, so an id is never left out for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from orgshare.policy.model import Policy
from orgshare.way.planning import Planned
from orgshare.words import Image, Organization

LONGEST = 60


class Names(Struct, frozen=True):
    """Names of accounts and rows of images, by id. What has none is shown by its id alone.

    ``whole`` are the ids that stand for the whole organization as a target.
    """

    accounts: Mapping[str, str] = MappingProxyType({})
    images: Mapping[str, Image] = MappingProxyType({})
    whole: frozenset[str] = frozenset()

    def account(self, account: str) -> str:
        """An account's name, or nothing."""
        return printable(self.accounts.get(account, ""))

    def named_account(self, account: str) -> str:
        """An account's id, with its name where it has one."""
        return f"{account} {self.account(account)}".rstrip()

    def image(self, image: str) -> str:
        """An image's name, or nothing."""
        row = self.images.get(image)
        return printable(row.name) if row is not None else ""

    def target(self, target: str) -> str:
        """What a target of a resource share is, in words, or nothing for a folder."""
        return "the whole organization" if target in self.whole else self.account(target)

    def named(self, entity: str) -> str:
        """The id of an image, an account or a target, with its name where it has one."""
        return f"{entity} {self.image(entity) or self.target(entity)}".rstrip()

    def place(self, service: str, region: str, owner: str) -> str:
        """Where images are, and whose."""
        return f"{service} {region}, owner {self.named_account(owner)}"

    def place_of(self, image: Image) -> str:
        """Where an image is, and whose."""
        return self.place(image.shard.service, image.region, image.shard.owner)


NO_NAMES = Names()


def names_of(planned: Planned, *more: Image) -> Names:
    """The names that a run learned."""
    images = {image.id: image for image in (*(r.image for r in planned.looked.readings), *more)}
    organization = planned.looked.organization
    whole = frozenset({organization.id, organization.root})
    return Names(account_names(planned.facts.policy, organization), images, whole)


def account_names(policy: Policy, organization: Organization) -> Mapping[str, str]:
    """The names of members, of the management account, and of the policy's partners."""
    partners = {p.account: p.name for rule in policy.rules for p in rule.audience.partners if p.name}
    members = {member.id: member.name for member in organization.members.values() if member.name}
    return {**partners, organization.management: "management account", **members}


def printable(text: str) -> str:
    """The text on one line, without what would move a terminal's cursor, and of bounded length."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"
