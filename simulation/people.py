"""What people do: to the organization, to images, and by hand to what is shared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud import LocalCloud
from localcloud.ram.models import trust_text
from localcloud.world import WorldError, world_document
from simulation.oracle import Oracle, Snapshot
from simulation.stories import BASE_ROLE, OWNER, PARTNER, Step, desk, lets_in, role_of, sharing_role


class People:
    """Everybody but the program."""

    def __init__(
        self, cloud: LocalCloud, oracle: Oracle, snapshot: Callable[[], Snapshot], setting: Mapping[str, Any]
    ) -> None:
        self._cloud, self._oracle, self._snapshot, self._setting = cloud, oracle, snapshot, setting

    def act(self, step: Step) -> bool:
        """Do what a step says; whether it made sense."""
        part = self._part(step)
        if part is None:
            return False
        lag = self._cloud.world().delays.share > 0
        for one in part:
            if "wait" in one:
                self._cloud.advance(one["wait"])
                continue
            before = self._snapshot()
            try:
                self._cloud.patch(one)
            except WorldError:
                return False
            now = self._cloud.clock.now()
            self._oracle.world_changed(world_document(self._cloud.world()), now=now)
            self._oracle.people_did(before, self._snapshot(), now=now, ambiguous=lag)
        return True

    def images_become_available(self) -> None:
        """Every image that is being made is ready."""
        images = self._cloud.world().images
        ready = {key: {"status": "Available"} for key, image in images.items() if image.status == "Creating"}
        if ready:
            self._cloud.patch({"images": ready})
            self._oracle.world_changed(world_document(self._cloud.world()), now=self._cloud.clock.now())

    def _part(self, step: Step) -> list[dict[str, Any]] | None:
        kind = step["kind"]
        if kind in ("move", "leave", "join", "there-and-back", "tag-account"):
            return self._of_member(step)
        if kind.endswith("-folder"):
            return self._of_folder(step)
        if kind == "delete-copy":
            return self._of_copy(step)
        if kind.endswith("-image") or kind in ("image-status", "new-desk"):
            return self._of_image(step)
        if kind in ("let-in", "let-out") or kind.endswith("-role"):
            return self._of_role(step)
        if kind == "sharing":
            return [{"directory": {"sharing_enabled": step["enabled"]}}]
        return self._by_hand(step)

    def _of_member(self, step: Step) -> list[dict[str, Any]] | None:
        account, kind = step["account"], step["kind"]
        world = self._cloud.world()
        assert world.directory is not None
        member = world.directory.members.get(account)
        if kind == "join":
            if member is not None:
                return None
            row = {"name": f"n{account[-2:]}", "folder": step["folder"], "joined": step["how"]}
            return [_members({account: row})]
        if member is None:
            return None
        if kind == "leave":
            return [_members({account: None})]
        if kind == "tag-account":
            return [_members({account: {"tags": {"env": step["env"]}}})]
        if member.folder == step["folder"]:
            return None
        there = _members({account: {"folder": step["folder"]}})
        if kind == "move":
            return [there]
        return [there, {"wait": step["after"]}, _members({account: {"folder": member.folder}})]

    def _of_folder(self, step: Step) -> list[dict[str, Any]] | None:
        folder, kind = step["folder"], step["kind"]
        directory = self._cloud.world().directory
        assert directory is not None
        known = directory.folders.get(folder)
        if kind == "create-folder":
            if known is not None:
                return None
            return [{"directory": {"folders": {folder: {"name": folder[3:], "parent": step["parent"]}}}}]
        if known is None:
            return None
        if kind == "rename-folder":
            return [{"directory": {"folders": {folder: {"name": f"{known.name}-x"[:20]}}}}]
        if any(below.parent == folder for below in directory.folders.values()):
            return None
        inside = [account for account, member in directory.members.items() if member.folder == folder]
        steps: list[dict[str, Any]] = []
        if inside:
            steps.append(_members({account: {"folder": known.parent} for account in inside}))
        shares = {
            share: {"targets": [target for target in row.targets if target != folder]}
            for share, row in self._cloud.world().resource_shares.items()
            if folder in row.targets
        }
        steps.append({"directory": {"folders": {folder: None}}, "resource_shares": shares})
        return steps

    def roles_are_usable(self) -> None:
        """Every owner of encrypted images has a sharing role that may use the key."""
        world = self._cloud.world()
        owners = {
            image.owner for image in world.images.values() if image.service == "ecs" and image.encryption == "cmk"
        }
        before = self._snapshot()
        for owner in sorted(owners):
            role = world.roles.get(sharing_role(owner))
            made = role_of("plain") if role is None else {"policies": None}
            self._cloud.patch({"roles": {sharing_role(owner): made}})
        self._oracle.people_did(before, self._snapshot(), now=self._cloud.clock.now())

    def _of_role(self, step: Step) -> list[dict[str, Any]] | None:
        """What somebody else makes of a sharing role, always of the document as it is."""
        kind, arn = step["kind"], sharing_role(step["owner"])
        world = self._cloud.world()
        role = world.roles.get(arn)
        if kind == "make-role":
            return [{"roles": {arn: role_of(step["as"])}}] if role is None and self._setting["encryption"] else None
        if role is None:
            return None
        if kind == "delete-role":
            return [{"roles": {arn: None}}]
        document = json.loads(trust_text(role))
        statements = document["Statement"]
        if kind == "let-in":
            statements = [*statements, lets_in(step["account"])]
        elif kind == "rewrite-role":
            statements = [*BASE_ROLE["Statement"], lets_in(step["account"])]
        else:
            named = [(n, name) for n, one in enumerate(statements) for name in _ecs_named(one)]
            if not named:
                return None
            number, gone = named[step["number"] % len(named)]
            left = [name for name in _ecs_named(statements[number]) if name != gone]
            changed = {**statements[number], "Principal": {"Service": left}}
            statements = [*statements[:number], *([changed] if left else []), *statements[number + 1 :]]
        document["Statement"] = statements
        if len(json.dumps(document, separators=(",", ":"))) > world.quotas.trust_policy_length:
            return None
        return [{"roles": {arn: {"trust_policy": document}}}]

    def _of_image(self, step: Step) -> list[dict[str, Any]] | None:
        image, kind = step["image"], step["kind"]
        world = self._cloud.world()
        if kind == "new-image":
            if image in world.images:
                return None
            row = {"owner": OWNER, "region": step["region"], "name": f"{image[2:]}-o", "status": step["status"],
                   "tags": {"share": step["share"]}, "encryption": step.get("encryption", "none")}  # fmt: skip
            return [{"images": {image: row}}]
        if kind == "new-desk":
            if image in world.images or not self._setting["desktops"]:
                return None
            more = {"status": step["status"], "encryption": step["encryption"]}
            return [{"images": {image: desk(image[2:].replace("new", ""), OWNER, step["region"], **more)}}]
        if image not in world.images:
            return None
        if kind == "delete-image" and world.images[image].service == "eds":
            # That service deletes nothing that is shared.
            return [{"grants": {image: None}}, {"wait": 1}, {"images": {image: None}}]
        if kind == "delete-image":
            return [{"images": {image: None}, "grants": {image: None}}] if len(world.images) > 2 else None
        if kind == "image-status":
            return [{"images": {image: {"status": step["status"]}}}]
        if kind == "retire-tag-image":
            return [{"images": {image: {"tags": {"lifecycle": step["lifecycle"]}}}}]
        if kind == "tag-image":
            return [{"images": {image: {"tags": {"share": step["share"]}}}}]
        return [{"images": {image: {"name": step["name"]}}}]

    def _of_copy(self, step: Step) -> list[dict[str, Any]] | None:
        copies = sorted(image for image, row in self._cloud.world().images.items() if "orgshare:copy-of" in row.tags)
        if not copies:
            return None
        copy = copies[step["number"] % len(copies)]
        return [{"images": {copy: None}, "grants": {copy: None}}]

    def _by_hand(self, step: Step) -> list[dict[str, Any]] | None:
        kind = step["kind"]
        world = self._cloud.world()
        grants = {image: list(accounts) for image, accounts in world.grants.items() if accounts}
        if kind == "grant":
            image, account = step["image"], step["account"]
            if image not in world.images or account in grants.get(image, ()) or account not in world.accounts():
                return None
            if world.images[image].service == "eds" and not self._takes_more(image):
                return None
            return [{"grants": {image: [*grants.get(image, ()), account]}}]
        if kind in ("revoke", "regrant"):
            pairs = sorted((image, account) for image, accounts in grants.items() for account in accounts)
            if not pairs:
                return None
            image, account = pairs[step["number"] % len(pairs)]
            rest = [one for one in grants[image] if one != account]
            steps: list[dict[str, Any]] = [{"grants": {image: rest}}]
            return steps if kind == "revoke" else [*steps, {"wait": 1}, {"grants": {image: [*rest, account]}}]
        shares = world.resource_shares
        if kind == "share-by-hand":
            members = world.directory.members if world.directory is not None else {}
            folders = world.directory.folders if world.directory is not None else {}
            targets = [t for t in step["targets"] if t in members or t in folders or t.startswith("rd-")]
            images = [image for image in step["images"] if image in world.images]
            if not images or not targets or step["share"] in shares:
                return None
            row = {"owner": OWNER, "region": "cn-hangzhou", "name": "by-hand", "images": images, "targets": targets}
            return [{"resource_shares": {step["share"]: row}}]
        if kind == "unshare":
            return [{"resource_shares": {step["share"]: None}}] if step["share"] in shares else None
        if kind == "end-row":
            rows = sorted(
                (share, entity)
                for share, row in shares.items()
                if row.name != "by-hand"
                for entity in (*row.images, *row.targets)
            )
            if not rows:
                return None
            share, entity = rows[step["number"] % len(rows)]
            kept = {
                "images": [one for one in shares[share].images if one != entity],
                "targets": [one for one in shares[share].targets if one != entity],
            }
            return [{"resource_shares": {share: kept}}]
        raise ValueError(f"no step {kind} of people, such as a join of {PARTNER}")

    def _takes_more(self, image: str) -> bool:
        """Whether Elastic Desktop Service would let its owner share an image once more."""
        world = self._cloud.world()
        wanted, scope = world.images[image], world.quotas.eds_shares_per
        used = sum(
            len(accounts)
            for other, accounts in world.grants.items()
            if (row := world.images.get(other)) is not None
            and (row.service, row.owner) == ("eds", wanted.owner)
            and (scope == "account" or other == image or (scope == "region" and row.region == wanted.region))
        )
        return wanted.encryption == "none" and wanted.status == "Available" and used < world.quotas.eds_shares


def _ecs_named(statement: Mapping[str, Any]) -> list[str]:
    """The accounts' ECS that a statement names."""
    names = statement["Principal"].get("Service", ())
    return [name for name in ([names] if isinstance(names, str) else names) if "@" in name]


def _members(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"directory": {"members": dict(rows)}}
