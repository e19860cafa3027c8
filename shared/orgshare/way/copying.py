"""Carrying out what a plan says of copies into one shard.

What is about to be copied was written down before, with its token, under the lease of the shard that the copy comes
into; the call itself is made in the region of the image. So two runs never copy into one region at a time.

No run deletes a copy. A person does, or ``delete_copy`` for one who retired the copies of an image, under the same
lease as everything that is written there.

What can go wrong is an answer that never comes. The intention then stays, and whoever comes next either finds the copy
in the listing, or asks again with the same token. And an image that is deleted and was none of our copies: so the
ledger has to know it, and its own tags have to name what it was made from, and this deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orgshare.copies import COPY_OF, NO_COPIES, READINGS_THAT_END_A_COPY, Copy, tags_of_copy
from orgshare.decide.copying import being_made
from orgshare.decide.plan import Change, Pending
from orgshare.errors import ENDS_WORK, ConfigurationError, OrgshareError, StopShard
from orgshare.ledger import Ledger
from orgshare.record.lease import Lease
from orgshare.record.ownership import copies_intended, copies_recorded
from orgshare.record.state import ShardState, State
from orgshare.way.planning import Planned
from orgshare.way.runtime import Runtime
from orgshare.words import DEPLOYMENT, Image, Shard


def copies_of(state: State, source: str) -> Mapping[Shard, Copy]:
    """What the state knows of the copies of an image, by the shard that each is in."""
    found = ((shard, state.read(shard).ledger.copies.get(source)) for shard in state.shards())
    return {shard: copy for shard, copy in found if copy is not None}


def delete_copy(runtime: Runtime, shard: Shard, source: str, named: str, before: ShardState) -> None:
    """Delete the copy that is ``named``, of which a reading showed that nobody has it, and remember that it was there.

    ``before`` is the state that was read before that reading: a run that wrote since may have shared the copy again.
    Raises ``VendorError`` where the cloud refuses, ``StopShard`` where another run is at work or was meanwhile, and
    ``ConfigurationError`` if it is no copy of ours.
    """
    copy = before.ledger.copies.get(source)
    if copy is None or copy.id != named:
        raise ConfigurationError(f"{named}: the state does not know it for the copy of {source}, so it is not deleted")
    row = runtime.cloud.ecs_images(shard).image(copy.id)
    for key, value in ((COPY_OF, f"{copy.region}/{source}"), (DEPLOYMENT, runtime.policy.deployment)):
        if row is not None and (key, value) not in row.tags:
            raise ConfigurationError(
                f"{copy.id}: its tag {key} does not name {value} any more, so it is not deleted; delete it by hand"
            )
    lease = runtime.state.take(
        shard, before, before.ledger, run=runtime.run, seconds=runtime.lease, clocks=runtime.clocks()
    )
    try:
        if row is not None:
            runtime.cloud.ecs_images(shard, before_write=lease.check).delete(copy.id)
        gone = {**before.ledger.copies, source: replace(copy, state="gone", missing=READINGS_THAT_END_A_COPY)}
    except OrgshareError:
        lease.release(before.ledger)
        raise
    except (Exception, KeyboardInterrupt):
        lease.let_go()
        raise
    lease.release(before.ledger.with_copies(gone))


def forget_removed(state: State, source: str, *, run: str) -> tuple[Shard, ...]:
    """Let an image be copied anew to where its copies were removed; these shards. Raises ``Busy`` where another run
    writes."""
    removed = [shard for shard, copy in copies_of(state, source).items() if copy.state == "gone"]
    for shard in removed:
        before = state.read(shard)
        kept = {image: copy for image, copy in before.ledger.copies.items() if image != source}
        state.write(shard, before, before.ledger.with_copies(kept), run=run)
    return tuple(removed)


class CopyResult(Struct, frozen=True):
    """What became of the changes that copy."""

    done: tuple[Change, ...] = ()
    failed: tuple[tuple[Change, Exception], ...] = ()
    pending: tuple[Pending, ...] = ()


class Copying:
    """The copies that are made into one shard during one run, in the order of its methods."""

    def __init__(self, runtime: Runtime, planned: Planned, shard: Shard, changes: Iterable[Change]) -> None:
        self._runtime, self._planned, self._shard = runtime, planned, shard
        self._changes = tuple(change for change in changes if change.action == "copy")
        decided = planned.decisions.copies.get(shard)
        self._sources = decided.sources if decided is not None else {}
        self._before = NO_COPIES
        self._made: dict[str, str] = {}
        self._failed: dict[str, Exception] = {}

    def intended(self, ledger: Ledger) -> Ledger:
        """The ledger with everything that is about to be copied."""
        self._before = ledger.copies
        sources = [self._sources[change.images[0]] for change in self._changes]
        state = self._runtime.state.beginning.id
        return copies_intended(ledger, sources, self._shard.region, state, self._planned.now)

    def make(self, ledger: Ledger, lease: Lease) -> None:
        """Have the copies made, one after the other, as long as the lease allows. Raises nothing of its own."""
        keys = dict(self._runtime.policy.owner(self._shard.owner).kms_keys)
        for change in self._changes:
            source = self._sources[change.images[0]]
            try:
                self._made[source.id] = self._copy(source, ledger.copies[source.id].token, keys, lease)
            except ENDS_WORK as error:
                self._failed[source.id] = error
                if isinstance(error, StopShard):
                    return

    def _copy(self, source: Image, token: str, keys: dict[str, str], lease: Lease) -> str:
        service = self._runtime.cloud.ecs_images(source.shard, before_write=lease.check)
        return service.copy(
            source.id,
            region=self._shard.region,
            name=source.name,
            tags=tags_of_copy(source, self._runtime.policy.deployment),
            key=keys[self._shard.region] if source.encrypted else "",
            token=token,
        )

    def recorded(self, ledger: Ledger) -> Ledger:
        """The ledger after these calls."""
        return copies_recorded(ledger, self._before, self._made, self._failed, self._planned.now)

    def result(self) -> CopyResult:
        """What became of each change."""
        done = [
            replace(change, targets=(self._made[change.images[0]],))
            for change in self._changes
            if change.images[0] in self._made
        ]
        region, now = self._shard.region, self._planned.now
        return CopyResult(
            tuple(done),
            tuple((change, self._failed[change.images[0]]) for change in self._changes
                  if change.images[0] in self._failed),
            tuple(being_made(change.targets[0], change.images[0], region, now) for change in done),
        )  # fmt: skip
