"""A person is told: by the functions, once, daily while it stands, in words that say what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from localcloud.inprocess import in_process
from orgshare import handling
from orgshare.alibaba.directory import ResourceDirectory
from orgshare.errors import NotPermitted, TryAgain, VendorError
from orgshare.handling import Unfinished
from orgshare.ports import Page
from orgshare.record.store import DirectoryStore
from orgshare.signals import Signal, worker_request
from orgshare.signals.model import ImageAt
from orgshare.words import Member, Shard
from tests.support.fanned import Fanned
from tests.support.trial import (
    MANAGEMENT,
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    A,
    B,
    C,
    D,
    Trial,
    policy,
    rule,
    world,
)

TOPIC = f"acs:mns:{REGION}:{OWNER}:/topics/alerts"
BOXES = {"topics/alerts": {"owner": OWNER, "region": REGION}}
SWEEP = b'{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}'
CONTEXT = SimpleNamespace(request_id="1-65", function=SimpleNamespace(timeout=600))
HERE = f"ecs/{OWNER}/{REGION}"
HOUR = 3600


class Told(list[dict[str, Any]]):
    """The matters of one message, with its text."""

    text: str = ""


class Deployment:
    """A trial whose functions tell a topic."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._seen = 0

    def sweep(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(handling.reconcile(SWEEP, CONTEXT))
        return report

    def after(self, hours: float) -> list[Told]:
        """What is told by a sweep after some hours."""
        self.trial.cloud.advance(hours * HOUR)
        with suppress(Unfinished):
            self.sweep()
        return self.told()

    def told(self) -> list[Told]:
        """What was told since this was asked last; each message ends with its JSON."""
        messages = self.trial.cloud.messages("topics/alerts")
        found = []
        for message in messages[self._seen :]:
            text, _, document = message.body.rpartition("\n\n")
            told = Told(json.loads(document)["matters"])
            told.text = text
            found.append(told)
        self._seen = len(messages)
        return found


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Deployment]]:
    """Make deployments whose time is the local cloud's."""
    with ExitStack() as stack:

        def make(**options: Any) -> Deployment:
            of_world = {**world(mailboxes=BOXES), **options.pop("world", {})}
            trial = Trial(tmp_path, world=of_world, policy=policy(**options))
            trial.begin()
            stack.enter_context(in_process(trial.cloud, sleep=lambda _: None))
            monkeypatch.setattr("orgshare.wiring.utc_now", trial.now)
            monkeypatch.setattr("orgshare.wiring.time", SimpleNamespace(sleep=lambda _: None, monotonic=monotonic))
            for name, value in {
                "ORGSHARE_POLICY": str(tmp_path / "policy.yaml"),
                "ORGSHARE_LOCAL_CLOUD": "http://127.0.0.1:9",
                "ORGSHARE_NOTICES": TOPIC,
                "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
            }.items():
                monkeypatch.setenv(name, value)
            return Deployment(trial)

        yield make


def test_nothing_is_told_where_all_is_well(deployment: Callable[..., Deployment]) -> None:
    """Nobody hears of a run that did its work, and nothing is written down about telling."""
    made = deployment()
    assert made.after(0) == made.after(24) == []
    assert not (made.trial.folder / "state" / "notices").exists()


def test_a_hold_is_told_once_and_daily(deployment: Callable[..., Deployment]) -> None:
    """With what would be lost, and the commands; it ends with the hold, and a hold is no failure."""
    made = deployment()
    made.sweep()
    made.trial.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    ((held,), *_) = [first := made.after(1)[0]]
    assert (held["kind"], held["new"]) == ("held", True)
    (hold,) = made.trial.state().guard().holds
    assert first.text.splitlines() == [
        "orgshare trial: 1 matter for a person: 1 new",
        f"organization rd-trial, mode enforce, run {first_run(first)}, 2026-11-21T13:00:00Z",
        "",
        f"1. HELD (new): 6 pairs of image and account would be lost: {hold.why}",
        "   where: m-bronze, m-gold, m-silver",
        f"   what to do: nothing happens until you decide: «orgshare holds {hold.id}» shows who is meant, «orgshare "
        f"approve ID» lets it happen, «orgshare reject ID» leaves it as it is; the ids: {hold.id}",
    ]
    assert [made.after(hours) for hours in (1, 6, 16)] == [[], [], []]
    ((again,),) = made.after(1)
    assert (again["key"], again["new"], again["since"]) == (held["key"], False, "2026-11-21T13:00:00Z")
    made.trial.approve_all()
    assert made.after(1) == []
    assert made.trial.access()["m-gold"] == {C, D}


