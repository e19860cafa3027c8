"""Reading resource shares: three listings, held against each other and against what the ledger knows."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.errors import IncompleteRead
from orgshare.observe.shares import read_sharing
from orgshare.words import Association, ResourceShare, Sharing
from tests.observe.fakes import SHARD, FakeShares, row, share

LIVE = ("Associating", "Associated", "Disassociating", "SomethingNew")
OVER = ("Failed", "Disassociated")


def read(service: FakeShares, *known: str) -> Sharing:
    """What is read; ``known`` are names of shares."""
    return read_sharing(service, SHARD, [f"rs-{name}" for name in known])


def entities(rows: Iterable[Association]) -> list[str]:
    return [one.entity for one in rows]


def usual() -> FakeShares:
    """Four shares, three of them with images and targets, over several pages."""
    return FakeShares(
        [share("c"), share("a"), share("d"), share("b")],
        images=[("a", row("m-2")), ("b", row("m-1")), ("a", row("m-1")), ("c", row("m-3")), ("a", row("m-3"))],
        targets=[("b", row("rd-1")), ("a", row("fd-1")), ("c", row("1000000000000005")), ("a", row("fd-0"))],
    )


def test_each_share_has_its_images_and_its_targets() -> None:
    """Shares are in the order of their ids, rows in that of their entities, over all pages of all listings."""
    sharing = read(usual())

    assert [(s.id, entities(s.images), entities(s.targets)) for s in sharing.shares] == [
        ("rs-a", ["m-1", "m-2", "m-3"], ["fd-0", "fd-1"]),
        ("rs-b", ["m-1"], ["rd-1"]),
        ("rs-c", ["m-3"], ["1000000000000005"]),
        ("rs-d", [], []),
    ]
    assert sharing.enabled is True


def test_three_listings_are_read_whatever_the_number_of_shares() -> None:
    """Pages are asked for once; the shares come before their rows, and known ones that are listed are not asked for."""
    service = usual()

    read(service, "a", "b", "c", "d")

    assert service.calls == ["enabled", "shares", "shares", *["Resource"] * 3, *["Target"] * 2]
    assert service.asked == []


def test_nothing_shared_is_nothing_read() -> None:
    """An owner without shares has none, and sharing may be switched off."""
    assert read(FakeShares(enabled=False)) == Sharing((), enabled=False)


@given(st.lists(st.tuples(st.sampled_from(LIVE + OVER), st.integers(0, 3)), min_size=1, max_size=6))
def test_a_row_that_may_give_access_is_never_hidden_by_one_that_is_over(rows: list[tuple[str, int]]) -> None:
    """Of all rows of one entity a live one is kept if there is any, else the newest; in whatever order they come."""
    associations = [row("m-1", status, f"2026-11-0{day}") for status, day in rows]

    (kept,) = read(FakeShares([share("a")], images=[("a", one) for one in associations])).shares[0].images

    live = [one for one in associations if one.live]
    assert kept in (live or associations)
    assert kept.firm is (bool(live) and all(one.firm for one in live))
    assert live or kept.created == max(one.created for one in associations)


@given(st.permutations([("Disassociated", "1"), ("Failed", "2"), ("Associating", "3"), ("Associated", "4")]))
def test_the_order_of_rows_means_nothing(rows: list[tuple[str, str]]) -> None:
    """The same rows in another order are the same reading."""
    targets = [("a", row("fd-1", status, created)) for status, created in rows]

    assert read(FakeShares([share("a")], targets=targets)).shares[0].targets == (row("fd-1", "Associating", "3"),)


def test_two_live_rows_of_one_entity_let_nobody_be_sure() -> None:
    """Beside a row that stands, one that is under way is kept, because what it will end in is not known."""
    images = [("a", row("m-1", "Disassociating", "1")), ("a", row("m-1", "Associated", "2"))]

    (kept,) = read(FakeShares([share("a")], images=images)).shares[0].images

    assert kept.status == "Disassociating"


def test_rows_that_differ_only_in_status_are_two_rows() -> None:
    """A row that changed between two pages is not taken out of the reading by its later self."""
    images = [("a", row("m-1", "Associated")), ("a", row("m-2")), ("a", row("m-1", "Disassociated"))]

    kept = read(FakeShares([share("a")], images=images)).shares[0].images[0]

    assert kept.status == "Associated"


def test_why_and_when_an_association_failed_is_kept() -> None:
    """The newest failure is there with its text, an older one is not."""
    images = [("a", row("m-1", "Failed", "1", "old")), ("a", row("m-1", "Failed", "2", "no such image"))]

    (kept,) = read(FakeShares([share("a")], images=images)).shares[0].images

    assert (kept.created, kept.failure) == ("2", "no such image")


def test_a_deleted_share_without_live_rows_is_left_out() -> None:
    """What gives no access any more is nobody's matter; a share that is being deleted still is."""
    service = FakeShares(
        [share("a", "Deleted"), share("b", "Deleting"), share("c", "Pending"), share("d", "Deleted")],
        images=[("a", row("m-1", "Disassociated")), ("b", row("m-1", "Disassociated"))],
        targets=[("a", row("fd-1", "Failed"))],
    )

    assert [s.id for s in read(service, "a").shares] == ["rs-b", "rs-c"]


