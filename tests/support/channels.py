"""What both channels give in a trial's cloud, hidden rows, a watch over writes, sweeps till nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from localcloud import LocalCloud
from localcloud.world import ResourceShare
from orgshare.alibaba.shares import ResourceShares
from orgshare.ports import AssociationKind, AssociationRow, TokenPage
from orgshare.way.applying import Applied
from tests.support.trial import Trial

LATER = 16 * 60
"""Long enough for an account to count as settled in its place."""

GOLD, OTHERS = {"ids": ["m-gold"]}, {"ids": ["m-silver", "m-bronze"]}


def by_shares(trial: Trial) -> dict[str, set[str]]:
    """Who has each image through resource shares."""
    return _by(trial, "directory")


def directly(trial: Trial) -> dict[str, set[str]]:
    """Who has each image by a grant on it."""
    return _by(trial, "direct")


def _by(trial: Trial, channel: str) -> dict[str, set[str]]:
    found = trial.cloud.channels()
    return {image: set(found.get(image, {}).get(channel, ())) for image in trial.cloud.world().images}


def own_shares(trial: Trial) -> dict[str, ResourceShare]:
    """The shares that carry this state's id."""
    state = trial.state().beginning.id
    return {
        share: row
        for share, row in trial.cloud.world().resource_shares.items()
        if row.tags.get("orgshare:state") == state
    }


@contextmanager
def hidden(what: str, *, everywhere_too: bool = False) -> Iterator[None]:
    """The listing of all rows leaves out those of one image or target; with the second, every other answer does too."""
    honest = ResourceShares.rows

    def rows(
        self: ResourceShares,
        kind: AssociationKind,
        token: str,
        *,
        share: str | None = None,
        entity: str | None = None,
    ) -> TokenPage[AssociationRow]:
        page = honest(self, kind, token, share=share, entity=entity)
        if share is not None and not everywhere_too:
            return page
        return TokenPage(tuple(row for row in page.rows if row.association.entity != what), page.token)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResourceShares, "rows", rows)
        yield


def contents(trial: Trial) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Images and targets of our shares that have any."""
    return {
        (tuple(sorted(share.images)), tuple(sorted(share.targets)))
        for share in own_shares(trial).values()
        if share.images or share.targets
    }


class Watch:
    """Looks at the cloud after every write: nobody who is wanted may lose an image, nobody else may get one."""

    def __init__(self, trial: Trial, wanted: Mapping[str, Iterable[str]]) -> None:
        self.wanted = {image: frozenset(accounts) for image, accounts in wanted.items()}
        self.before = trial.cloud.users()
        self.wrong: list[str] = []
        trial.cloud.on_write(self.look)

    def look(self, cloud: LocalCloud) -> None:
        now = cloud.users()
        for image, wanted in self.wanted.items():
            before, has = self.before.get(image, frozenset()), now.get(image, frozenset())
            self.wrong += [f"{account} lost {image}" for account in (before - has) & wanted]
            self.wrong += [f"{account} got {image}" for account in (has - before) - wanted]
        self.before = now


def until_settled(trial: Trial, *, approve: bool = False, rounds: int = 10) -> Applied:
    """Sweeps, each some time after the other, until one plans nothing and nothing is under way."""
    for _ in range(rounds):
        applied = trial.apply()
        if approve and applied.plan.held:
            trial.approve_all()
        elif not applied.plan.changes and not applied.plan.pending:
            return applied
        trial.cloud.advance(LATER)
    raise AssertionError(f"not settled: {applied.plan.changes} {applied.plan.pending} {applied.plan.held}")


def found(applied: Applied, kind: str) -> set[tuple[str, str]]:
    """The image and the account of each finding of a kind."""
    return {(finding.image, finding.account) for finding in applied.plan.findings if finding.kind == kind}
