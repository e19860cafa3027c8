"""What orgshare remembers of a shard: which grants are its own, and what it learned by trying.

The ledger answers one question, "did we make this grant?", and errs to one side: a grant that may be a person's is
never ours, unless we wrote down the intention to make it before it appeared. Reading and writing generations is the
work of ``record``; here is only what they mean, as pure functions on frozen data.

What can go wrong: an entry that is dropped too early turns our own grant into a stranger's, which is then never
revoked. So ownership ends only with our own accepted revoke, or when two readings in different runs do not show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.copies import NO_COPIES, Copies
from orgshare.saw import NEVER, Saw
from orgshare.words import NOBODY, Association, Grant, Pair, ResourceShare

CLOCK_SKEW = timedelta(minutes=20)
"""How far the vendor's clock may be behind ours: SharedTime is compared with the time of our intention.

A clock that is off by more than 15 minutes cannot sign requests, so every grant of ours passes.
https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

NOT_VISIBLE_YET = timedelta(minutes=15)
"""How long an accepted grant may be missing from the permission list before it is granted again.

Nothing is documented about the delay between writing and reading share permissions.
"""

NEVER_VISIBLE = timedelta(days=1)
"""How long a grant that was asked for and never listed may still appear with the time of that asking."""

READINGS_THAT_END_OWNERSHIP = 2

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=15), timedelta(days=1)
"""How long what failed about a resource share waits before it is tried again; each time twice as long."""

STALE = 3 * LONGEST_WAIT
"""A setback this old was not met again: what it speaks of was not tried any more, or it is gone."""

FAILURES_THAT_LAST = 2
"""How often an association has to fail before the failure counts as lasting."""

LOSSES_KEPT = timedelta(days=1)
"""How long losses are kept at least: a policy may widen its window, and the history of a day is there then."""

Kind = Literal["member", "partner"]
EntryState = Literal["intended", "accepted", "made"]


class Entry(Struct, frozen=True, omit_defaults=True):
    """One grant of ours.

    ``intended`` was written before the call, ``accepted`` after it, ``made`` when the grant was read back with its
    ``shared_time``. ``since`` is the time of the intention, ``first`` that of an earlier one whose grant was never
    seen and may still appear. ``missing`` counts the runs in which it was not seen. ``rules`` are the rules that
    wanted it last, ``unwanted`` is the time of the first run that found nobody to want it any more.
    One that was ``adopted`` is ours, and somebody else made it.
    """

    state: EntryState
    since: datetime
    kind: Kind = "member"
    rules: tuple[str, ...] = ()
    shared_time: str = ""
    missing: int = 0
    first: datetime | None = None
    unwanted: datetime | None = None
    adopted: bool = False

    def owns(self, grant: Grant) -> bool:
        """Whether a listed grant is the one that this entry speaks of."""
        if self.shared_time and grant.shared_time == self.shared_time:
            return True
        return self.state != "made" and appeared_since(grant, (self.first or self.since) - CLOCK_SKEW)

    def intended_again(self, now: datetime) -> Entry:
        """The entry before the same grant is asked for once more, because the last reading did not show it.

        That reading may have been wrong: so the grant that was seen or asked for before is remembered too, however
        long ago that was if nobody looked meanwhile.
        """
        first = None if self.state == "made" else self.first or self.since
        if self.first is not None and now - self.first >= NEVER_VISIBLE:
            first = self.since
        return replace(self, state="intended", since=now, missing=0, first=first, adopted=False)

    def seen(self, grant: Grant, now: datetime) -> Entry:
        """The entry after its grant was listed; a row without a SharedTime says only that it is there.

        Nor does the row say all where the grant was asked for more than once lately: it may still be as the first
        asking left it, and get another SharedTime when the last one becomes visible.
        """
        there = replace(self, state="made" if self.state == "made" else "accepted", missing=0)
        if not grant.shared_time:
            return there
        if self.waits(now) and (self.shared_time or self.first):
            return replace(there, shared_time=grant.shared_time)
        return replace(there, state="made", shared_time=grant.shared_time, first=None)

    def waits(self, now: datetime) -> bool:
        """Whether what was asked for may not be visible yet."""
        return self.state != "made" and now - self.since < NOT_VISIBLE_YET