@pytest.mark.parametrize("status", LIVE)
def test_a_deleted_share_with_a_live_row_is_kept(status: str) -> None:
    """As long as one row may give access the share is read, whatever it says of itself."""
    as_image = FakeShares([share("a", "Deleted")], images=[("a", row("m-1", status))])
    as_target = FakeShares([share("a", "Deleted")], targets=[("a", row("fd-1", status))])

    assert [s.id for s in (*read(as_image).shares, *read(as_target).shares)] == ["rs-a", "rs-a"]


SHARES = st.sampled_from([share(name, status) for name in "abc" for status in ("Active", "Deleting", "Deleted")])
ROWS = st.tuples(
    st.sampled_from("abc"),
    st.builds(row, st.sampled_from(["m-1", "m-2"]), st.sampled_from(LIVE + OVER), st.sampled_from("123")),
)


@given(st.lists(SHARES, unique_by=lambda one: one.id), st.lists(ROWS), st.lists(ROWS))
def test_nothing_that_may_give_access_is_ever_left_out(
    shares: list[ResourceShare], images: list[tuple[str, Association]], targets: list[tuple[str, Association]]
) -> None:
    """Every live row and every share that is not deleted is in the reading, or there is no reading."""
    listed = {one.id for one in shares}
    live = {(f"rs-{of}", "image", one.entity) for of, one in images if one.live}
    live |= {(f"rs-{of}", "target", one.entity) for of, one in targets if one.live}
    service = FakeShares(shares, images=images, targets=targets)

    try:
        sharing = read(service)
    except IncompleteRead:
        assert {of for of, _, _ in live} - listed
        return

    found = {(s.id, "image", one.entity) for s in sharing.shares for one in s.images if one.live}
    found |= {(s.id, "target", one.entity) for s in sharing.shares for one in s.targets if one.live}
    assert found == live
    assert {s.id for s in sharing.shares} == {one.id for one in shares if one.live} | {of for of, _, _ in live}


def test_a_share_that_was_made_meanwhile_is_read_again() -> None:
    """Rows of a share that the listing does not show yet are no error if a later listing shows it."""
    service = FakeShares([share("a")], images=[("new", row("m-1"))], late=[share("new")], late_from=4)

    sharing = read(service)

    assert [s.id for s in sharing.shares] == ["rs-a", "rs-new"]
    assert entities(sharing.shares[1].images) == ["m-1"]
    assert service.readings == 4


@pytest.mark.parametrize("kind", ["images", "targets"])
def test_rows_of_a_share_that_is_never_listed_make_the_reading_incomplete(kind: str) -> None:
    """A listing without a share that has live rows is not believed, after three readings more."""
    rows = [(name, row("x")) for name in ("e", "b", "c", "d")]
    images, targets = (rows, []) if kind == "images" else ([], rows)
    service = FakeShares([share("a")], images=images, targets=targets)

    with pytest.raises(IncompleteRead, match=r"rs-b, rs-c, rs-d and 1 more not listed.*in each of 4 readings"):
        read(service)

    assert service.readings == 4


@pytest.mark.parametrize("status", OVER)
def test_rows_that_are_over_need_no_share(status: str) -> None:
    """Rows stay listed for days, and the share that they were in may be forgotten before them."""
    service = FakeShares([share("a")], images=[("gone", row("m-1", status))])

    assert [s.id for s in read(service).shares] == ["rs-a"]
    assert service.readings == 1


def test_a_known_share_that_exists_and_is_not_listed_makes_the_reading_incomplete() -> None:
    """The ledger's shares are asked for by their ids before absence is believed; the first that exists decides."""
    service = FakeShares([share("a")], hidden=[share("lost"), share("more")])

    with pytest.raises(IncompleteRead, match="rs-lost exists, but is not listed"):
        read(service, "a", "lost", "more")

    assert service.asked == ["rs-lost"]


