"""Carrying out what a plan says of sharing roles: letting accounts in before they get anything, and out at the end.

Before an encrypted image is given to anybody, its shard's own ledger says that it will be, and then the role's does:
under the role's lease the accounts are written down as intended where they are not in the document yet, the document is
read, changed, written and read back. Who takes principals out works from the generation that it read before the
ledgers, so of two runs one sees the other: the one that gives has touched the role, or the one that takes sees what is
about to be given.

What can go wrong is a second writer, who is no run of ours and holds no lease. So the document is read immediately
before it is written and never written from memory, and what is not in it when it is read back is put in again, into
whatever it has become. What that writer put in between our reading and our writing is lost all the same: RAM has no
condition for a write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import RoleDecision
from orgshare.decide.plan import Change, Pending
from orgshare.decide.trusting import removable
from orgshare.errors import ENDS_WORK, NoAnswer, OrgshareError, Paused, Refused, TryAgain
from orgshare.ports import RoleService
from orgshare.record.lease import RoleLease
from orgshare.record.state import RoleState
from orgshare.trust import (
    SHARING_ROLE,
    RoleLedger,
    Trust,
    fitting,
    intended,
    read_trust,
    settled,
    with_accounts,
    without,
    without_accounts,
)
from orgshare.way.keys import holders
from orgshare.way.planning import Planned
from orgshare.way.runtime import Runtime
from orgshare.words import NOBODY, Incomplete, wide_shard

TRIES = 3
"""How often the document is read, changed and written, where others write to it at the same time."""

TOO_LONG = "InvalidParameter.NewAssumeRolePolicyDocument.Length"

Needs = Mapping[str, frozenset[str]]
"""Account -> the images that it is let in for."""


class LetIn(Struct, frozen=True):
    """Whom the role lets in now, and what ended the work on the others."""

    accounts: frozenset[str] = NOBODY
    error: OrgshareError | None = None


class RoleResult(Struct, frozen=True):
    """What became of the changes to one role: what was done, what failed and why, who stays for now, and what could
    not be read."""

    done: tuple[Change, ...] = ()
    failed: tuple[tuple[Change, OrgshareError], ...] = ()
    pending: tuple[Pending, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()


class Roles:
    """The sharing roles of all owners during one run."""

    def __init__(self, runtime: Runtime, planned: Planned) -> None:
        self._roles = {owner: _Role(runtime, planned, owner) for owner in planned.looked.roles}

    def let_in(self, owner: str, needs: Needs) -> LetIn:
        """Let in whoever is about to get encrypted images. Raises nothing of its own."""
        return self._roles[owner].let_in(needs) if owner in self._roles else LetIn()

    def finish(self) -> tuple[RoleResult, ...]:
        """Let in who is left, and out whoever is not needed any more; write down what was read. After all else."""
        return tuple(role.finish() for role in self._roles.values())


class _Role:
    """One owner's role. ``_state`` is the newest generation that this run read or wrote itself."""

    def __init__(self, runtime: Runtime, planned: Planned, owner: str) -> None:
        looked = planned.looked.roles[owner]
        self._runtime, self._planned, self._owner = runtime, planned, owner
        self._decision = planned.decisions.roles.get(owner, RoleDecision(owner=owner))
        self._state, self._ledger = looked.state, looked.facts.ledger
        self._length = runtime.policy.owner(owner).trust_policy_length
        self._added: set[str] = set()
        self._removed: frozenset[str] = NOBODY
        self._staying: frozenset[str] = NOBODY
        self._failed: dict[str, OrgshareError] = {}
        self._unread: Incomplete | None = None

    def let_in(self, needs: Needs) -> LetIn:
        """Let accounts in; who was let in by others stays so."""
        try:
            there = self._let_in(needs)
        except ENDS_WORK as error:
            self._failed.update(dict.fromkeys(needs, error))
            return LetIn(error=error)
        left = needs.keys() - there
        if not left:
            return LetIn(there)
        why = f"{SHARING_ROLE} does not have {', '.join(sorted(left))}, though it was written: others write to it too"
        not_there = TryAgain(f"{wide_shard(self._owner)}: {why}")
        self._failed.update(dict.fromkeys(left, not_there))
        return LetIn(there, not_there)

    def _let_in(self, needs: Needs) -> frozenset[str]:
        trust = self._read(self._runtime.cloud.role(self._owner))
        adding = frozenset(needs.keys() - trust.accounts)
        if not adding and self._ledger.principals.keys().isdisjoint(needs):
            return frozenset(needs)
        before = self._ledger
        # Written down even if nothing changes: whoever means to let out one of ours notices the generation.
        with _Holding(self, intended(before, trust, needs, adding, self._planned.now)) as holding:
            written, put = self._write(holding.service, lambda trust: self._with(trust, adding))
            self._added |= put & written.accounts
            # What was there before we wrote anything is somebody else's.
            strange = adding - put - before.principals.keys()
            holding.release(without(settled(holding.ledger, written, self._planned.now), strange))
        return written.accounts & needs.keys()

    def _with(self, trust: Trust, adding: frozenset[str]) -> str:
        missing = sorted(adding - trust.accounts)
        return with_accounts(trust.document, fitting(trust.document, missing, self._length))

    def finish(self) -> RoleResult:
        """What is left to do, and what became of it all."""
        left = {a: of for a, of in self._decision.needs.items() if a in self._decision.adding}
        left = {account: of for account, of in left.items() if account not in self._added | self._failed.keys()}
        if left:
            self.let_in(left)
        try:
            if self._decision.removing:
                self._let_out(frozenset(self._decision.removing))
            elif self._ledger != self._state.ledger:
                self._runtime.state.write_role(self._owner, self._state, self._ledger, run=self._runtime.run)
        except ENDS_WORK as error:
            self._failed.update(dict.fromkeys(self._decision.removing, error))
        return self._result()

    def _let_out(self, removing: frozenset[str]) -> None:
        """Read everything once more, as grants were revoked meanwhile, and others may have been made."""
        pairs, self._unread = holders(self._runtime, self._planned.facts, self._owner)
        if self._unread is not None:
            return
        self._staying = removing & {pair.account for pair in pairs}
        going = removing - self._staying
        if not going:
            return
        with _Holding(self, self._ledger) as holding:
            written, put = self._write(
                holding.service, lambda trust: without_accounts(trust.document, removable(trust, going))
            )
            self._removed = put - written.accounts
            holding.release(without(settled(holding.ledger, written, self._planned.now), self._removed))

    def _write(self, service: RoleService, changed: Callable[[Trust], str]) -> tuple[Trust, frozenset[str]]:
        """Read the document, write what it should be and read it back, until there is nothing to change; the document,
        and the accounts that were let in or out by what was written.

        After an answer that was lost the document is looked at before it is written again.
        """
        put: set[str] = set()
        trust = self._read(service)
        for _ in range(TRIES):
            document = changed(trust)
            changing = read_trust(document).accounts ^ trust.accounts
            if not changing:
                break
            with suppress(NoAnswer):
                self._replace(service, document)
            put |= changing
            trust = self._read(service)
        return trust, frozenset(put)

    def _replace(self, service: RoleService, document: str) -> None:
        try:
            service.replace_trust_policy(document)
        except Refused as error:
            if error.code != TOO_LONG:
                raise
            why = f"{error}; RAM takes less than quotas.trust_policy_length of {self._owner}, {self._length}: lower it"
            raise Refused(why, code=error.code, request_id=error.request_id) from error

    def _read(self, service: RoleService) -> Trust:
        document = service.trust_policy()
        if document is None:
            raise Refused(f"{wide_shard(self._owner)}: {SHARING_ROLE} is not there any more")
        try:
            return read_trust(document)
        except ValueError as error:
            why = f"{wide_shard(self._owner)}: the trust policy of {SHARING_ROLE} cannot be understood: {error}"
            raise Refused(why) from error

    def _result(self) -> RoleResult:
        planned: dict[str, Change] = {
            c.action: c for c in self._planned.plan.changes if c.shard == wide_shard(self._owner)
        }
        done: list[Change] = []
        failed: list[tuple[Change, OrgshareError]] = []
        for action, carried in (("trust", self._added), ("distrust", self._removed)):
            change = planned.get(action)
            if change is None:
                continue
            done += _part(change, carried)
            by_error: dict[int, set[str]] = {}
            errors = {id(error): error for error in self._failed.values()}
            for account in set(change.accounts) - set(carried):
                if account in self._failed:
                    by_error.setdefault(id(self._failed[account]), set()).add(account)
            failed += [(part, errors[key]) for key, accounts in by_error.items() for part in _part(change, accounts)]
        why = "stays in the trust policy: an encrypted image is still shared with it, or still listed so"
        return RoleResult(
            done=tuple(done),
            failed=tuple(failed),
            pending=tuple(Pending("", f"{SHARING_ROLE}/{account}", why, "") for account in sorted(self._staying)),
            incomplete=() if self._unread is None else (self._unread,),
        )

    def take(self, ledger: RoleLedger) -> RoleLease:
        """Hold the role, with this ledger written down."""
        runtime, shard = self._runtime, wide_shard(self._owner)
        if why := runtime.state.paused(shard):
            raise Paused(f"{shard}: {why}; nothing is written there until «orgshare resume»")
        return runtime.state.take_role(
            self._owner, self._state, ledger, run=runtime.run, seconds=runtime.lease, clocks=runtime.clocks()
        )

    def service(self, lease: RoleLease) -> RoleService:
        """The role, written to as long as the lease allows."""
        return self._runtime.cloud.role(self._owner, before_write=lease.check)

    def now_at(self, number: int, ledger: RoleLedger, *, held: bool) -> None:
        """The generation that is the newest. After an error nobody knows that, so this run takes the role no more."""
        self._state = RoleState(ledger, number, self._runtime.run if held else "")
        self._ledger = ledger


class _Holding:
    """A role while it is held: let go at the end, in whatever way that comes."""

    def __init__(self, role: _Role, ledger: RoleLedger) -> None:
        self._role, self.ledger = role, ledger
        self._lease = role.take(ledger)
        self.service = role.service(self._lease)
        self._released = False

    def __enter__(self) -> _Holding:
        return self

    def release(self, ledger: RoleLedger) -> None:
        """Write down what is known now and let go."""
        self._lease.release(ledger)
        self._released = True
        self._role.now_at(self._lease.number, ledger, held=False)

    def __exit__(self, *_: object) -> None:
        if not self._released:
            self._lease.let_go()
            self._role.now_at(self._lease.number, self.ledger, held=True)


def _part(change: Change, accounts: Iterable[str]) -> list[Change]:
    """The change for some of its accounts; nothing if there are none."""
    chosen = tuple(account for account in change.accounts if account in set(accounts))
    return [replace(change, accounts=chosen)] if chosen else []