def first_run(told: Told) -> str:
    return told.text.splitlines()[1].split("run ")[1].split(",")[0]


def test_a_part_of_a_hold_is_no_new_matter(deployment: Callable[..., Deployment]) -> None:
    """An event of one image sees a part of what is held; nobody is told once more."""
    made = deployment()
    made.sweep()
    made.trial.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    assert len(made.after(1)) == 1
    of_one = Signal(images=frozenset({ImageAt("m-gold", REGION, OWNER)}), why=("an event",))
    request = worker_request(of_one)
    handling.worker(request.encode(), CONTEXT)
    assert made.told() == []
    assert made.after(1) == []


def test_a_refusal_is_told(deployment: Callable[..., Deployment]) -> None:
    """Who is left out, why, and how to mend it; many accounts are counted."""
    made = deployment(world={"quotas": {"accounts_per_image": 1}}, owners=[
        {"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 1}},
    ])  # fmt: skip
    (told,) = made.after(0)
    assert {(row["kind"], row["where"]) for row in told} == {
        ("refused", f"{image} in {HERE}") for image in ("m-gold", "m-silver", "m-bronze")
    }
    assert told[0]["what"].startswith("over-quota: 1 account do not get it (")
    assert made.after(1) == []


def test_an_image_that_is_being_made_wakes_nobody(deployment: Callable[..., Deployment]) -> None:
    """It is refused until it is available; only one that stays so is told."""
    made = deployment()
    made.trial.patch(images={"m-gold": {"status": "Creating"}})
    assert made.after(0) == made.after(0.5) == []
    made.trial.patch(images={"m-gold": {"status": "Available"}})
    assert made.after(1) == []
    made.trial.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"},
                                       "status": "Creating"}})  # fmt: skip
    assert made.after(1) == []
    ((row,),) = made.after(1)
    assert row["what"].startswith("not-available: ")


def test_an_unread_shard_is_told_when_it_stays_unread(deployment: Callable[..., Deployment]) -> None:
    """Not by the first run, nor by its retries minutes later; once it is read, it is forgotten."""
    made = deployment()
    fault = {"operation": "ecs:DescribeImages", "kind": "error", "code": "Forbidden.RAM", "status": 403, "every": 1}
    made.trial.patch(faults=[fault])
    assert made.after(0) == made.after(0.05) == made.after(0.1) == []
    ((row,),) = made.after(1)
    assert (row["kind"], row["where"]) == ("unread", f"shard {HERE}")
    assert "«orgshare doctor»" in row["do"]
    assert made.after(1) == []
    made.trial.patch(faults=[])
    assert made.after(1) == []
    made.trial.patch(faults=[fault])
    assert made.after(1) == []
    assert len(made.after(1)) == 1


def test_a_failure_is_told_at_once(deployment: Callable[..., Deployment]) -> None:
    """A change that was not carried out, though it was tried again; the handler raises, so that it is retried."""
    made = deployment()
    made.trial.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}])
    with pytest.raises(Unfinished):
        made.sweep()
    (told,) = made.told()
    assert {row["kind"] for row in told} == {"failed"}
    assert told[0]["where"] == f"grant of m-bronze in {HERE}"
    with pytest.raises(Unfinished):
        made.sweep()
    assert made.told() == []


def test_what_cannot_be_revoked_and_what_is_orphaned_are_told(deployment: Callable[..., Deployment]) -> None:
    """The account that a revoke is refused for, and the shard that the policy dropped."""
    made = deployment()
    made.sweep()
    made.trial.patch(faults=[
        {"operation": "ecs:ModifyImageSharePermission", "kind": "error", "code": "InvalidAccount.NotFound",
         "status": 404, "every": 1},
    ])  # fmt: skip
    made.trial.move(B, "fd-test")
    (told,) = made.after(1)
    assert {row["kind"] for row in told} == {"cannot-revoke"}
    assert f"m-gold {B} in {HERE}" in {row["where"] for row in told}
    made.trial.write_policy(policy(owners=[{"account": OWNER, "regions": [OTHER_REGION]}]))
    ((row,),) = made.after(1)
    assert (row["kind"], row["where"]) == ("orphaned", "the state")
    assert HERE in row["what"]


