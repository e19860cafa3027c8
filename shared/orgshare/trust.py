"""The sharing role of an owner: whom its trust policy lets use the owner's keys, and which of them we added.

An encrypted image can be started by an account only if a role in the owner's account trusts that account's ECS: the
role is ``AliyunECSShareEncryptImageDefaultRole``, the ECS is named ``ACCOUNT@ecs.aliyuncs.com``
(https://help.aliyun.com/en/ecs/user-guide/encryption-related-permissions). The role is one for all regions and all
encrypted images, its policy is one document, and the vendor replaces it as a whole, without a version
(https://www.alibabacloud.com/help/en/ram/api-updaterole). So a change is always one of the document that was just read:
what others put there stays, in whatever form, and nothing is written from memory. Here is only what documents and
memory mean, as pure functions.

What can go wrong: a principal of ours that is taken for a stranger's is never removed, and one of a stranger that is
taken for ours may be. Principals have no times. So the intention to add one is written down only if the document that
was just read does not have it, and ends soon if it never appears.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.ledger import NOT_VISIBLE_YET, READINGS_THAT_END_OWNERSHIP
from orgshare.words import NOBODY

SHARING_ROLE = "AliyunECSShareEncryptImageDefaultRole"

_ECS_OF = re.compile(r"([0-9]+)@ecs\.aliyuncs\.com")
_ASSUMES = frozenset({"sts:assumerole", "sts:*", "*"})


class Trust(Struct, frozen=True):
    """A trust policy as it was read. ``accounts`` are trusted for certain, ``denied`` ones by no change of ours.

    A statement with a condition may let somebody in or not: it makes nobody trusted, and is never changed.
    """

    document: str
    accounts: frozenset[str] = NOBODY
    denied: frozenset[str] = NOBODY


def principal(account: str) -> str:
    """An account's ECS, as trust policies name it."""
    return f"{account}@ecs.aliyuncs.com"


def read_trust(document: str) -> Trust:
    """What a trust policy says. ``ValueError`` if it is none."""
    allowed: set[str] = set()
    denied: set[str] = set()
    for statement in _statements(json.loads(document)):
        if not _is_about_assuming(statement):
            continue
        named = set(_accounts(statement))
        if statement.get("Effect") == "Deny":
            denied |= named  # with whatever condition: nobody is let in for certain
        elif not statement.get("Condition"):
            allowed |= named
    return Trust(document, frozenset(allowed - denied), frozenset(denied))


def with_accounts(document: str, accounts: Iterable[str]) -> str:
    """The document with these accounts' ECS added; everything else in it stays."""
    whole = json.loads(document)
    wanted = [principal(account) for account in accounts]
    if not wanted:
        return _compact(whole)
    statements = _statements(whole)
    ours = next((one for one in statements if _takes_more(one)), None)
    if ours is None:
        added = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": wanted}}
        return _compact({**whole, "Statement": [*statements, added]})
    names = _listed(ours["Principal"]["Service"])
    ours["Principal"]["Service"] = [*names, *(name for name in wanted if name not in names)]
    return _compact({**whole, "Statement": statements})


def without_accounts(document: str, accounts: Iterable[str]) -> str:
    """The document without these accounts' ECS, each taken out once: if it is there twice, we did not add the other.

    A statement that names nobody any more goes. A document that would let nobody in any more keeps the first of them:
    nothing is documented about a trust policy without a statement.
    """
    unwanted = sorted({principal(account) for account in accounts})
    whole = json.loads(document)
    kept = _taken_out(_statements(whole), unwanted) or _taken_out(_statements(whole), unwanted[1:])
    return _compact({**whole, "Statement": kept})


def fitting(document: str, accounts: Iterable[str], length: int) -> tuple[str, ...]:
    """The first of these accounts with whom the document is not longer than it may be, in their order."""
    taken: list[str] = []
    for account in accounts:
        if len(with_accounts(document, [*taken, account])) > length:
            break
        taken.append(account)
    return tuple(taken)


