"""Sharing one image through the SDK: who was served, who was refused, and what that says when answers are lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.ecs import models
from localcloud.ecs.errors import ERRORS
from localcloud.errors import ApiError
from localcloud.inprocess import in_process
from orgshare.errors import NoAnswer, TryAgain
from orgshare.execute.sharing import Batches, Outcome, Work, carry_out
from orgshare.words import Shard
from tests.support.trial import MANAGEMENT, OWNER, REGION, Trial, world

SHARD = Shard("ecs", OWNER, REGION)
IMAGE = "m-gold"
SHARE, READ = "ecs:ModifyImageSharePermission", "ecs:DescribeImageSharePermission"
ACCOUNTS = tuple(str(4000000000000000 + n) for n in range(40))
UNKNOWN = tuple(str(4900000000000000 + n) for n in range(5))
Calls = list[tuple[tuple[str, ...], tuple[str, ...]]]


class Sharing(NamedTuple):
    """One image that some accounts have, and the calls that are made to share it."""

    trial: Trial
    calls: Calls

    def carry_out(self, add: tuple[str, ...] = (), remove: tuple[str, ...] = (), *, quota: int = 50) -> Outcome:
        """Do it through the SDK; ``rows`` are those that there are."""
        service = self.trial.runtime().cloud.images(SHARD)
        share = service.share

        def noted(image: str, *, add: Any, remove: Any) -> None:
            self.calls.append((tuple(add), tuple(remove)))
            share(image, add=add, remove=remove)

        service.share = noted  # type: ignore[method-assign]
        return carry_out(service, Work(IMAGE, add, remove, rows=len(self.have()), quota=quota))

    def have(self) -> set[str]:
        return self.trial.access()[IMAGE]

    def fault(self, operation: str, kind: str, **more: Any) -> None:
        self.trial.patch(faults=[{"operation": operation, "kind": kind, **(more or {"every": 1})}])


@contextmanager
def sharing(have: tuple[str, ...] = (), **options: Any) -> Iterator[Sharing]:
    """Forty members, five accounts that do not exist, and an image that these accounts have."""
    members = {account: {"name": f"n{account[-2:]}", "folder": "root"} for account in ACCOUNTS}
    made = world(**options)
    made["directory"] = {
        "id": "rd-trial", "management": MANAGEMENT, "sharing_enabled": True, "folders": {},
        "members": {**members, OWNER: {"name": "images", "folder": "root"}},
    }  # fmt: skip
    made["grants"] = {IMAGE: list(have)}
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), world=made)
        with in_process(trial.cloud, sleep=lambda _: None):
            yield Sharing(trial, [])


@pytest.fixture
def shared() -> Iterator[Callable[..., Sharing]]:
    """Make images that accounts have, as often as a test asks."""
    with ExitStack() as stack:
        yield lambda *have, **options: stack.enter_context(sharing(tuple(have), **options))


def test_a_call_carries_ten_of_each_and_the_result_is_read_once(shared: Callable[..., Sharing]) -> None:
    """Twenty-five to add and twelve to remove go in three calls."""
    s = shared(*ACCOUNTS[25:37])
    outcome = s.carry_out(ACCOUNTS[:25], ACCOUNTS[25:37])
    assert s.have() == set(ACCOUNTS[:25])
    assert [(len(add), len(remove)) for add, remove in s.calls] == [(10, 10), (10, 2), (5, 0)]
    assert outcome.accepted == set(ACCOUNTS[:25])
    assert outcome.revoked == set(ACCOUNTS[25:37])
    assert s.trial.cloud.calls[READ] == 1


def test_more_than_ten_in_a_call_is_a_defect_and_never_sent(shared: Callable[..., Sharing]) -> None:
    """The service would drop the eleventh without a word."""
    service = shared().trial.runtime().cloud.images(SHARD)
    with pytest.raises(ValueError, match="at most 10 of each"):
        service.share(IMAGE, add=ACCOUNTS[:11], remove=())


def test_removals_go_first_and_alone_where_both_together_would_pass_the_quota(shared: Callable[..., Sharing]) -> None:
    """Whether places that a call frees count for its own additions is not documented."""
    s = shared(*ACCOUNTS[:5], quotas={"accounts_per_image": 5})
    outcome = s.carry_out(ACCOUNTS[10:12], ACCOUNTS[:2], quota=5)
    assert s.calls == [((), ACCOUNTS[:2]), (ACCOUNTS[10:12], ())]
    assert s.have() == {*ACCOUNTS[2:5], *ACCOUNTS[10:12]}
    assert outcome.refused == ()


def test_a_quota_that_another_one_filled_meanwhile_is_met_by_removing_first(shared: Callable[..., Sharing]) -> None:
    """A call with both that is refused is taken apart."""
    s = shared(*ACCOUNTS[:5], quotas={"accounts_per_image": 5})
    outcome = s.carry_out(ACCOUNTS[10:12], ACCOUNTS[:2], quota=50)
    assert s.have() == {*ACCOUNTS[2:5], *ACCOUNTS[10:12]}
    assert (outcome.refused, outcome.failed) == ((), None)


@pytest.mark.parametrize("partial", ["none", "some"])
@pytest.mark.parametrize("culprits", [(3,), (0, 9), (4, 5), (0, 1, 2, 3, 4)])
def test_culprits_are_named_and_the_others_served(
    shared: Callable[..., Sharing], culprits: tuple[int, ...], partial: str
) -> None:
    """One, two neighbours, both ends, or half of a batch, whether a refused call serves a part or not."""
    add = list(ACCOUNTS[:10])
    for number, place in enumerate(culprits):
        add[place] = UNKNOWN[number]
    s = shared(switches={"partial_apply": partial})
    outcome = s.carry_out(tuple(add))
    assert s.have() == set(add) - set(UNKNOWN)
    assert outcome.accepted == set(add) - set(UNKNOWN)
    assert {a: e.code for a, e in outcome.refused} == dict.fromkeys(UNKNOWN[: len(culprits)], "InvalidAccount.NotFound")
    assert outcome.failed is None


@pytest.mark.parametrize("both", ["add", "remove"])
def test_an_account_that_cannot_be_removed_spares_no_other(
    shared: Callable[..., Sharing], monkeypatch: pytest.MonkeyPatch, both: str
) -> None:
    """It is named, the others lose the image, and who is to have it gets it in spite of it."""
    s = shared(*ACCOUNTS[:3], switches={"add_and_remove": both})
    s.trial.patch(outsiders=[*s.trial.cloud.world().outsiders, UNKNOWN[0]])
    s.trial.grant_by_hand(IMAGE, UNKNOWN[0])
    known = models.Sharing._unknown

    def unknown(self: models.Sharing, account: str) -> ApiError | None:
        if account == UNKNOWN[0]:
            return ERRORS.error("InvalidAccount.NotFound", account=account)
        return known(self, account)

    monkeypatch.setattr(models.Sharing, "_unknown", unknown)
    outcome = s.carry_out(ACCOUNTS[10:13], (*ACCOUNTS[:2], UNKNOWN[0]))
    assert s.have() == {ACCOUNTS[2], *ACCOUNTS[10:13], UNKNOWN[0]}
    assert [(account, error.code) for account, error in outcome.unremovable] == [
        (UNKNOWN[0], "InvalidAccount.NotFound")
    ]
    assert outcome.revoked == set(ACCOUNTS[:2])
    assert (outcome.refused, outcome.failed) == ((), None)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"encryption": "service-key"}, "InvalidOperation.ServiceKeyEncryptedImageUnsupported"),
        ({"encryption": "cmk"}, "AssumeRoleError"),
        ({"status": "Deprecated"}, "OperationDenied.InvalidImageStatus"),
        ({"public": True}, "Image.Public"),
    ],
)
def test_a_refusal_that_speaks_of_the_image_is_not_halved(
    shared: Callable[..., Sharing], changed: dict[str, Any], code: str
) -> None:
    """It is everybody's, and one call was enough to learn it."""
    s = shared()
    s.trial.patch(images={IMAGE: changed})
    outcome = s.carry_out(ACCOUNTS[:8])
    assert len(s.calls) == 1
    assert {(account, error.code) for account, error in outcome.refused} == {
        (account, code) for account in ACCOUNTS[:8]
    }


