"""The places of images that share a quota: none is given twice, and what is there counts whoever made it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.decide.places import Places, make_places
from orgshare.ledger import Entry, Ledger
from orgshare.policy.model import DirectoryReader, Owner, Policy, QuotaScope
from orgshare.words import Image, Shard, desktops_of

OWNER = "1000000000000002"
SHARD = desktops_of(OWNER)
REGIONS = ("cn-hangzhou", "ap-southeast-1", "eu-west-1")
NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def image(number: int, *, region: int = 0, **fields: Any) -> Image:
    return Image(id=f"m-{number}", shard=SHARD, name=str(number), status="Available", within=REGIONS[region], **fields)


def policy(quota: int, per: QuotaScope = "account") -> Policy:
    owner = Owner(OWNER, None, eds_shares=quota, eds_shares_per=per, accounts_per_image=7)
    return Policy("d", "enforce", "s", DirectoryReader("1000000000000001"), (owner,), ())


def ledger(*grants: tuple[str, int]) -> Ledger:
    """So many grants of ours on each of these images."""
    made = Ledger()
    for name, number in grants:
        made = made.with_entries(name, {str(10_000 + n): Entry("made", NOW) for n in range(number)})
    return made


def test_an_image_of_ecs_has_places_of_its_own() -> None:
    """What others have does not matter, and what it takes changes nothing for them."""
    shard = Shard("ecs", OWNER, REGIONS[0])
    one, two = (Image(id=f"m-{n}", shard=shard, name="x", status="Available") for n in range(2))
    places = make_places(policy(1), shard, {}, [one], ledger(("m-1", 7)))
    places.take(one, 5)
    assert (places.free(one, 5), places.free(two, 0), places.quota) == (2, 7, 7)
    assert "quotas.accounts_per_image" in places.too_many()


@pytest.mark.parametrize(("per", "left"), [("account", (1, 1, 1)), ("region", (5, 5, 6)), ("image", (8, 7, 6))])
def test_what_images_have_is_taken_from_all_that_they_share_with(per: QuotaScope, left: tuple[int, ...]) -> None:
    """Two images in one region and one in another have two, three and four of ten places."""
    images = [image(1), image(2), image(3, region=1)]
    used = dict(zip(images, (2, 3, 4), strict=True))
    places = make_places(policy(10, per), SHARD, used, [], ledger())
    assert tuple(places.free(one, used[one]) for one in images) == left
    places.take(images[0], 1)
    assert places.free(images[1], 3) == left[1] - (per != "image")


def test_an_image_with_places_of_its_own_has_what_it_does_not_take() -> None:
    """Of what it takes, only who asks knows the newest; what another one takes does not matter."""
    one, two = image(1), image(2)
    places = make_places(policy(10, "image"), SHARD, {one: 2}, [two], ledger())
    places.take(two, 7)
    assert [places.free(one, taken) for taken in (0, 2, 10)] == [10, 8, 0]


def test_a_region_of_which_nothing_is_known_has_all_its_places() -> None:
    """What an image takes there is the first, and is taken from those alone."""
    places = make_places(policy(10, "region"), SHARD, {image(1): 4}, [], ledger())
    far = image(2, region=2)
    assert places.free(far, 0) == 10
    places.take(far, 3)
    assert [places.free(one, 0) for one in (image(1), far, image(3, region=1))] == [6, 7, 10]


@pytest.mark.parametrize(("row", "entries", "counted"), [(3, 0, 3), (None, 2, 2), (1, 2, 2), (0, 0, 0), (None, 0, 0)])
def test_an_image_beside_counts_with_its_row_or_with_what_is_known_of_it(
    row: int | None, entries: int, counted: int
) -> None:
    """Its grants were not read; whichever says more is believed, so no place is given twice."""
    places = make_places(policy(10), SHARD, {}, [image(1, shared_with=row)], ledger(("m-1", entries)))
    assert places.free(image(2), 0) == 10 - counted


def test_what_was_not_even_listed_counts_with_the_ledger() -> None:
    """A region could not be read; in which one an image was, nobody knows, so only the whole account counts it."""
    known = ledger(("m-8", 3), ("m-9", 2))
    assert make_places(policy(10), SHARD, {image(1): 1}, [], known).free(image(1), 1) == 4
    assert make_places(policy(10, "region"), SHARD, {image(1): 1}, [], known).free(image(1), 1) == 9
    assert make_places(policy(10), SHARD, {}, [], known).free(image(1), 0) == 5


def test_more_than_fits_leaves_nothing() -> None:
    """Others shared more than the policy says there is: nobody gets anything, and nothing breaks."""
    places = make_places(policy(2), SHARD, {image(1): 5}, [], ledger())
    assert places.free(image(2), 0) < 0
    assert places.too_many() == (
        "Elastic Desktop Service shares all images of the owner in all regions 2 times together; narrow the audience "
        "or the images, or, where the vendor allows more, raise quotas.eds_shares of the owner"
    )


@given(
    quota=st.integers(1, 30),
    per=st.sampled_from(["account", "region", "image"]),
    used=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=8),
    wanted=st.lists(st.integers(0, 8), min_size=8, max_size=8),
)
def test_no_place_is_ever_given_twice(
    quota: int, per: QuotaScope, used: list[tuple[int, int]], wanted: list[int]
) -> None:
    """Whoever takes what is free in turn never passes the quota by that, and takes all of it if more is wanted."""
    images = [image(number, region=region) for number, (region, _) in enumerate(used)]
    has = dict(zip(images, (number for _, number in used), strict=True))
    places: Places = make_places(policy(quota, per), SHARD, has, [], ledger())
    before = dict(has)
    for one, want in zip(images, wanted, strict=False):
        taken = min(want, max(places.free(one, has[one]), 0))
        places.take(one, taken)
        has[one] += taken
    within: dict[str, list[Image]] = {}
    for one in images:
        within.setdefault({"account": "", "region": one.region, "image": one.id}[per], []).append(one)
    for group in within.values():
        then, now = sum(before[one] for one in group), sum(has[one] for one in group)
        asked = sum(wanted[images.index(one)] for one in group)
        assert now == max(then, min(then + asked, quota))