class RememberedRefusal(Struct, frozen=True):
    """The cloud refused these accounts (all of the image if none is named) at this time: not tried again at once."""

    reason: str
    code: str
    at: datetime
    accounts: tuple[str, ...] = ()


class Setback(Struct, frozen=True):
    """Something about a resource share that did not succeed: tried again after a wait that grows.

    ``row`` is the time at which the row that failed was made, so that one failure is counted once. ``lasting`` is
    whether the cause is proven to stay until somebody does something.
    """

    code: str
    why: str
    at: datetime
    times: int = 1
    row: str = ""
    lasting: bool = False

    def again(self) -> datetime:
        """When it is tried again."""
        doubled: int = 2 ** min(self.times - 1, 10)
        return self.at + min(FIRST_WAIT * doubled, LONGEST_WAIT)

    def waits(self, now: datetime) -> bool:
        """Whether it is too early to try again."""
        return now < self.again()


class Lost(Struct, frozen=True, omit_defaults=True):
    """A pair that we took away, or were about to: when, which rules had wanted it, and whether its account left.

    ``approved`` ones were released by a person and count towards no limit.
    """

    at: datetime
    rules: tuple[str, ...] = ()
    departed: bool = False
    approved: bool = False


class Ledger(Struct, frozen=True):
    """What one shard's newest generation says. The mappings are read-only.

    ``shares`` are the rows of resource shares that we made: for each share, its images and targets. ``setbacks`` are
    by ``share/entity``, or by what was to be made. ``strangers`` are grants by hand that nobody wanted, with their
    times, where the policy revokes such grants: what was seen once more with the same time may go. ``lost`` are the
    pairs that were taken away lately, by image and account, written down before the call. ``made`` are the resource
    shares that we created, whether or not anything of ours is in them. ``reached`` says whom our resource shares gave
    each image when it was last looked at. ``copies`` are the images that were copied into the shard, by the image that
    they were made from. ``saw`` is what the last pass over the whole shard rested on.
    """

    grants: Mapping[str, Mapping[str, Entry]] = MappingProxyType({})
    refusals: Mapping[str, tuple[RememberedRefusal, ...]] = MappingProxyType({})
    absent: Mapping[str, int] = MappingProxyType({})
    shares: Mapping[str, Mapping[str, Entry]] = MappingProxyType({})
    setbacks: Mapping[str, Setback] = MappingProxyType({})
    strangers: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    lost: Mapping[str, Mapping[str, Lost]] = MappingProxyType({})
    made: frozenset[str] = frozenset()
    reached: Mapping[str, frozenset[str]] = MappingProxyType({})
    copies: Copies = NO_COPIES
    saw: Saw = NEVER

    def entries(self, image: str) -> Mapping[str, Entry]:
        """The grants of ours on an image, by account."""
        return self.grants.get(image, MappingProxyType({}))

    def with_entries(self, image: str, entries: Mapping[str, Entry]) -> Ledger:
        """The ledger with an image's entries replaced; an image without entries leaves it."""
        grants = dict(self.grants)
        if entries:
            grants[image] = MappingProxyType(dict(entries))
        else:
            grants.pop(image, None)
        return replace(self, grants=MappingProxyType(grants))

    def rows(self, share: str) -> Mapping[str, Entry]:
        """The rows of ours in a resource share, by entity."""
        return self.shares.get(share, MappingProxyType({}))

    def with_rows(self, share: str, rows: Mapping[str, Entry]) -> Ledger:
        """The ledger with our rows of a share replaced; a share without rows leaves it."""
        shares = dict(self.shares)
        if rows:
            shares[share] = MappingProxyType(dict(rows))
        else:
            shares.pop(share, None)
        return replace(self, shares=MappingProxyType(shares))

    def with_made(self, share: str) -> Ledger:
        """The ledger with a share that we created."""
        return self if share in self.made else replace(self, made=self.made | {share})

    def with_reached(self, reached: Mapping[str, frozenset[str]]) -> Ledger:
        """The ledger after images were looked at: whom our resource shares give them."""
        kept = {image: accounts for image, accounts in {**self.reached, **reached}.items() if accounts}
        return self if kept == self.reached else replace(self, reached=MappingProxyType(kept))

    def with_copies(self, copies: Copies) -> Ledger:
        """The ledger with what is remembered of copies replaced."""
        return replace(self, copies=MappingProxyType(dict(copies)))

    def copied(self) -> int:
        """How many copies of ours there are, or may be."""
        return sum(copy.state != "gone" for copy in self.copies.values())

    def with_saw(self, saw: Saw) -> Ledger:
        """The ledger after a pass that rested on this."""
        return self if saw == self.saw else replace(self, saw=saw)

    def with_setbacks(self, changed: Mapping[str, Setback | None]) -> Ledger:
        """The ledger with some setbacks replaced; ``None`` ends one."""
        setbacks = {**self.setbacks, **changed}
        kept = {key: setback for key, setback in setbacks.items() if setback is not None}
        return replace(self, setbacks=MappingProxyType(kept))

    def with_strangers(self, image: str, strangers: Mapping[str, str]) -> Ledger:
        """The ledger with the unwanted grants of others that were seen on an image replaced."""
        seen = {key: value for key, value in self.strangers.items() if key != image}
        if strangers:
            seen[image] = MappingProxyType(dict(strangers))
        return replace(self, strangers=MappingProxyType(seen))

    def with_lost(self, losses: Mapping[Pair, Lost], window: timedelta) -> Ledger:
        """The ledger with pairs that are about to be taken away; what is older than the window is dropped.

        A pair stands there once, however often it is tried, and counts as approved only if every try within the window
        was. ``losses`` are all of one time.
        """
        if not losses:
            return self
        now = max(lost.at for lost in losses.values())
        kept = max(window, LOSSES_KEPT)
        taken: dict[str, dict[str, Lost]] = {}
        for image, accounts in self.lost.items():
            young = {account: lost for account, lost in accounts.items() if now - lost.at < kept}
            if young:
                taken[image] = young
        for pair, lost in losses.items():
            of_image = taken.setdefault(pair.image, {})
            before = of_image.get(pair.account)
            counts = before is not None and not before.approved and now - before.at < window
            of_image[pair.account] = replace(lost, approved=lost.approved and not counts)
        return replace(self, lost=MappingProxyType({i: MappingProxyType(of) for i, of in taken.items()}))

    def lately_lost(self, now: datetime, window: timedelta) -> Mapping[Pair, Lost]:
        """The pairs that were taken away within the window."""
        return {
            Pair(image, account): lost
            for image, accounts in self.lost.items()
            for account, lost in accounts.items()
            if now - lost.at < window
        }

    def with_refusals(self, image: str, refusals: tuple[RememberedRefusal, ...]) -> Ledger:
        """The ledger with what is remembered of refusals of an image replaced."""
        kept = dict(self.refusals)
        if refusals:
            kept[image] = refusals
        else:
            kept.pop(image, None)
        return replace(self, refusals=MappingProxyType(kept))

    def with_absence(self, image: str, readings: int) -> Ledger:
        """The ledger after an image was not found by its id in so many runs; two of them end every entry of it."""
        absent = dict(self.absent)
        absent.pop(image, None)
        if readings >= READINGS_THAT_END_OWNERSHIP:
            forgotten = self.with_entries(image, {}).with_refusals(image, ()).with_strangers(image, {})
            forgotten = forgotten.with_reached({image: frozenset()})
            return replace(forgotten, absent=MappingProxyType(absent))
        if readings:
            absent[image] = readings
        return replace(self, absent=MappingProxyType(absent))