def test_a_deprecated_image_that_cannot_be_unshared_says_so(shared: Callable[..., Sharing]) -> None:
    """Nobody documents whether it can; where it cannot, nothing is said to be removed."""
    s = shared(*ACCOUNTS[:3], switches={"deprecated_removal": "error"})
    s.trial.patch(images={IMAGE: {"status": "Deprecated"}})
    outcome = s.carry_out((), ACCOUNTS[:2])
    assert not outcome.revoked | outcome.gone
    assert {account for account, _ in outcome.unremovable} == set(ACCOUNTS[:2])


def test_free_places_go_by_sorted_id_and_the_left_out_are_named(shared: Callable[..., Sharing]) -> None:
    """The quota of the cloud is smaller than the policy says."""
    s = shared(*ACCOUNTS[20:24], quotas={"accounts_per_image": 7})
    outcome = s.carry_out(ACCOUNTS[:10])
    assert s.have() == {*ACCOUNTS[20:24], *ACCOUNTS[:3]}
    assert [(account, error.code) for account, error in outcome.refused] == [
        (account, "QuotaExceed.ShareImageUser") for account in ACCOUNTS[3:10]
    ]


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "error"])
def test_after_an_answer_that_was_lost_only_what_is_missing_is_sent_again(
    shared: Callable[..., Sharing], kind: str
) -> None:
    """Carried out or not: the reading tells, and removals go before additions."""
    s = shared(*ACCOUNTS[:3])
    s.fault(SHARE, kind, times=1)
    outcome = s.carry_out(ACCOUNTS[10:12], ACCOUNTS[:2])
    assert s.have() == {ACCOUNTS[2], *ACCOUNTS[10:12]}
    both = (ACCOUNTS[10:12], ACCOUNTS[:2])
    again: Calls = [] if kind == "lost-answer" else [((), ACCOUNTS[:2]), (ACCOUNTS[10:12], ())]
    assert s.calls == [both, *again]
    assert outcome.accepted == set(ACCOUNTS[10:12])
    assert outcome.revoked | outcome.gone == set(ACCOUNTS[:2])
    assert bool(outcome.gone) is (kind == "lost-answer")


