"""Targets and coverage: seconds and peak memory for a large organization, and the ratio when everything doubles.

10,000 accounts in 1,000 folders of five levels, one in ten of them empty, and 6,000 images. The targets are chosen for
audiences that differ in what has to be broken down, and for fifty rules together. Coverage is worked out for all images
from one resource share for everybody, from fifty whose targets are all folders but those on one path, and from five
whose targets are half of the accounts. Folders double with the accounts; rules and shares do not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from random import Random
from types import MappingProxyType

from bench.processes import measured, peak_mib
from bench.tables import markdown
from orgshare.decide.audience import resolve_all
from orgshare.decide.coverage import Reach, coverage_of_images
from orgshare.decide.targets import directory_audience
from orgshare.policy.model import Audience, DirectoryReader, Exclusion, ImageSelector, Owner, Policy, Rule
from orgshare.words import Association, Member, Organization, ResourceShare

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)
SINCE = "2026-11-01T00:00:00Z"
OWNER, MANAGEMENT = "1000000000000002", "1000000000000001"
ACCOUNTS, FOLDERS, IMAGES = 10_000, 1_000, 6_000
BRANCHES = 5
RULES = 50
SIZES = (0.5, 1, 2)

Work = Callable[[], int]
"""What is timed; it returns how many targets were chosen, or pairs of image and account are covered."""


@dataclass(frozen=True)
class Scene:
    """An organization of that many times the size."""

    factor: float
    organization: Organization
    random: Random

    def without_folders(self, count: int) -> Audience:
        """Everybody but who is in some folders."""
        chosen = self.random.sample(sorted(self.organization.folders.keys() - {"r-1"}), count)
        return Audience(folders=("root",), excluded=Exclusion(folders=frozenset(chosen)))

    def some_folders(self, count: int) -> Audience:
        """Who is in some folders, some of which may lie in others."""
        return Audience(folders=tuple(self.random.sample(sorted(self.organization.folders.keys() - {"r-1"}), count)))

    def without_accounts(self, count: int) -> Audience:
        """Everybody but some accounts, wherever they may move."""
        chosen = self.random.sample(sorted(self.organization.members), count)
        return Audience(folders=("root",), excluded=Exclusion(frozenset(chosen), accept_moves=True))

    def targets(self, *audiences: Audience) -> Work:
        """Choosing the targets for audiences that are resolved already."""
        rules = tuple(Rule(f"rule-{n}", ImageSelector(names=("*",)), a) for n, a in enumerate(audiences))
        policy = Policy(
            deployment="bench", mode="enforce", state="", directory=DirectoryReader(MANAGEMENT),
            owners=(Owner(OWNER, ("cn-hangzhou",)),), rules=rules,
        )  # fmt: skip
        resolved = resolve_all(policy, self.organization, date(2026, 11, 21))
        return lambda: len(directory_audience(resolved, policy, self.organization, OWNER).targets)

    def coverage(self, shares: int, targets: Callable[[], Iterable[str]]) -> Work:
        """Working out whom shares reach; every tenth image is in a second share too."""
        images = [f"m-{n:06d}" for n in range(int(IMAGES * self.factor))]
        given = []
        for number in range(shares):
            inside = [
                image
                for n, image in enumerate(images)
                if n % shares == number or (n % 10 == 0 and n // 10 % shares == number)
            ]
            given.append(ResourceShare(id=f"rs-{number}", images=_rows(inside), targets=_rows(targets())))
        settled = frozenset(self.organization.members)

        def work() -> int:
            found = coverage_of_images(given, Reach(self.organization, "unknown", settled, settled), NOW)
            return sum(len(coverage.possible) for coverage in found.values())

        return work


def _rows(entities: Iterable[str]) -> tuple[Association, ...]:
    return tuple(Association(entity, "Associated", SINCE, SINCE) for entity in sorted(entities))


def _chosen(scene: Scene) -> Callable[[], Iterable[str]]:
    """All folders but those on one path as targets, on another path each time."""
    folders = scene.organization.folders
    leaves = sorted(folders.keys() - {"r-1"})

    def targets() -> Iterable[str]:
        without = folders[scene.random.choice(leaves)]
        return folders.keys() - set(without)

    return targets


BY_TAG = Audience(folders=("root",), account_tags=(("half", frozenset({"yes"})),))

WORKS: dict[str, Callable[[Scene], Work]] = {
    "targets: everybody": lambda s: s.targets(Audience(folders=("root",))),
    "targets: all but 5 folders": lambda s: s.targets(s.without_folders(5)),
    "targets: 100 folders": lambda s: s.targets(s.some_folders(100)),
    "targets: half by a tag": lambda s: s.targets(BY_TAG),
    "targets: all but 10 accounts": lambda s: s.targets(s.without_accounts(10)),
    "targets: 50 rules together": lambda s: s.targets(*(s.some_folders(10) for _ in range(RULES))),
    "coverage: 1 share, everybody": lambda s: s.coverage(1, lambda: ["rd-1"]),
    "coverage: 50 shares of folders": lambda s: s.coverage(RULES, _chosen(s)),
    "coverage: 5 shares of accounts": lambda s: s.coverage(5, lambda: sorted(s.organization.members)[::2]),
}


def scene(factor: float) -> Scene:
    """Folders that have five subfolders each, and members in nine of ten of them."""
    folders: dict[str, tuple[str, ...]] = {"r-1": ("r-1",)}
    count = int(FOLDERS * factor)
    for n in range(count):
        above = folders["r-1" if n < BRANCHES else f"fd-{n // BRANCHES - 1}"]
        folders[f"fd-{n}"] = (*above, f"fd-{n}")
    members = {}
    for n in range(int(ACCOUNTS * factor)):
        account = str(4_000_000_000_000_000 + n)
        tags = frozenset({("half", "yes" if n % 2 else "no")})
        members[account] = Member(account, folders[f"fd-{n % (count * 9 // 10)}"], tags=tags)
    organization = Organization(
        "rd-1", MANAGEMENT, "r-1", MappingProxyType(members), MappingProxyType(folders), frozenset(folders)
    )
    return Scene(factor, organization, Random(1))


def table() -> str:
    """The table of sizes 1/2, 1 and 2."""
    rows = []
    for name in WORKS:
        half = 0.0
        for size in SIZES:
            found = [measured("bench.targets", name, str(size)) for _ in range(3)]
            best = min(found, key=lambda m: m["seconds"])
            rows.append((
                name, f"{int(ACCOUNTS * size):,}", f"{int(FOLDERS * size):,}", f"{int(IMAGES * size):,}",
                f"{best['seconds']:.3f}", f"{best['seconds'] / half:.2f}" if half else "",
                f"{best['given_mib']:.0f}", f"{best['peak_mib']:.0f}", f"{best['found']:,.0f}",
            ))  # fmt: skip
            half = best["seconds"]
    head = ("what", "accounts", "folders", "images", "seconds", "ratio", "MiB given", "MiB at the peak", "found")
    return markdown(
        "Targets and coverage (best of three; ratio to half the size; found: targets, or pairs covered)", head, rows
    )


def _one(name: str, factor: float) -> dict[str, float]:
    work = WORKS[name](scene(factor))
    before = peak_mib()
    started = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "given_mib": before, "peak_mib": peak_mib(), "found": found}


if __name__ == "__main__":
    print(json.dumps(_one(sys.argv[1], float(sys.argv[2]))))
