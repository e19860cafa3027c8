"""Which rows of ours may leave a resource share, and who would lose access by it.

One row carries many pairs: an image's row all its accounts, a target's row all images of the share. So a row may end
only if that is right for every one of them: whoever is wanted is reached otherwise already, and whoever is not wanted
may lose the image. What stands against it is said, never worked around.

What can go wrong is a gap while a pair changes its channel. So what is only under way does not count, and a direct
grant that cannot be told from the row of the share itself is not believed: then a person has to agree to the gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.coverage import Reach
from orgshare.decide.decisions import Block, Cut
from orgshare.decide.losses import Judged, Loss, change_of_channel
from orgshare.ledger import Ledger
from orgshare.policy.model import Mode
from orgshare.words import Image, Pair, ResourceShare

_GRAVEST: tuple[Block, ...] = ("conflict", "doubt", "waiting")

Judge = Callable[[str, str, tuple[str, ...]], Judged]
"""What is to become of a pair that nobody wants: from image, account, and the names of the rules behind it."""


class Standing(Struct, frozen=True, kw_only=True):
    """How the accounts of one image stand while rows of it are about to end. Images that stand alike share one.

    ``wanted`` accounts are ``safe`` if something that stays reaches them as surely as now, and ``coming`` if something
    will. ``unclear`` ones have a row that may be a grant, or only the share's own. Accounts that are not wanted are
    ``kept`` if something that stays surely reaches them, so that a row less is no loss.
    """

    reached: frozenset[str]
    wanted: frozenset[str]
    safe: frozenset[str]
    coming: frozenset[str]
    unclear: frozenset[str]
    kept: frozenset[str]


class Cuts(Struct, frozen=True):
    """Rows that should end, with what follows for each image: pairs lost, kept by a mode, or not decided."""

    cuts: tuple[Cut, ...]
    losses: Mapping[str, tuple[Loss, ...]]
    kept: Mapping[str, Mapping[str, Mode]]
    undecided: Mapping[str, frozenset[str]]

    def with_rejected(self, rejected: tuple[Cut, ...], before: Cuts) -> Cuts:
        """These cuts together with those that stay because a person ``rejected`` a part of what they take.

        What such a row would take is told as it is in ``before``, the cuts of all rows that should end: who decides
        about it sees the whole of it. It waits for nothing but that person.
        """
        pairs = {pair for cut in rejected for pair in cut.pairs}
        lost: dict[str, dict[str, Loss]] = {i: {x.pair.account: x for x in of} for i, of in self.losses.items()}
        for image, losses in before.losses.items():
            told = {loss.pair.account: loss for loss in losses if loss.pair in pairs}
            lost[image] = {**lost.get(image, {}), **told}
        stays = tuple(replace(cut, blocked="", block=None) for cut in rejected)
        return Cuts(
            tuple(sorted((*self.cuts, *stays), key=lambda cut: (cut.share, cut.entity))),
            {image: tuple(of[account] for account in sorted(of)) for image, of in lost.items()},
            {image: {**self.kept.get(image, {}), **of} for image, of in {**self.kept, **before.kept}.items()},
            {
                image: of | self.undecided.get(image, frozenset())
                for image, of in {**self.undecided, **before.undecided}.items()
            },
        )


def cuts_of(
    shares: Iterable[ResourceShare],
    leaving: frozenset[tuple[str, str]],
    standings: Mapping[str, Standing],
    images: Mapping[str, Image],
    *,
    reach: Reach,
    ledger: Ledger,
    aside: frozenset[str],
    unread: frozenset[str],
    judge: Judge,
) -> Cuts:
    """Look at every row that should leave. ``aside`` are accounts that no share takes anything from: the owner, who
    has its images anyway, and the management account, of which nobody knows whether a share reaches it. ``unread``
    folders could not be asked for, so nobody knows whether they are gone, or who is in them."""
    by_id = {share.id: share for share in shares}
    work = _Cutting(images, reach, ledger, aside, unread, judge)
    sorted_out: dict[str, _Alike] = {}
    cuts = []
    for share, entity in sorted(leaving):
        if share not in sorted_out:
            sorted_out[share] = _alike(by_id[share], standings)
        cuts.append(work.cut(by_id[share], sorted_out[share], entity))
    return Cuts(
        tuple(cuts),
        {image: tuple(losses[a] for a in sorted(losses)) for image, losses in work.losses.items()},
        work.kept,
        {image: frozenset(accounts) for image, accounts in work.undecided.items()},
    )


class _Alike(Struct, frozen=True):
    """The targets and images of a share, the images in groups that stand alike; ``unknown`` ones were not looked at."""

    targets: frozenset[str]
    images: frozenset[str]
    groups: tuple[tuple[Standing, tuple[str, ...]], ...]
    unknown: tuple[str, ...]


def _alike(share: ResourceShare, standings: Mapping[str, Standing]) -> _Alike:
    images = sorted(row.entity for row in share.images if row.live)
    groups: dict[int, tuple[Standing, list[str]]] = {}
    for image in images:
        if image in standings:
            groups.setdefault(id(standings[image]), (standings[image], []))[1].append(image)
    return _Alike(
        targets=frozenset(row.entity for row in share.targets if row.live),
        images=frozenset(images),
        groups=tuple((standing, tuple(alike)) for standing, alike in groups.values()),
        unknown=tuple(image for image in images if image not in standings),
    )


class _Cutting:
    """The work of ``cuts_of``: a pair that several rows give is one loss."""

    def __init__(
        self,
        images: Mapping[str, Image],
        reach: Reach,
        ledger: Ledger,
        aside: frozenset[str],
        unread: frozenset[str],
        judge: Judge,
    ) -> None:
        self.images, self.reach, self.ledger, self.judge = images, reach, ledger, judge
        self.aside, self.unread = aside, unread
        self.losses: dict[str, dict[str, Loss]] = defaultdict(dict)
        self.kept: dict[str, dict[str, Mode]] = defaultdict(dict)
        self.undecided: dict[str, set[str]] = defaultdict(set)
        self._rules: dict[str, dict[str, frozenset[str]]] = {}

    def cut(self, share: ResourceShare, alike: _Alike, entity: str) -> Cut:
        is_target = entity in alike.targets
        each = self.reach.of_all([entity] if is_target else alike.targets, external=share.external)
        reached = (each.possible | each.elsewhere) - (self.aside - {entity})
        pairs: set[Pair] = set()
        blocks: list[tuple[Block, str]] = []
        if entity in self.unread:
            blocks.append(("waiting", f"folder {entity} could not be read"))
        if reached:
            chosen = alike.images if is_target else frozenset({entity})
            blocks += [("conflict", f"{image} was not looked at") for image in alike.unknown if image in chosen]
            for standing, group in alike.groups:
                images = group if is_target else tuple(image for image in group if image == entity)
                if images:
                    here = (reached & standing.reached) | (reached & each.elsewhere)
                    blocks += self._wanted(standing, images, here, pairs)
                    blocks += self._unwanted(standing, images, share, here, pairs)
        block, why = min(blocks, default=(None, ""), key=lambda found: _GRAVEST.index(found[0]))
        return Cut(
            share=share.id,
            entity=entity,
            is_target=is_target,
            images=alike.images if is_target else frozenset({entity}),
            pairs=frozenset(pairs),
            blocked=why,
            block=block,
        )

    def _wanted(
        self, standing: Standing, images: tuple[str, ...], reached: frozenset[str], pairs: set[Pair]
    ) -> Iterable[tuple[Block, str]]:
        left = (reached & standing.wanted) - standing.safe
        for image in images if left & standing.unclear else ():
            for account in left & standing.unclear:
                loss = change_of_channel(self.images[image], account)
                pairs.add(loss.pair)
                self.losses[image].setdefault(account, loss)
        left -= standing.unclear
        if left:
            first = min(left - standing.coming, default=min(left))
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            why = f"account {first}{more} would not have {images[0]} by anything else"
            yield "waiting" if left <= standing.coming else "conflict", why

    def _unwanted(
        self,
        standing: Standing,
        images: tuple[str, ...],
        share: ResourceShare,
        reached: frozenset[str],
        pairs: set[Pair],
    ) -> Iterable[tuple[Block, str]]:
        left = sorted(reached - standing.wanted - standing.kept)
        for image in images if left else ():
            blocked = ""
            for account in left:
                judged = self.judge(image, account, self._rules_behind(share, image, account))
                if judged.loss is not None:
                    before = self.losses[image].get(account)
                    self.losses[image][account] = judged.loss if before is None else _both(before, judged.loss)
                    pairs.add(judged.loss.pair)
                elif judged.kept_by is not None:
                    self.kept[image][account] = judged.kept_by
                    blocked = blocked or f"mode {judged.kept_by} keeps {image} for account {account}"
                else:
                    self.undecided[image].add(account)
                    blocked = blocked or f"it is not known whether account {account} is to have {image}"
            if blocked:
                yield "doubt", blocked

    def _rules_behind(self, share: ResourceShare, image: str, account: str) -> tuple[str, ...]:
        """The rules that wanted a pair when we put its image and its target into the share."""
        entries = self.ledger.rows(share.id)
        if share.id not in self._rules:
            behind: dict[str, set[str]] = defaultdict(set)
            for row in share.targets:
                if row.live and row.entity in entries:
                    each = self.reach.of(row.entity, external=share.external)
                    for reached in each.possible | each.elsewhere:
                        behind[reached].update(entries[row.entity].rules)
            self._rules[share.id] = {reached: frozenset(rules) for reached, rules in behind.items()}
        of_image = entries[image].rules if image in entries else ()
        of_targets = self._rules[share.id].get(account, frozenset())
        return tuple(rule for rule in of_image if rule in of_targets) or of_image


def _both(one: Loss, other: Loss) -> Loss:
    """One pair that is lost by two rows: everything that either rests on."""
    return replace(
        one,
        proven=one.proven and other.proven,
        rules=tuple(sorted({*one.rules, *other.rules})),
        hangs_on_image=one.hangs_on_image or other.hangs_on_image,
        hangs_on_listing=one.hangs_on_listing or other.hangs_on_listing,
    )
