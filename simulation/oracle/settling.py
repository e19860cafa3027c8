"""The end of a story: everybody who is wanted has access once, nobody else has it by us, or the report says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from simulation.oracle.audiences import (
    COPY_OF,
    Document,
    Pair,
    authorized_pairs,
    copied_to,
    frozen_rules,
    is_retired,
)
from simulation.oracle.roles import is_sealed, let_in

if TYPE_CHECKING:
    from simulation.oracle.watching import Oracle, Snapshot

EXCUSES = frozenset({"unsure-coverage", "channel-conflict", "cannot-revoke", "kept-on-leave", "rejected"})
"""Findings that say why a pair is not as it should be."""


def check_settled(oracle: Oracle, report: Document, now_shared: Snapshot, *, now: float) -> Iterator[str]:
    """What is not as the policy says, and is not explained."""
    oracle.looked["it settles"] += 1
    oracle.looked["one channel"] += 1
    policy, world = oracle.policy, oracle.world
    wanted = oracle.wanted(policy, world, now)
    authorized = authorized_pairs(policy, world, datetime.fromtimestamp(now, timezone.utc).date().isoformat())
    frozen = frozen_rules(policy, world)
    refused = _refused(report)
    excused = {(row["image"], row["account"]) for row in report["findings"] if row["kind"] in EXCUSES}
    untrusted = {(row["image"], row["account"]) for row in report["findings"] if row["kind"] == "untrusted"}
    conflicts = [row for row in report["findings"] if row["kind"] == "channel-conflict"]
    by_hand = _by_hand(oracle, now_shared)
    stays = {row["share"] for row in report["pending"] if row["status"].startswith("stays for now")}
    by_hand |= _reached(now_shared, stays)
    keeps = policy["safety"].get("on_leave") == "keep"
    yield from oracle.roles.left_over(now_shared)
    yield from _missing_copies(oracle, report)
    for image in sorted(world.images):
        if oracle.selected(image) & frozen:
            continue
        oracle.looked["nothing retired is shared"] += is_retired(policy, world, image)
        direct, covered = now_shared.direct.get(image, frozenset()), now_shared.covered.get(image, frozenset())
        due = {account for of, account in wanted if of == image}
        conflict = any(row["image"] in ("", image) for row in conflicts)
        for account in sorted(direct | covered | due):
            pair = (image, account)
            if account == world.management or pair in excused or conflict:
                continue
            if account in due:
                said = pair in refused or (image, "") in refused
                if account not in direct | covered and not said:
                    yield f"{image} should be shared with …{account[-4:]}, and nothing says why it is not"
                if account in direct - covered and pair in authorized and is_sealed(world.images[image]):
                    trusted = account in let_in(now_shared.roles.get(world.images[image]["owner"], ""))
                    if not trusted and pair not in untrusted:
                        yield f"{image} is shared with …{account[-4:]}, whom the sharing role does not let in"
                if account in direct & covered and pair in oracle.ours and pair not in oracle.unclear:
                    yield f"{image} is shared with …{account[-4:]} twice, once directly by us"
                continue
            left = account not in world.members and account not in world.outsiders - oracle.left
            if account in direct and pair in oracle.ours and pair not in oracle.unclear and not (keeps and left):
                yield f"{image} is still granted to …{account[-4:]} by us, whom nobody wants"
            if account in covered and pair not in by_hand:
                yield f"{image} still reaches …{account[-4:]} by a share of ours, whom nobody wants"


def _missing_copies(oracle: Oracle, report: Document) -> Iterator[str]:
    """Images that a rule copies to a region where there is none, and nothing says why."""
    world = oracle.world
    there = {(row["owner"], row["region"], row.get("tags", {}).get(COPY_OF)) for row in world.images.values()}
    said = {row["image"] for row in report["findings"] if row["kind"] in ("not-copied", "copy-removed")}
    for image, row in sorted(world.images.items()):
        if oracle.selected(image) & frozen_rules(oracle.policy, world):
            continue
        for region in sorted(copied_to(oracle.policy, world, image)):
            oracle.looked["copied once"] += 1
            if (row["owner"], region, f"{row['region']}/{image}") not in there and image not in said:
                yield f"{image} should have a copy in {region}, and nothing says why it has none"


def _refused(report: Document) -> set[Pair]:
    """The pairs that are refused; of an image with more accounts than are named, all."""
    found: set[Pair] = set()
    for row in report["refused"]:
        found |= {(row["image"], account) for account in row["accounts"]}
        if row["accounts_total"] > len(row["accounts"]):
            found.add((row["image"], ""))
    return found


def _by_hand(oracle: Oracle, now_shared: Snapshot) -> set[Pair]:
    """Pairs that may be covered by what people put into resource shares."""
    return _reached(now_shared, {share for share, _ in oracle.rows_by_hand} | {share for share, _ in oracle.unclear})


def _reached(now_shared: Snapshot, among: set[str]) -> set[Pair]:
    """Pairs that are covered and may be so by one of these shares."""
    shares: Mapping[str, Any] = now_shared.rows
    return {
        (image, account)
        for share, (images, _) in shares.items()
        if share in among
        for image in images
        for account in now_shared.covered.get(image, ())
    }