def vendor_time(text: str) -> datetime | None:
    """A time as the vendor writes it, with or without milliseconds; ``None`` for anything else."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return None


def appeared_since(grant: Grant, earliest: datetime) -> bool:
    """Whether a grant's SharedTime is not before a time; a missing or strange SharedTime counts as so."""
    shared = vendor_time(grant.shared_time)
    return shared is None or shared >= earliest.replace(microsecond=0)


def managed(entries: Mapping[str, Entry], grants: Iterable[Grant]) -> frozenset[str]:
    """The accounts whose listed grant on an image is ours."""
    return frozenset(g.account for g in grants if g.account in entries and entries[g.account].owns(g))


def own_rows(rows: Iterable[Association], entries: Mapping[str, Entry]) -> frozenset[str]:
    """The entities whose live row in a share is ours."""
    return managed(entries, [Grant(row.entity, row.created) for row in rows if row.live])


def row_key(share: str, entity: str) -> str:
    """The key of a setback that befell one row of a resource share."""
    return f"{share}/{entity}"


def copy_key(source: str) -> str:
    """The key of a setback that befell the copying of an image."""
    return f"copy/{source}"


def settle_shares(
    ledger: Ledger, shares: Iterable[ResourceShare], now: datetime, deleted: frozenset[str] = NOBODY
) -> Ledger:
    """The ledger of a shard after a complete reading of its resource shares.

    A row that is over ends its entry, and one that failed leaves a setback; a row that is not there at all is counted
    as missing, like a grant. What may not be visible yet is left as it is. A share that the cloud calls ``deleted`` is
    forgotten with its rows. One that we created and that the cloud knows nothing of keeps them: that is a doubt about
    the state or the cloud, and no reading of rows.
    """
    listed = {share.id: share for share in shares}
    if not deleted.isdisjoint(ledger.made):
        for share in sorted(deleted & ledger.made):
            ledger = ledger.with_rows(share, {})
        ledger = replace(ledger, made=ledger.made - deleted)
    for share, entries in ledger.shares.items():
        if share in ledger.made and share not in listed:
            continue
        rows = listed[share].images + listed[share].targets if share in listed else ()
        kept = settle(entries, [Grant(row.entity, row.created) for row in rows if row.live], now)
        for row in rows:
            entry = entries.get(row.entity)
            if row.live or entry is None:
                continue
            key = row_key(share, row.entity)
            before = ledger.setbacks.get(key)
            counted = before is not None and before.row == row.created
            if row.status == "Failed" and not counted and entry.owns(Grant(row.entity, row.created)):
                kept.pop(row.entity, None)
                ledger = ledger.with_setbacks({key: failed_again(before, row, now)})
            elif entry.shared_time == row.created:
                kept.pop(row.entity, None)
        done = {
            row_key(share, row.entity): None
            for row in rows
            if row.firm and row_key(share, row.entity) in ledger.setbacks
        }
        ledger = ledger.with_rows(share, kept).with_setbacks(done)
    stale = {key: None for key, setback in ledger.setbacks.items() if now - setback.at >= STALE}
    return ledger.with_setbacks(stale) if stale else ledger