def test_a_cloud_that_never_answers_is_given_up_and_said_so(shared: Callable[..., Sharing]) -> None:
    """Nobody is said to be served."""
    s = shared(*ACCOUNTS[:3])
    s.fault(SHARE, "no-answer")
    outcome = s.carry_out(ACCOUNTS[10:12], ACCOUNTS[:2])
    assert isinstance(outcome.failed, NoAnswer)
    assert not outcome.accepted | outcome.revoked | outcome.gone
    assert outcome.refused == ()
    assert s.have() == set(ACCOUNTS[:3])


def test_a_throttled_call_was_not_carried_out_and_is_repeated_without_reading(shared: Callable[..., Sharing]) -> None:
    """Until it is let through, or given up."""
    s = shared()
    s.fault(SHARE, "throttle", times=3)
    assert s.carry_out(ACCOUNTS[:2]).accepted == set(ACCOUNTS[:2])
    assert s.trial.cloud.calls[READ] == 1
    s.fault(SHARE, "throttle")
    failed = s.carry_out(ACCOUNTS[2:4])
    assert isinstance(failed.failed, TryAgain)
    assert not failed.accepted


def test_a_reading_that_fails_after_the_calls_is_said_to_be_missing(shared: Callable[..., Sharing]) -> None:
    """What was accepted stays accepted."""
    s = shared()
    s.fault(READ, "malformed")
    outcome = s.carry_out(ACCOUNTS[:2])
    assert outcome.accepted == set(ACCOUNTS[:2])
    assert outcome.grants is None
    assert outcome.failed is not None