def _statements(whole: Any) -> list[dict[str, Any]]:
    statements = whole.get("Statement") if isinstance(whole, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        raise ValueError("it has no list of statements")
    return statements


def _is_about_assuming(statement: Mapping[str, Any]) -> bool:
    return any(str(one).lower() in _ASSUMES for one in _listed(statement.get("Action", ())))


def _services(statement: Mapping[str, Any]) -> list[str]:
    principals = statement.get("Principal")
    return [str(one) for one in _listed(principals.get("Service", ()))] if isinstance(principals, dict) else []


def _accounts(statement: Mapping[str, Any]) -> Iterable[str]:
    found = (_ECS_OF.fullmatch(name) for name in _services(statement))
    return (match[1] for match in found if match)


def _lets_in(statement: Mapping[str, Any]) -> bool:
    plain = statement.get("Effect") == "Allow" and not statement.get("Condition")
    return plain and _is_about_assuming(statement)


def _takes_more(statement: Mapping[str, Any]) -> bool:
    """Whether a statement is a plain list of accounts' ECS: more of them added to it mean nothing else."""
    services = _services(statement)
    plain = _lets_in(statement) and statement.keys() <= {"Action", "Effect", "Principal", "Condition"}
    return plain and statement["Principal"].keys() == {"Service"} and all(map(_ECS_OF.fullmatch, services))


def _taken_out(statements: list[dict[str, Any]], unwanted: Iterable[str]) -> list[dict[str, Any]]:
    """The statements without these principals, each taken out where it stands first."""
    wanted_out, kept = set(unwanted), []
    for statement in statements:
        here = wanted_out.intersection(_services(statement)) if _lets_in(statement) else set()
        wanted_out -= here
        if not here:
            kept.append(statement)
            continue
        left = [name for name in _services(statement) if name not in here]
        others = {kind: names for kind, names in statement["Principal"].items() if kind != "Service"}
        if left or others:
            kept.append({**statement, "Principal": {**others, **({"Service": left} if left else {})}})
    return kept


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


# --- memory


class Principal(Struct, frozen=True, omit_defaults=True):
    """An account whose ECS we let in: ``intended`` before the call, ``made`` once it was read back.

    ``images`` are those that it was let in for. ``since`` is the time of the last intention, and ``missing`` counts the
    runs in which it was not in the document.
    """

    state: Literal["intended", "made"]
    since: datetime
    images: tuple[str, ...] = ()
    missing: int = 0


class RoleLedger(Struct, frozen=True):
    """What the newest generation of a sharing role says: the principals that are ours, by account."""

    principals: Mapping[str, Principal] = MappingProxyType({})


def settled(ledger: RoleLedger, trust: Trust | None, now: datetime) -> RoleLedger:
    """The ledger after the trust policy was read; ``None`` is a role that is not there.

    What is there was made. What is not there was never made or somebody took it out: it is forgotten when two readings
    in different runs do not show it, and not before it could be seen.
    """
    there = trust.accounts | trust.denied if trust is not None else NOBODY
    kept = {}
    for account, entry in ledger.principals.items():
        if account in there:
            kept[account] = replace(entry, state="made", missing=0)
        elif now - entry.since < NOT_VISIBLE_YET:
            kept[account] = entry
        elif entry.missing + 1 < READINGS_THAT_END_OWNERSHIP:
            kept[account] = replace(entry, missing=entry.missing + 1)
    return RoleLedger(MappingProxyType(kept))


def intended(
    ledger: RoleLedger, trust: Trust, needs: Mapping[str, frozenset[str]], adding: Iterable[str], now: datetime
) -> RoleLedger:
    """The ledger before these accounts are let in. ``needs`` has the images that everybody is let in for.

    Who is in the document already and is not ours was let in by somebody else, and stays so. Of ours, the images are
    noted even if nothing is added: whoever means to take them out sees it, as the generation is another one.
    """
    principals = dict(ledger.principals)
    adding = frozenset(adding)
    for account, images in needs.items():
        known = principals.get(account)
        if known is None and (account not in adding or account in trust.accounts):
            continue
        state: Literal["intended", "made"] = "intended" if account in adding else "made"
        since = now if known is None or account in adding else known.since
        noted = tuple(sorted(images.union(known.images if known is not None else ())))
        principals[account] = Principal(state, since, noted)
    return RoleLedger(MappingProxyType(principals))


def without(ledger: RoleLedger, accounts: Iterable[str]) -> RoleLedger:
    """The ledger without these accounts."""
    gone = frozenset(accounts)
    return RoleLedger(MappingProxyType({a: one for a, one in ledger.principals.items() if a not in gone}))
