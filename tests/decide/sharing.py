"""Images in resource shares of ours, written as briefly as a test of decisions and plans reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from orgshare.decide.facts import Facts, Proof
from orgshare.decide.shares import STATE
from orgshare.ledger import Entry, Ledger, Setback
from orgshare.policy.model import Rule
from orgshare.words import DEPLOYMENT, Association, ImageReading, ResourceShare, Sharing, Tags
from tests.support import facts as support
from tests.support.facts import JUST_NOW, NOW, ORGANIZATION, E, facts, image, policy, reading

OURS: Tags = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")
THREE = (reading(GOLD), reading(SILVER), reading(BRONZE))
NAMES = ("m-bronze", "m-gold", "m-silver")
GONE = "1000000000000099"
PROVEN = Proof(placed=frozenset(ORGANIZATION.members), departed=frozenset({GONE}), images=frozenset(NAMES))


def row(entity: str, status: str = "Associated", *, created: str = JUST_NOW, updated: str = "") -> Association:
    return Association(entity, status, created, updated=updated)


def share(
    name: str,
    images: Iterable[str | Association] = NAMES,
    targets: Iterable[str | Association] = (),
    *,
    tags: Tags = OURS,
    status: str = "Active",
) -> ResourceShare:
    """The share ``rs-<name>`` of ours, its rows Associated unless they say otherwise."""

    def rows(of: Iterable[str | Association]) -> tuple[Association, ...]:
        return tuple(one if isinstance(one, Association) else row(one) for one in of)

    return ResourceShare(id=f"rs-{name}", status=status, tags=tags, images=rows(images), targets=rows(targets))


WHOLE = share("1", targets=["fd-eu", "fd-prod", "fd-test", E])
"""Every member but the owner, for all three images."""


def shared(
    rules: Iterable[Rule],
    *shares: ResourceShare,
    readings: Iterable[ImageReading] = THREE,
    behind: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    grants: Mapping[str, Mapping[str, Entry]] = MappingProxyType({}),
    by_hand: Iterable[str] = (),
    setbacks: Mapping[str, Setback] = MappingProxyType({}),
    enabled: bool = True,
    proof: Proof = PROVEN,
) -> Facts:
    """Every row of these shares is ours but those ``by_hand``, made for ``golden`` unless ``behind`` names others."""
    aside = frozenset(by_hand)
    rows = {
        one.id: {
            each.entity: Entry("made", NOW, rules=behind.get(each.entity, ("golden",)), shared_time=each.created)
            for each in one.images + one.targets
            if each.entity not in aside
        }
        for one in shares
    }
    known = Ledger(grants=grants, shares=rows, made=frozenset(rows), setbacks=setbacks)
    return facts(policy(*rules), *readings, sharing=Sharing(shares, enabled), known=known, proof=proof)
