"""Who should have what, from the policy's YAML and the world's document alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Document = Mapping[str, Any]
Pair = tuple[str, str]
Pairs = frozenset[Pair]

ROOT = "root"
COPY_OF = "orgshare:copy-of"
"""The tag of a copy: the region and the id of the image that it was made from."""

NEWCOMER = "7000000000000007"
"""An account that does not exist: it stands for whoever joins tomorrow."""


class World:
    """A world's document, read once."""

    def __init__(
        self, document: Document, marks: frozenset[str] = frozenset(), gone: Mapping[str, Document] | None = None
    ) -> None:
        """``marks`` are images that a person retired, which the deployment's state says and no world; ``gone`` are
        images that are not there any more, as they were last."""
        self.marks = marks
        self.gone = gone or {}
        directory = document.get("directory") or {}
        self.management = str(directory.get("management", ""))
        self.directory = str(directory.get("id", ""))
        self.parents: dict[str, str] = {key: row["parent"] for key, row in directory.get("folders", {}).items()}
        self.members: dict[str, tuple[str, Mapping[str, str]]] = {
            account: (row.get("folder", ROOT), row.get("tags", {}))
            for account, row in directory.get("members", {}).items()
        }
        self.images: dict[str, Mapping[str, Any]] = dict(document.get("images", {}))
        self.outsiders = frozenset(document.get("outsiders", ()))

    def chain(self, folder: str) -> frozenset[str]:
        """A folder and all above it."""
        found = {folder}
        while folder != ROOT:
            folder = self.parents.get(folder, ROOT)
            found.add(folder)
        return frozenset(found)

    def below(self, folder: str) -> list[str]:
        """A folder and all below it."""
        return [one for one in (ROOT, *self.parents) if folder in self.chain(one)]

    def with_member(self, account: str, folder: str) -> World:
        """The same world with an account, without tags, put into a folder."""
        other = World.__new__(World)
        other.__dict__.update(self.__dict__)
        other.members = {**self.members, account: (folder, {})}
        return other

    def with_images(self, of: World) -> World:
        """The same organization with the images of another moment."""
        other = World.__new__(World)
        other.__dict__.update(self.__dict__)
        other.images = of.images
        other.marks, other.gone = of.marks, of.gone
        return other


def named(policy: Document) -> frozenset[str]:
    """Accounts that the policy excepts by their ids without accepting that they move."""
    rules = [rule["audience"].get("except", {}) for rule in policy["rules"]]
    return frozenset(
        account
        for one in (*rules, policy.get("never", {}))
        if not one.get("accept_moves")
        for account in one.get("accounts", ())
    )


def audience(rule: Document, policy: Document, world: World, owner: str, today: str) -> frozenset[str]:
    """The accounts that a rule is for."""
    wanted = rule["audience"]
    tags: Mapping[str, str] = wanted.get("account_tags", {})
    found: set[str] = set()
    if "folders" in wanted or tags:
        folders = set(wanted.get("folders", (ROOT,)))
        found |= {
            account
            for account, (folder, own) in world.members.items()
            if folders & world.chain(folder) and all(own.get(key) == value for key, value in tags.items())
        }
    found |= set(wanted.get("accounts", ())) & {*world.members, world.management}
    for partner in wanted.get("partners", ()):
        row = {"account": partner} if isinstance(partner, str) else partner
        if "until" not in row or today <= str(row["until"]):
            found.add(row["account"])
    for taken in (wanted.get("except", {}), policy.get("never", {})):
        found -= set(taken.get("accounts", ()))
        folders = set(taken.get("folders", ()))
        found -= {account for account, (folder, _) in world.members.items() if folders & world.chain(folder)}
    return frozenset(found - {owner})


def selects(rule: Document, image_id: str, image: Document) -> bool:
    """Whether a rule is for an image."""
    wanted = {"service": "ecs", **rule["images"]}
    tags = image.get("tags", {})
    checks = {
        "service": lambda value: image.get("service", "ecs") in _many(value),
        "owner": lambda value: image["owner"] in _many(value),
        "region": lambda value: image["region"] in _many(value),
        "family": lambda value: image.get("family", "") in _many(value),
        "ids": lambda value: image_id in _many(value),
        "name": lambda value: any(fnmatchcase(image["name"], one) for one in _many(value)),
        "tags": lambda value: all(tags.get(key) in _many(one) for key, one in value.items()),
    }
    return all(checks[key](value) for key, value in wanted.items())