def failed_again(before: Setback | None, row: Association, now: datetime) -> Setback:
    """What is remembered of an association that failed, once more if it did before."""
    times = before.times + 1 if before is not None else 1
    why = row.failure or "the vendor gives no reason"
    return Setback("Failed", why, now, times, row.created, lasting=times >= FAILURES_THAT_LAST)


def settle(entries: Mapping[str, Entry], grants: Iterable[Grant], now: datetime) -> dict[str, Entry]:
    """The entries of an image after a complete reading of its grants.

    A grant that is seen becomes ``made``; one that is not seen, or whose place another one has taken, is counted as
    missing, and forgotten at the second such reading. One that was not read back yet may only be late, so it is not
    counted before its time, and a row that does not say when it was shared tells nothing. Call it once a run for an
    image: readings of one run are one.
    """
    seen = {grant.account: grant for grant in grants}
    settled = {}
    for account, entry in entries.items():
        grant = seen.get(account)
        if grant is not None and entry.owns(grant):
            settled[account] = entry.seen(grant, now)
        elif entry.waits(now) or (grant is not None and not grant.shared_time):
            settled[account] = entry
        elif entry.missing + 1 < READINGS_THAT_END_OWNERSHIP:
            settled[account] = replace(entry, missing=entry.missing + 1)
    return settled