def test_a_worker_of_one_shard_ends_nothing_of_another(deployment: Callable[..., Deployment]) -> None:
    """What waits in one region is not over because a worker looked at another, so it is told once."""
    of_world = world(mailboxes=BOXES)
    of_world["images"] |= {
        f"m-far-{number}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far-{number}", "tags": {"share": "org"}}
        for number in range(3)
    }
    made = deployment(world=of_world, owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}])
    made.sweep()
    made.trial.write_policy(
        policy(
            owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}],
            rules=[rule(folders=["fd-test"], images={"tags": {"share": "org"}, "region": REGION}, name="here"),
                   rule(images={"tags": {"share": "org"}, "region": OTHER_REGION}, name="there")],
        )
    )  # fmt: skip
    assert [row["kind"] for told in made.after(1) for row in told] == ["held"]
    for region in (OTHER_REGION, REGION, OTHER_REGION):
        shard = Shard("ecs", OWNER, region)
        handling.worker(worker_request(Signal(shards=frozenset({shard}))).encode(), CONTEXT)
    assert made.told() == []


def works(made: Deployment, *regions: str, hours: float = 0) -> list[Told]:
    """What is told by workers of these regions after some hours, one after the other."""
    made.trial.cloud.advance(hours * HOUR)
    for region in regions:
        with suppress(Unfinished):
            handling.worker(worker_request(Signal(shards=frozenset({Shard("ecs", OWNER, region)}))).encode(), CONTEXT)
    return made.told()


def test_regions_that_were_read_again_are_forgotten_where_workers_are_apart(
    deployment: Callable[..., Deployment],
) -> None:
    """A shard of the owner that was looked at says so; what comes back the next day has to stand for a while anew."""
    made = deployment(owners=[{"account": OWNER, "regions": "all"}])
    made.sweep()
    fault = {"operation": "ecs:DescribeRegions", "kind": "error", "code": "Forbidden.RAM", "status": 403, "every": 1}
    for _ in range(2):
        made.trial.patch(faults=[fault])
        assert works(made, REGION, hours=24) == works(made, REGION, hours=0.5) == []
        made.trial.patch(faults=[])
        assert works(made, REGION, OTHER_REGION) == []
    made.trial.patch(faults=[fault])
    assert works(made, REGION, hours=24) == []
    ((row,),) = works(made, REGION, hours=1)
    assert row["where"] == f"shard ecs/{OWNER}/*"


def test_a_rule_that_was_mended_is_forgotten_by_any_worker(deployment: Callable[..., Deployment]) -> None:
    """Every run resolves every rule, so none that finds nothing wrong has to look at everything."""
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    made = deployment(owners=owners)
    made.sweep()
    excepting: dict[str, Any] = {"except": {"accounts": ["1999999999999999"]}}
    wrong = policy(owners=owners, rules=[rule(folders=["fd-prod"], **excepting)])
    for _ in range(2):
        made.trial.write_policy(wrong)
        assert works(made, REGION, hours=24) == works(made, OTHER_REGION, hours=0.5) == []
        made.trial.write_policy(policy(owners=owners))
        assert works(made, OTHER_REGION) == []
    made.trial.write_policy(wrong)
    assert works(made, REGION, hours=24) == []
    ((row,),) = works(made, OTHER_REGION, hours=1)
    assert row["key"].startswith("unread:rule:")


