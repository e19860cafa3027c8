"""The history of pairs: who gained and who lost which image through us, when, and by which run. Only ever added to.

Each time a shard's ledger is written down, what differs from the one before is put beside it first, under the number of
the generation that follows. A run that dies between the two leaves rows that the next run writes once more; reading
passes over a row that says what was so already.

What can go wrong is a change that no row tells of. So the rows are made of two ledgers, not of what a run thinks that
it did: what a run that died had done is in the next difference, and so is what the organization did by itself, as when
an account joins a folder that a resource share reaches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain, count
from typing import Literal

import msgspec
from msgspec import Struct

from orgshare.ledger import Ledger
from orgshare.ports import ObjectStore
from orgshare.record.forms import FORMAT, READABLE, Pairs, grouped
from orgshare.record.series import decode
from orgshare.words import Pair, Shard

HISTORY = "history"

What = Literal["gained", "lost"]


class Row(Struct, frozen=True, order=True, kw_only=True):
    """A pair that was gained or lost: seen ``at`` this time by a run. ``rules`` are those that wanted it."""

    at: datetime
    image: str
    account: str
    what: What
    channel: str
    rules: tuple[str, ...]
    why: str
    run: str


class _Group(Struct, frozen=True):
    what: What
    channel: str
    rules: tuple[str, ...]
    why: str
    pairs: tuple[Pairs, ...]


class _Form(Struct, frozen=True):
    format: int
    at: datetime
    run: str
    groups: tuple[_Group, ...]


def write_history(
    store: ObjectStore, shard: Shard, number: int, before: Ledger, after: Ledger, *, run: str, now: datetime
) -> str:
    """Put down what differs between two ledgers of a shard, before the generation ``number`` with the second is.

    The name of what was put, empty if nothing differs: who does not get to write the generation takes it back.
    """
    groups = tuple(_groups(before, after, now))
    if not groups:
        return ""
    data = msgspec.json.encode(_Form(FORMAT, now, run, groups))
    # A run that did not get to write its generation may have put a difference there in an earlier pass.
    place = f"{HISTORY}/{shard}/{number:012d}-{run}"
    names = chain([f"{place}.json"], (f"{place}-{again}.json" for again in count(2)))
    return next(name for name in names if store.put_new(name, data))


def read_history(
    store: ObjectStore, *, image: str | None = None, account: str | None = None, since: datetime | None = None
) -> tuple[Row, ...]:
    """The rows of one image, one account, or all, oldest first. ``ConfigurationError`` if one cannot be read."""
    rows: set[Row] = set()
    for service in store.folders(HISTORY):
        for owner in store.folders(service):
            for shard in store.folders(owner):
                for item in store.listed(shard).objects:
                    data = store.get(item.name) if since is None or item.put_at >= since else None
                    if data is not None:
                        rows.update(_rows(decode(store, item.name, data, _Form, READABLE), image, account))
    return tuple(_once(sorted(row for row in rows if since is None or row.at >= since)))


def _groups(before: Ledger, after: Ledger, now: datetime) -> Iterable[_Group]:
    found: dict[tuple[What, str, tuple[str, ...], str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image in sorted(_images(before) | _images(after)):
        if before.reached.get(image) == after.reached.get(image) and before.entries(image) == after.entries(image):
            continue
        old, new = _having(before, image), _having(after, image)
        for account in new.keys() - old.keys():
            channel, rules = new[account]
            why = "granted" if channel == "direct" else "a resource share reaches it"
            found["gained", channel, rules, why][image].add(account)
        for account in old.keys() - new.keys():
            channel, rules = old[account]
            lost = after.lost.get(image, {}).get(account)
            why = "taken away by this run" if lost is not None and lost.at == now else "not there any more"
            found["lost", channel, lost.rules if lost is not None else rules, why][image].add(account)
    for (what, channel, rules, why), by_image in sorted(found.items()):
        yield _Group(what, channel, rules, why, tuple(grouped(by_image)))


def _images(ledger: Ledger) -> frozenset[str]:
    return frozenset(ledger.reached) | frozenset(ledger.grants)


def _having(ledger: Ledger, image: str) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Who has an image through us as far as a ledger says: the channel, and the rules behind a grant."""
    granted = {a: e.rules for a, e in ledger.entries(image).items() if e.state != "intended"}
    direct = {account: ("direct", rules) for account, rules in granted.items()}
    return {**direct, **dict.fromkeys(ledger.reached.get(image, ()), ("directory", ()))}


def _rows(form: _Form, image: str | None, account: str | None) -> Iterable[Row]:
    for group in form.groups:
        for pairs in group.pairs:
            for one in pairs.images if image is None else (image,) * (image in pairs.images):
                for who in pairs.accounts if account is None else (account,) * (account in pairs.accounts):
                    yield Row(
                        at=form.at,
                        image=one,
                        account=who,
                        what=group.what,
                        channel=group.channel,
                        rules=group.rules,
                        why=group.why,
                        run=form.run,
                    )


def _once(rows: Iterable[Row]) -> Iterable[Row]:
    """The rows without those that say what was so already."""
    last: dict[Pair, What] = {}
    for row in rows:
        pair = Pair(row.image, row.account)
        if last.get(pair) != row.what:
            last[pair] = row.what
            yield row
