"""The sharing roles of owners: whom they let in, who did that, and who needs it for an encrypted image.

A role is the text of its trust policy, as anybody may read it. An account is let in by a plain statement that names its
ECS; everything else in the document is somebody's who is not us.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulation.oracle.audiences import Document, Pair, World

if TYPE_CHECKING:
    from simulation.oracle.watching import Oracle, Run, Snapshot

ECS_OF = re.compile(r"([0-9]+)@ecs\.aliyuncs\.com")
Atom = tuple[str, str, str, str, str]
"""One principal of one statement: effect, actions, condition, kind, name."""


@lru_cache(maxsize=256)
def atoms(document: str) -> Mapping[Atom, int]:
    """Everything that a trust policy says, and how often."""
    found: Counter[Atom] = Counter()
    for statement in _listed(json.loads(document)["Statement"]) if document else ():
        actions, condition = json.dumps(_listed(statement["Action"])), json.dumps(statement.get("Condition") or {})
        for kind, names in statement["Principal"].items():
            found.update((statement["Effect"], actions, condition, kind, name) for name in _listed(names))
    return found


@lru_cache(maxsize=256)
def let_in(document: str) -> frozenset[str]:
    """The accounts whose ECS a trust policy lets in."""
    denied = {atom[4] for atom in atoms(document) if atom[0] == "Deny"}
    return frozenset(account for atom in atoms(document) if (account := plain(atom)) and atom[4] not in denied)


def plain(atom: Atom) -> str:
    """The account that a principal lets in, if it does so in a plain statement."""
    effect, _, condition, kind, name = atom
    match = ECS_OF.fullmatch(name) if (effect, condition, kind) == ("Allow", "{}", "Service") else None
    return match[1] if match else ""


def is_sealed(image: Document) -> bool:
    """Whether an image of ECS is encrypted."""
    return bool(image.get("service", "ecs") == "ecs" and image.get("encryption", "none") != "none")


class SharingRoles:
    """Told what happens to the roles; what is wrong is noted with the oracle."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self.ours: dict[Pair, str] = {}
        """(owner, account) that a run of ours let in, and which."""
        self.unclear: set[Pair] = set()
        """Those of which nobody can tell whether we or others let them in."""
        self._by_others: dict[Pair, float] = {}

    def begin(self, roles: Mapping[str, str], now: float) -> None:
        """Whom the roles let in before anything happened."""
        self._by_others = {(owner, account): now for owner, text in roles.items() for account in let_in(text)}

    def people_did(self, before: Snapshot, after: Snapshot, now: float) -> None:
        """Somebody else wrote a role, made it or deleted it."""
        for owner, old, new in _changed(before, after):
            for run in self._oracle.under_way():
                run.let_in |= {(owner, account) for account in let_in(new)}
                run.edited.add(owner)
            for account in let_in(old) - let_in(new):
                self.ours.pop((owner, account), None)
                self._by_others.pop((owner, account), None)
                self.unclear.discard((owner, account))
            for account in let_in(new) - let_in(old):
                self._by_others[owner, account] = now
                if self._entry(owner, account) is not None:
                    self.unclear.add((owner, account))

    def shares_with(self, run: Run, image: str, accounts: frozenset[str], *, now: float) -> None:
        """A run asks for an image for accounts that do not have it: before it is encrypted ones are let in."""
        oracle = self._oracle
        row = oracle.world.images.get(image)
        if row is None or not is_sealed(row) or not accounts:
            return
        oracle.looked["let in before the grant"] += 1
        oracle.looked["encrypted where a rule says so"] += 1
        allowed = oracle.authorized(run, now)
        for account in sorted(accounts):
            if (row["owner"], account) not in run.let_in:
                text = f"{run.name} grants {image} to …{account[-4:]}, whom the sharing role does not let in"
                oracle.wrong("let in before the grant", text)
            if (image, account) not in allowed:
                text = f"{run.name} grants {image} to …{account[-4:]}, for whom no rule authorizes encrypted images"
                oracle.wrong("encrypted where a rule says so", text)

    def wrote(self, run: Run, params: Mapping[str, str], before: Snapshot, after: Snapshot) -> None:
        """A run asked for another trust policy."""
        oracle = self._oracle
        for owner, old, new in _changed(before, after):
            gained, gone = let_in(new) - let_in(old), let_in(old) - let_in(new)
            asked = params.get("NewAssumeRolePolicyDocument", "")
            rows = [row for row in run.policy["owners"] if row["account"] == owner]
            most = rows[0].get("quotas", {}).get("trust_policy_length", 2048) if rows else 2048
            if gained and len(asked) > most:
                oracle.wrong("at most ten", f"{run.name} writes {len(asked)} characters into the role, {most} allowed")
            oracle.looked["ours only"] += 1
            lost = Counter(atoms(old))
            lost.subtract(atoms(new))
            for atom in sorted(atom for atom, number in lost.items() if number > 0 and owner not in run.edited):
                pair = (owner, plain(atom))
                if pair not in self.ours and pair not in self.unclear:
                    text = f"{run.name} takes {atom[4]} out of the sharing role, put there by others"
                    oracle.wrong("ours only", text)
            self._check_let_out(run, owner, gone, after)
            for account in gone:
                self.ours.pop((owner, account), None)
            for account in gained:
                self.ours[owner, account] = run.name
            for other in oracle.under_way():
                other.let_in |= {(owner, account) for account in let_in(new)}

    def _check_let_out(self, run: Run, owner: str, accounts: frozenset[str], after: Snapshot) -> None:
        oracle = self._oracle
        for account in sorted(accounts):
            oracle.looked["nobody is let out who needs it"] += 1
            if run.policy["mode"] != "enforce":
                oracle.wrong("modes are kept", f"{run.name} lets …{account[-4:]} out of the sharing role in mode add")
            for image in oracle.known_to_have(run, owner, account, after):
                text = f"{run.name} lets …{account[-4:]} out of the sharing role, which has {image}"
                oracle.wrong("nobody is let out who needs it", text)

    def stored(self, owner: str, form: Document) -> None:
        """A generation of a role was put: none says that what others did before the run began is ours."""
        run = next((each for each in self._oracle.under_way() if each.name == form.get("run")), None)
        for account in form.get("principals", {}):
            pair = (owner, account)
            since = self._by_others.get(pair)
            if since is None or pair in self.unclear or pair in self.ours:
                continue
            if run is not None and since < run.began:
                text = f"…{account[-4:]} was let in by others, and the state says that it was us"
                self._oracle.wrong("ours only", text)
            self.unclear.add(pair)

    def check_ownership(self, roles: Mapping[str, str]) -> None:
        """Whoever we let in is in the newest generation."""
        for (owner, account), run in self.ours.items():
            if account in let_in(roles.get(owner, "")) and self._entry(owner, account) is None:
                text = f"…{account[-4:]}, let in by {run}, is not in the newest generation of the role"
                self._oracle.wrong("ownership is written down", text)

    def left_over(self, after: Snapshot) -> Iterator[str]:
        """Whom we let in and who has nothing to use it for, as far as one of us could take it out."""
        for owner, account in sorted(self.ours.keys() - self.unclear):
            text = after.roles.get(owner, "")
            own = [atom for atom, number in atoms(text).items() for _ in range(number) if plain(atom) == account]
            if account not in let_in(text) or len(own) != 1 or len(atoms(text)) == 1:
                continue
            if not any(_perhaps(after, image, account) for image in sealed_images(self._oracle.world, owner)):
                yield f"…{account[-4:]} is still let in by us in the sharing role, and needs no key"

    def _entry(self, owner: str, account: str) -> Any:
        form = self._oracle.newest.get(f"roles/{owner}", ("", {}))[1]
        return form.get("principals", {}).get(account)


def sealed_images(world: World, owner: str) -> list[str]:
    """The encrypted images of an owner, in all regions."""
    return sorted(image for image, row in world.images.items() if row["owner"] == owner and is_sealed(row))


def _perhaps(after: Snapshot, image: str, account: str) -> bool:
    """Whether an account has an image, or a resource share may reach it."""
    return account in after.direct.get(image, ()) or any(image in images for images, _ in after.rows.values())


def _changed(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str, str]]:
    for owner in sorted(before.roles.keys() | after.roles.keys()):
        old, new = before.roles.get(owner, ""), after.roles.get(owner, "")
        if old != new:
            yield owner, old, new


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