@pytest.mark.parametrize("hidden", [[], [share("gone", "Deleted")]])
def test_a_known_share_that_is_gone_is_no_mistake_of_the_listing(hidden: list[ResourceShare]) -> None:
    """A share of the ledger that does not exist, or is deleted, may be missing in the listing."""
    service = FakeShares([share("a")], hidden=hidden)

    assert [s.id for s in read(service, "a", "gone").shares] == ["rs-a"]
    assert service.asked == ["rs-gone"]


@pytest.mark.parametrize("status", ["Active", "Pending", "Deleting"])
def test_an_empty_listing_is_not_believed_when_a_known_share_exists(status: str) -> None:
    """A listing that shows nothing at all is contradicted by one share that is there in any form."""
    with pytest.raises(IncompleteRead):
        read(FakeShares(hidden=[share("a", status)]), "a")


def test_shares_that_the_cloud_calls_deleted_are_named() -> None:
    """By their rows in the listing or, where a known one is not listed, by its id; of others nothing is said."""
    service = FakeShares([share("a"), share("b", "Deleted"), share("c", "Deleted")], hidden=[share("d", "Deleted")])
    assert read(service, "a", "b", "d", "e").deleted == {"rs-b", "rs-c", "rs-d"}


def hiding(*unlisted: Association, alone_from: int = 1) -> FakeShares:
    """A share with three images and a target, some of which no listing shows, and another one."""
    return FakeShares(
        [share("a"), share("b")],
        images=[("a", row("m-1")), ("a", row("m-2")), ("a", row("m-3")), ("b", row("m-2"))],
        targets=[("a", row("fd-1")), ("b", row("fd-1"))],
        unlisted=unlisted,
        alone_from=alone_from,
    )


def expecting(*entities: str) -> dict[str, dict[str, str]]:
    """What the ledger has of the first share."""
    return {"rs-a": dict.fromkeys(entities, "2026-11-01")}


@pytest.mark.parametrize("entity", ["m-3", "fd-1"])
def test_a_row_of_ours_that_is_there_and_not_listed_shows_that_the_listing_lies(entity: str) -> None:
    """It is asked for alone after each listing that lacks it; then nothing is concluded from any of them."""
    service = hiding(row(entity))
    why = f"{entity} is in rs-a, which a question for it alone shows, and it is not listed, in each of 4 readings"

    with pytest.raises(IncompleteRead, match=why):
        read_sharing(service, SHARD, (), expecting("m-1", "m-3", "fd-1"))

    alone = f"Resource {entity}" if entity == "m-3" else f"Target {entity}"
    assert [call for call in service.calls if " " in call] == [alone] * 4


def test_one_answer_that_lacks_a_row_of_ours_is_not_believed_either() -> None:
    """What makes every second answer wrong may hit the listing and the first question for the row alone."""
    service = hiding(row("m-3"), alone_from=2)

    with pytest.raises(IncompleteRead, match="m-3 is in rs-a"):
        read_sharing(service, SHARD, (), expecting("m-1", "m-2", "m-3"))

    assert read_sharing(hiding(row("m-3"), alone_from=3), SHARD, (), expecting("m-1", "m-2", "m-3")).shares


def test_a_row_of_ours_that_nobody_shows_is_not_there() -> None:
    """It is not listed, and not there for who asks for it alone; one of a share that is not listed is not asked for."""
    service = hiding()
    expected = {**expecting("m-1", "m-9", "1000000000000009"), "rs-gone": {"m-8": ""}}

    sharing = read_sharing(service, SHARD, (), expected)

    assert entities(sharing.shares[0].images) == ["m-1", "m-2", "m-3"]
    assert [call for call in service.calls if " " in call] == [
        *["Resource m-9"] * 2, *["Target 1000000000000009"] * 2,
    ]  # fmt: skip


def test_a_row_of_ours_that_is_listed_as_over_is_over_if_it_is_the_same() -> None:
    """An older row of the same image says nothing of the one that we made."""
    over = [("a", row("m-1", "Disassociated", "2026-11-01")), ("a", row("m-2", "Disassociated", "2026-10-01"))]
    service = FakeShares([share("a")], images=[*over, ("a", row("m-3", "Failed", "2026-11-01"))])

    read_sharing(service, SHARD, (), expecting("m-1", "m-2", "m-3"))

    assert [call for call in service.calls if " " in call] == ["Resource m-2"] * 2


def test_the_first_that_are_missing_are_asked_for_alone() -> None:
    """Thousands of images that somebody took out of a share are not thousands of calls."""
    service = FakeShares([share("a")])

    read_sharing(service, SHARD, (), expecting(*(f"m-{number:03}" for number in range(90))))

    twice = [f"Resource m-{number:03}" for number in range(20) for _ in range(2)]
    assert [call for call in service.calls if " " in call] == twice