def test_a_listing_that_is_wrong_in_one_shard_is_not_over_in_another(
    deployment: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account that the listing leaves out is asked for only where it has something, so only that shard can tell."""
    here = {"tags": {"share": "org"}, "region": REGION}
    there = {"tags": {"share": "org"}, "region": OTHER_REGION}
    of_world = world(mailboxes=BOXES)
    of_world["images"] |= {
        f"m-far-{number}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far-{number}", "tags": {"share": "org"}}
        for number in range(3)
    }
    made = deployment(
        world=of_world,
        owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}],
        rules=[rule(images=here, name="here"), rule(folders=["fd-test"], images=there, name="there")],
    )
    made.sweep()
    honest = ResourceDirectory.members

    def without_a(directory: ResourceDirectory, page: int) -> Page[Member]:
        rows = tuple(row for row in honest(directory, page).rows if row.id != A)
        return Page(rows, len(rows))

    monkeypatch.setattr(ResourceDirectory, "members", without_a)
    assert works(made, REGION, OTHER_REGION) == []
    (told,) = works(made, OTHER_REGION, REGION, hours=1)
    assert {row["key"] for row in told} == {"unread:rule:here", "unread:rule:there"}
    monkeypatch.setattr(ResourceDirectory, "members", honest)
    assert works(made, REGION, OTHER_REGION) == []
    monkeypatch.setattr(ResourceDirectory, "members", without_a)
    assert works(made, REGION, OTHER_REGION, hours=24) == []


def test_a_run_that_comes_to_nothing_is_told_when_it_stays_so(deployment: Callable[..., Deployment]) -> None:
    """It raises each time, so that it is retried and delivered; the message says what to do."""
    made = deployment()
    made.trial.patch(roles={f"acs:ram::{MANAGEMENT}:role/reader": {"trusts": [PARTNER]}})
    for hours, count in ((0, 0), (0.5, 0), (0.6, 1), (1, 0)):
        made.trial.cloud.advance(hours * HOUR)
        with pytest.raises(Exception, match="NoPermission"):
            made.sweep()
        told = made.told()
        assert len(told) == count
        assert all("«orgshare doctor»" in row["do"] for one in told for row in one)
    made.trial.patch(roles={f"acs:ram::{MANAGEMENT}:role/reader": {"trusts": [OWNER]}})
    assert made.after(1) == []


def test_observe_tells_and_writes_down_only_that(deployment: Callable[..., Deployment]) -> None:
    """What would be held is told once a day, and nothing that decisions rest on is written."""
    made = deployment()
    made.sweep()
    made.trial.write_policy(policy(mode="observe", rules=[rule(folders=["fd-test"])]))
    before = objects(made)
    ((row,),) = made.after(1)
    assert row["do"].startswith("nothing happens in mode observe")
    assert made.after(1) == made.after(12) == []
    assert {name for name in objects(made) - before if not name.startswith("notices/")} == set()
    assert len(made.after(11)) == 1


def objects(made: Deployment) -> set[str]:
    folder = made.trial.folder / "state"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fault", ["no-answer", "error", "throttle-for-ever", "refused"])
def test_a_run_does_not_fail_because_nobody_can_be_told(
    deployment: Callable[..., Deployment], capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """The log says so, and the next run tells it."""
    made = deployment(owners=[{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 1}}])
    kinds: dict[str, dict[str, Any]] = {
        "no-answer": {"kind": "no-answer"},
        "error": {"kind": "error"},
        "throttle-for-ever": {"kind": "error", "code": "AccessDenied", "status": 403},
        "refused": {"kind": "error", "code": "TopicNotExist", "status": 404},
    }
    made.trial.patch(faults=[{"operation": "mns:PublishMessage", "every": 1, **kinds[fault]}])
    assert made.sweep()["failed"] == []
    assert "nobody was told; the next run tries again" in "".join(capsys.readouterr())
    assert made.told() == []
    made.trial.patch(faults=[])
    (told,) = made.after(0.1)
    assert {row["kind"] for row in told} == {"refused"}


def test_a_state_that_cannot_be_written_is_no_failure_either(
    deployment: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is told that could not be remembered: the next run tells it."""
    made = deployment(owners=[{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 1}}])
    put = DirectoryStore.put_new
    monkeypatch.setattr(
        DirectoryStore, "put_new", lambda self, name, data: not name.startswith("notices/") and put(self, name, data)
    )
    assert made.sweep()["failed"] == []
    assert "could not be remembered" in "".join(capsys.readouterr())
    assert made.told() == []


def test_a_message_is_never_too_long(deployment: Callable[..., Deployment]) -> None:
    """Of very many matters the first are named, the others counted, and none is told again the next hour."""
    many = {
        f"m-{n:04d}-{'x' * 60}": {"owner": OWNER, "region": REGION, "name": "n" * 100, "tags": {"share": "org"},
                                   "status": "Deprecated"}
        for n in range(120)
    }  # fmt: skip
    made = deployment(world={"images": many})
    (told,) = made.after(0)
    assert len(made.trial.cloud.messages()[0].body.encode()) <= 65_536
    assert 10 < len(told) < 120
    assert f"and {120 - len(told)} more: {120 - len(told)} refused; «orgshare status» shows all of them" in told.text
    assert made.after(1) == []


@pytest.mark.parametrize(("error", "hours"), [(NotPermitted("no", remedy="allow it"), 0), (TryAgain("later"), 1)])
def test_a_worker_that_cannot_be_invoked_is_told(
    trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, error: VendorError, hours: int
) -> None:
    """At once if trying again does not help, else when it stands for an hour; once, and anew when it comes back."""
    fanned = Fanned(trial())
    fanned.trial.begin()
    told: list[str] = []
    topic = SimpleNamespace(publish=told.append)
    usual = fanned.trial.runtime
    monkeypatch.setattr(fanned.trial, "runtime", lambda **of: replace(usual(**of), notices=topic))

    def refuse(request: str) -> None:
        raise error

    for _ in range(2):
        told.clear()
        fanned.invoke = refuse  # type: ignore[method-assign]
        for hour in range(4):
            assert len(told) == (hour > hours)
            fanned.timer("reconcile")
            fanned.trial.cloud.advance(HOUR)
        assert len(told) == 1
        assert (
            f"1. NO-WORKER (new): no worker could be invoked for 1 shard, so nothing is done there: {error}" in told[0]
        )
        del fanned.invoke
        fanned.sweep()
