"""How plans and holds are compared: a person who agreed to one has agreed to nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from orgshare.decide.plan import MOST_ROWS, Action, Change, Finding, Plan, finding_rows, pairs_id
from orgshare.words import Pair, Shard
from tests.support.facts import SHARD, A, B, C
from tests.support.plans import change, hold


def pairs(*accounts: str) -> tuple[Pair, ...]:
    return tuple(Pair(of, account) for of in ("m-bronze", "m-gold", "m-silver") for account in accounts)


@pytest.mark.parametrize("action", ["grant", "revoke"])
def test_a_grant_or_a_revoke_is_made_of_its_pairs(action: Action) -> None:
    """Two images and two accounts are four parts, none of which says anything of the others."""
    one = replace(change(action, "gold", A, B), images=("m-gold", "m-silver"))
    assert one.parts() == {(action, "", of, account) for of in ("m-gold", "m-silver") for account in (A, B)}
    assert one.parts().isdisjoint(change("grant" if action == "revoke" else "revoke", "gold", A, B).parts())


@pytest.mark.parametrize("action", ["trust", "distrust"])
def test_a_change_of_a_sharing_role_is_made_of_its_accounts(action: Action) -> None:
    """Whatever the images are that they are let in for: the role is one for all of an owner's."""
    one = replace(change(action, "gold", A, B, C), images=("m-gold", "m-silver"))
    assert one.parts() == {(action, "", SHARD.owner, account) for account in (A, B, C)}


def test_a_copy_is_made_of_its_image_and_the_region_that_it_comes_to() -> None:
    """Who agreed to a copy in one region has agreed to none in another."""
    here, there = (
        Change(action="copy", shard=Shard("ecs", SHARD.owner, region), images=("m-gold",)) for region in ("r-1", "r-2")
    )
    assert here.parts() == {("copy", "", "r-1", "m-gold")}
    assert here.parts().isdisjoint(there.parts())


def of_share(action: Action, *, share: str = "", audience: str = "", images: Iterable[str] = ()) -> Change:
    return Change(
        action=action, shard=SHARD, images=tuple(images), targets=("fd-prod", A), share=share, audience=audience
    )


def test_a_change_of_a_share_is_made_of_its_rows() -> None:
    """Each row is a part together with its share, and with the audience where the share is not there yet."""
    assert of_share("associate", share="rs-1", images=["m-gold"]).parts() == {
        ("associate", "rs-1", entity) for entity in ("", "m-gold", "fd-prod", A)
    }
    assert of_share("create-share", audience="k").parts() == {("create-share", "k", e) for e in ("k", "fd-prod", A)}


def test_the_digest_tells_which_share_a_change_is_for() -> None:
    """The same rows in another share, or for another audience, are another plan; wording and counts are none."""
    plans = [
        Plan(changes=(of_share("associate", share="rs-1"),)),
        Plan(changes=(of_share("associate", share="rs-2"),)),
        Plan(changes=(of_share("associate", audience="one"),)),
        Plan(changes=(of_share("associate", audience="two"),)),
        Plan(changes=(of_share("disassociate", share="rs-1"),)),
        Plan(),
    ]
    assert len({plan.digest() for plan in plans}) == len(plans)
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", plan.digest()) for plan in plans)
    worded = replace(plans[0].changes[0], why="otherwise said", gained=7)
    assert Plan(changes=(worded,)).digest() == plans[0].digest()


def test_the_digest_tells_what_is_held_to_be_lost_from_what_is_held_to_be_gained() -> None:
    """Two people who approve the same pairs, the one to go and the other to come, approve two things."""
    lost = hold("gold", A, B, C)
    held = [(), (lost,), (replace(lost, gains=True),), (lost, replace(lost, gains=True)), (hold("gold", A, B),)]
    assert len({Plan(held=of).digest() for of in held}) == len(held)
    assert Plan(held=(replace(lost, id="h-other", why="otherwise said"),)).digest() == Plan(held=(lost,)).digest()


def test_a_hold_is_named_by_its_pairs_alone() -> None:
    """Whatever their order; another pair more or less is another name, which a person can still copy."""
    names = {of: pairs_id(of) for of in (pairs(A), pairs(B), pairs(A, B), pairs(A, B)[:-1])}
    assert len(set(names.values())) == len(names)
    assert pairs_id(reversed(pairs(A, B))) == names[pairs(A, B)]
    assert all(re.fullmatch("h-[0-9a-f]{12}", name) for name in names.values())


def test_findings_name_their_accounts_until_they_are_many() -> None:
    """Twenty are named one by one, of twenty-one the number is given and the first."""
    accounts = [f"10000000000000{number}" for number in range(10, 10 + MOST_ROWS + 1)]
    few = list(finding_rows("unmanaged", "m-gold", set(accounts[1:]), "by hand"))
    assert sorted(few) == [Finding("unmanaged", "m-gold", account, "by hand") for account in accounts[1:]]
    many = list(finding_rows("unmanaged", "m-gold", set(accounts), "by hand"))
    assert many == [Finding("unmanaged", "m-gold", "", f"21 accounts, the first {accounts[0]}: by hand")]