FAULTS = st.lists(
    st.sampled_from(["lost-answer", "no-answer", "error", "throttle", "malformed"]).flatmap(
        lambda kind: st.sampled_from([SHARE, READ, "*"]).flatmap(
            lambda operation: st.integers(2, 5).map(lambda n: {"operation": operation, "kind": kind, "every": n})
        )
    ),
    max_size=2,
)
SWITCHES = st.fixed_dictionaries(
    {
        "repeated_add": st.sampled_from(["ok", "error", "refresh"]),
        "add_and_remove": st.sampled_from(["add", "remove"]),
        "partial_apply": st.sampled_from(["none", "some"]),
        "over_ten": st.sampled_from(["first", "ignored"]),
        "aliyun_id": st.sampled_from(["string", "number"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    have=st.sets(st.sampled_from(ACCOUNTS), max_size=25),
    add=st.sets(st.sampled_from(ACCOUNTS + UNKNOWN), max_size=25),
    removes=st.integers(0, 25),
    quota=st.integers(1, 40),
    said=st.sampled_from([0, 5, 50]),
    faults=FAULTS,
    switches=SWITCHES,
)
def test_what_an_outcome_says_is_what_the_cloud_has(
    have: set[str],
    add: set[str],
    removes: int,
    quota: int,
    said: int,
    faults: list[dict[str, Any]],
    switches: dict[str, Any],
) -> None:
    """Whatever fails on the way, nobody else is touched, and everybody is served, refused, or given up with a cause."""
    quota = max(quota, len(have))
    to_remove = tuple(sorted(have))[:removes]
    to_add = tuple(sorted(add - have))
    with sharing(tuple(have), switches=switches, quotas={"accounts_per_image": quota}) as s:
        s.trial.patch(faults=faults)
        outcome = s.carry_out(to_add, to_remove, quota=max(quota, said))
        now = s.have()
    removed = outcome.revoked | outcome.gone
    refused, unremovable = dict(outcome.refused).keys(), dict(outcome.unremovable).keys()
    assert have - set(to_remove) <= now <= have | set(to_add)
    assert outcome.accepted <= now
    assert not removed & now
    assert not refused & now
    assert unremovable <= now
    assert not outcome.accepted & refused
    assert not removed & unremovable
    if outcome.failed is None:
        assert outcome.accepted | refused == set(to_add)
        assert removed | unremovable == set(to_remove)
        assert outcome.grants is not None
        assert {grant.account for grant in outcome.grants} == now
    if not faults:
        assert outcome.failed is None
        assert now >= set(to_add) - set(UNKNOWN) or len(now) == quota


# --- where it has to be found out how many accounts a call takes

DESKS = Shard("eds", OWNER, "all")
DESK = "m-desk"


def desk_sharing(
    shared: Callable[..., Sharing], batches: Batches, *have: str, **options: Any
) -> tuple[Sharing, Callable[..., Outcome]]:
    """An image of that service, and how work on it is carried out; calls are noted."""
    image = {"service": "eds", "owner": OWNER, "region": REGION, "name": "desk"}
    s = shared(images={IMAGE: {"owner": OWNER, "region": REGION, "name": "gold"}, DESK: image}, **options)
    s.trial.patch(grants={DESK: list(have)})
    service = s.trial.runtime().cloud.images(DESKS)
    share = service.share

    def noted(image: str, *, add: Any, remove: Any) -> None:
        s.calls.append((tuple(add), tuple(remove)))
        share(image, add=add, remove=remove)

    service.share = noted  # type: ignore[method-assign]

    def carry(add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Outcome:
        return carry_out(service, Work(DESK, add, remove, rows=0, quota=50, batches=batches))

    return s, carry


def test_several_in_one_call_that_are_accepted_settle_the_question(shared: Callable[..., Sharing]) -> None:
    """A later refusal is halved down to its culprit, as everywhere."""
    s, carry = desk_sharing(shared, batches := Batches())
    carry(ACCOUNTS[:10])
    outcome = carry((*ACCOUNTS[10:17], UNKNOWN[0]))
    assert s.trial.access()[DESK] == set(ACCOUNTS[:17])
    assert [account for account, _ in outcome.refused] == [UNKNOWN[0]]
    assert (batches.most, batches.doubted) == (10, False)
    assert [len(add) for add, _ in s.calls] == [10, 8, 4, 4, 2, 2, 1, 1]


def test_several_in_one_call_that_are_refused_go_one_by_one_from_then_on(shared: Callable[..., Sharing]) -> None:
    """All of them were served alone, so the number was the cause; removals go like that, too."""
    refusing = {"switches": {"eds_several_at_once": "refused"}}
    s, carry = desk_sharing(shared, batches := Batches(), *ACCOUNTS[20:24], **refusing)
    first = carry(ACCOUNTS[:12])
    second = carry((), ACCOUNTS[20:24])
    assert s.trial.access()[DESK] == set(ACCOUNTS[:12])
    assert first.accepted == set(ACCOUNTS[:12])
    assert second.revoked == set(ACCOUNTS[20:24])
    assert (first.refused, second.unremovable, batches.most) == ((), (), 1)
    assert [len(add) + len(remove) for add, remove in s.calls] == [10, *[1] * 16]


def test_a_culprit_among_the_first_leaves_the_question_open(shared: Callable[..., Sharing]) -> None:
    """It may have been the cause; the next batch is tried whole."""
    s, carry = desk_sharing(shared, batches := Batches())
    outcome = carry((*ACCOUNTS[:4], UNKNOWN[0], *ACCOUNTS[4:12]))
    assert s.trial.access()[DESK] == set(ACCOUNTS[:12])
    assert [account for account, _ in outcome.refused] == [UNKNOWN[0]]
    assert batches.most == 10
    assert [len(add) for add, _ in s.calls] == [10, *[1] * 10, 3]


def test_an_answer_lost_one_by_one_is_read_back(shared: Callable[..., Sharing]) -> None:
    """Nobody is taken for refused whose call was carried out."""
    refusing = {"switches": {"eds_several_at_once": "refused", "repeated_add": "error"}}
    s, carry = desk_sharing(shared, Batches(), **refusing)
    s.fault("ecd:ModifyImagePermission", "lost-answer", every=3)
    outcome = carry(ACCOUNTS[:7])
    assert s.trial.access()[DESK] == set(ACCOUNTS[:7])
    assert outcome.accepted == set(ACCOUNTS[:7])
    assert (outcome.refused, outcome.failed) == ((), None)
