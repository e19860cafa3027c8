"""Deciding alone: seconds and peak memory for a large organization, and the ratio when everything doubles.

10,000 accounts in 1,000 folders, 6,000 images, 50 rules with audiences of 1 to 50 accounts and one for everybody. Each
size runs in a process of its own, so that the peak memory is that of one decision.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timezone
from random import Random
from types import MappingProxyType

from bench.processes import measured, peak_mib
from bench.tables import markdown
from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts
from orgshare.decide.planning import assemble
from orgshare.ledger import Entry, Ledger
from orgshare.policy.model import Audience, DirectoryReader, ImageSelector, Owner, Policy, Rule
from orgshare.words import Grant, Image, ImageReading, Member, Organization, Shard, Sharing

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)
SHARED = "2026-11-01T00:00:00Z"
SHARD = Shard("ecs", "1000000000000002", "cn-hangzhou")
ACCOUNTS, FOLDERS, IMAGES, RULES = 10_000, 1_000, 6_000, 50


def facts(factor: float) -> Facts:
    """An organization, images, rules and a ledger of that many times the size; half of the grants are there."""
    random = Random(1)
    accounts = [str(4_000_000_000_000_000 + n) for n in range(int(ACCOUNTS * factor))]
    folders = int(FOLDERS * factor)
    members = {}
    for n, account in enumerate(accounts):
        leaf = n % folders
        chain = ["r-1"] + [f"fd-{leaf % size}-{size}" for size in (10, 100, folders)]
        members[account] = Member(account, tuple(chain))
    rules = [_rule(number, accounts, factor, random) for number in range(int(RULES * factor))]
    everybody = Rule("everybody", ImageSelector(tags=(("all", frozenset({"yes"})),)), Audience(folders=("root",)))
    readings, ledger = [], {}
    for n in range(int(IMAGES * factor)):
        tags = {("set", str(n % len(rules)))} | ({("all", "yes")} if n % 100 == 0 else set())
        image = Image(id=f"m-{n:06d}", shard=SHARD, name=f"image-{n}", status="Available", tags=frozenset(tags))
        wanted = sorted(rules[n % len(rules)].audience.accounts)
        there = wanted[: len(wanted) // 2] if n % 2 else wanted
        readings.append(ImageReading(image, tuple(Grant(account, SHARED) for account in there)))
        entries = {a: Entry("made", NOW, rules=(rules[n % len(rules)].name,), shared_time=SHARED) for a in there}
        ledger[image.id] = MappingProxyType(entries)
    policy = Policy(
        deployment="bench", mode="enforce", state="", directory=DirectoryReader("1000000000000001"),
        owners=(Owner(SHARD.owner, (SHARD.region,)),), rules=(*rules, everybody),
    )  # fmt: skip
    organization = Organization("rd-1", "1000000000000001", "r-1", MappingProxyType(members))
    return Facts(
        policy=policy, organization=organization, readings=tuple(readings), now=NOW,
        ledgers={SHARD: Ledger(MappingProxyType(ledger))}, sharing={SHARD: Sharing()},
    )  # fmt: skip


def _rule(number: int, accounts: list[str], factor: float, random: Random) -> Rule:
    size = 1 + int(number / factor) % 50
    chosen = frozenset(random.sample(accounts, size))
    return Rule(f"rule-{number}", ImageSelector(tags=(("set", frozenset({str(number)})),)), Audience(accounts=chosen))


def _one(factor: float) -> dict[str, float]:
    given = facts(factor)
    before = peak_mib()
    started = time.perf_counter()
    plan = assemble(given, decide(given), ())
    seconds = time.perf_counter() - started
    peak = peak_mib()
    return {
        "seconds": seconds,
        "facts_mib": before,
        "peak_mib": peak,
        "gained": plan.summary.gained,
        "refused": sum(refusal.accounts_total for refusal in plan.refused),
    }


def table() -> str:
    """The table of sizes 1/2, 1 and 2."""
    sizes = (0.5, 1, 2)
    found = {
        size: min((measured("bench.deciding", str(size)) for _ in range(3)), key=lambda m: m["seconds"])
        for size in sizes
    }
    rows = []
    for size in sizes:
        m = found[size]
        half = found.get(size / 2)
        rows.append((
            f"{int(ACCOUNTS * size):,}", f"{int(IMAGES * size):,}", f"{int(RULES * size) + 1}", f"{m['seconds']:.2f}",
            f"{m['seconds'] / half['seconds']:.2f}" if half else "", f"{m['facts_mib']:.0f}", f"{m['peak_mib']:.0f}",
            f"{m['gained']:,.0f}", f"{m['refused']:,.0f}",
        ))  # fmt: skip
    head = (
        "accounts",
        "images",
        "rules",
        "seconds",
        "ratio",
        "MiB of facts",
        "MiB at the peak",
        "gained",
        "over quota",
    )
    return markdown("Deciding alone (best of three; ratio to half the size)", head, rows)


if __name__ == "__main__":
    print(json.dumps(_one(float(sys.argv[1]))))