def _many(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def in_regions(policy: Document, image: Document) -> bool:
    """Whether the policy names the owner and region of an image."""
    return any(
        owner["account"] == image["owner"] and (owner["regions"] == "all" or image["region"] in owner["regions"])
        for owner in policy["owners"]
    )


def desktop_places(policy: Document, world: World, image_id: str) -> tuple[int, frozenset[str]]:
    """How many shares the policy has for a desktop image, and with which images it has them together."""
    image = world.images[image_id]
    rows = [owner for owner in policy["owners"] if owner["account"] == image["owner"]]
    quotas = rows[0].get("quotas", {}) if rows else {}
    scope = quotas.get("eds_shares_per", "account")
    together = (
        other
        for other, row in world.images.items()
        if row.get("service") == "eds" and row["owner"] == image["owner"]
        if other == image_id or scope == "account" or (scope == "region" and row["region"] == image["region"])
    )
    return quotas.get("eds_shares", 50), frozenset(together)


def is_retired(policy: Document, world: World, image_id: str) -> bool:
    """Whether a person retired an image, or its tags do."""
    tags, wanted = world.images[image_id].get("tags", {}), policy.get("retire", {}).get("tags", {})
    by_tags = bool(wanted) and all(tags.get(key) in _many(value) for key, value in wanted.items())
    return image_id in world.marks or by_tags


def rules_for(policy: Document, world: World, image_id: str) -> list[Document]:
    """The rules that select an image that the policy's owners have: of one that is retired, none.

    A copy is judged as the image that it was made from would be in the copy's region; a rule that copies there takes
    the copy of whatever it takes. If that image is gone, both the copy itself and the image as it was last have to be
    selected.
    """
    image = world.images.get(image_id)
    if image is None or not in_regions(policy, image) or is_retired(policy, world, image_id):
        return []
    if COPY_OF not in image.get("tags", {}):
        return [rule for rule in policy["rules"] if selects(rule, image_id, image)]
    region, _, source = image["tags"][COPY_OF].partition("/")
    if source in world.images:
        return _as_copy(policy, image_id, image, source, world.images[source])
    found = _as_copy(policy, image_id, image, source, {**image, "region": region})
    last = _as_copy(policy, image_id, image, source, world.gone.get(source, {**image, "region": region}))
    return [rule for rule in found if rule in last]


def _as_copy(policy: Document, image_id: str, image: Document, source: str, made_from: Document) -> list[Document]:
    """The rules that select a copy if it was made from this image."""
    here = {**made_from, "region": image["region"]}
    return [
        rule
        for rule in policy["rules"]
        if selects(rule, source, here)
        or selects(rule, image_id, here)
        or (image["region"] in rule.get("copy_to", ()) and selects(rule, source, made_from))
    ]


def copied_to(policy: Document, world: World, image_id: str) -> frozenset[str]:
    """The other regions of an image's owner that the policy copies it to; copies and desktops are copied nowhere."""
    image = world.images.get(image_id)
    if image is None or COPY_OF in image.get("tags", {}) or image.get("service") == "eds":
        return frozenset()
    rules = [rule for rule in rules_for(policy, world, image_id) if rule.get("mode") != "observe"]
    regions = {region for rule in rules for region in rule.get("copy_to", ())} - {image["region"]}
    return frozenset(region for region in regions if in_regions(policy, {**image, "region": region}))


def wanted_pairs(policy: Document, world: World, today: str) -> Pairs:
    """Every pair that the policy wants."""
    return frozenset(
        (image_id, account)
        for image_id, image in world.images.items()
        for rule in rules_for(policy, world, image_id)
        for account in audience(rule, policy, world, image["owner"], today)
    )


def authorized_pairs(policy: Document, world: World, today: str) -> Pairs:
    """The pairs that rules want which authorize encrypted images, and do not use the directory alone."""
    rules = [
        rule
        for rule in policy["rules"]
        if rule.get("encrypted") == "authorize" and rule.get("channel") != "directory" and rule.get("mode") != "observe"
    ]
    return wanted_pairs({**policy, "rules": rules}, world, today)


def whole(policy: Document, world: World, image_id: str, folder: str, today: str) -> bool:
    """Whether everybody who is in a folder today, or comes into it tomorrow, is in the image's audience.

    Tomorrow are: an account that nobody knows yet, and each account that the policy excepts by its id, wherever it is.
    """
    image = world.images.get(image_id)
    if image is None:
        return False
    nests = policy.get("directory", {}).get("nested_folder_targets", "unknown") != "no"
    places = world.below(folder) if nests or folder == ROOT else [folder]
    rules = rules_for(policy, world, image_id)
    for account in {NEWCOMER, *named(policy)} - {image["owner"], world.management}:
        for place in places:
            there = world.with_member(account, place)
            if not any(account in audience(rule, policy, there, image["owner"], today) for rule in rules):
                return False
    return True


def frozen_rules(policy: Document, world: World) -> frozenset[str]:
    """Rules to which nothing may be added, because something that is excepted does not exist."""
    folders = {ROOT, *world.parents}

    def odd(taken: Document) -> bool:
        # Who left goes on existing, but the organization cannot say so.
        accounts = set(taken.get("accounts", ())) - set(world.members) - {world.management}
        return bool(accounts) or not set(taken.get("folders", ())) <= folders

    if odd(policy.get("never", {})):
        return frozenset(rule["name"] for rule in policy["rules"])
    return frozenset(rule["name"] for rule in policy["rules"] if odd(rule["audience"].get("except", {})))
