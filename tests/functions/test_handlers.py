"""The four functions, loaded as Function Compute loads them and fed with real shapes of events."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from localcloud import LogEntry, RealClock
from localcloud.inprocess import in_process
from orgshare.errors import ConfigurationError, NoAnswer
from orgshare.handling import Unfinished
from orgshare.record.lease import Lease
from orgshare.settings import read_settings
from orgshare.signals import MalformedEvent, Signal, parse, worker_request
from orgshare.way.attending import FIRST_PARTS
from orgshare.wiring import begin_state, load_policy, make_calls, make_store
from orgshare.words import Shard
from tests.support.objects import Objects
from tests.support.trial import MANAGEMENT, OTHER_REGION, OWNER, REGION, STRANGER, A, B, Trial, policy, rule, world

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT.parent / "shared" / "events"
SAMPLES = ROOT / "localcloud" / "samples" / "events"
NAMES = ("membership", "image", "reconcile", "worker")
KEY, SECRET = "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
GOLD = "m-gold0000000000000001"
MOVED, REMOVED, CREATED, INVITED = "1000000000000005", "1000000000000006", "1000000000000015", "1000000000000016"
MORE_CREATED = ("1000000000000017", "1000000000000018")
TRAIL_BUCKET = "acme-audit-trail"


def function(name: str) -> ModuleType:
    """A function's module, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"function_{name}", ROOT / "functions" / name / "index.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context_310() -> SimpleNamespace:
    """The context of the Python 3.10 runtime: with credentials, without a logger."""
    return SimpleNamespace(
        request_id="1-65",
        credentials=SimpleNamespace(access_key_id="LOCALIMAGES", access_key_secret="local", security_token=""),
        function=SimpleNamespace(name="f", handler="index.handler", memory=512, timeout=600),
        service=SimpleNamespace(log_project="", log_store="", qualifier="LATEST", version_id=""),
        region=REGION,
        account_id=OWNER,
    )


def context_312() -> SimpleNamespace:
    """The context of the Python 3.12 runtime: no credentials, no service."""
    return SimpleNamespace(
        request_id="1-65",
        function=SimpleNamespace(name="f", handler="index.handler", memory=512, timeout=600, qualifier="LATEST"),
        region=REGION,
        account_id=OWNER,
        logger=None,
    )


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """The organization that the samples speak of, and the settings of a function in it."""
    document = world()
    document["directory"]["members"] |= {
        account: {"name": f"n{account[-2:]}", "folder": "fd-prod"} for account in (MOVED, REMOVED, CREATED, INVITED)
    }
    document["outsiders"] += MORE_CREATED
    document["buckets"] = {TRAIL_BUCKET: {"owner": OWNER, "region": REGION}}
    document["images"] = {
        f"m-gold000000000000000{n}": {
            "service": "ecs", "owner": OWNER, "region": REGION, "name": f"gold-{n}", "tags": {"share": "org"},
        }
        for n in (1, 2, 3)
    }  # fmt: skip
    members = [MOVED, REMOVED, CREATED, INVITED]
    made = Trial(tmp_path, world=document, policy=policy(rules=[rule(folders=["fd-prod"])]), clock=RealClock())
    made.leave(CREATED, INVITED)
    assert set(members) & set(made.cloud.world().outsiders) == {CREATED, INVITED}
    made.begin()
    monkeypatch.setenv("ORGSHARE_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("ORGSHARE_LOCAL_CLOUD", "http://127.0.0.1:9")
    monkeypatch.setenv(KEY, "LOCALIMAGES")
    monkeypatch.setenv(SECRET, "local")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with in_process(made.cloud, sleep=lambda _: None):
        yield made


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def handled(name: str, event: bytes, context: Any = None) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(function(name).handler(event, context or context_312()))
    return report


def has(trial: Trial, account: str) -> set[str]:
    return {image for image, accounts in trial.access().items() if account in accounts}


ALL = {f"m-gold000000000000000{n}" for n in (1, 2, 3)}


@pytest.mark.parametrize("name", NAMES)
def test_every_function_has_a_handler_and_an_initializer(trial: Trial, name: str) -> None:
    """initialize loads the SDKs and returns nothing."""
    assert function(name).initialize(context_310()) is None


def test_a_timer_sweeps_everything(trial: Trial) -> None:
    """reconcile hands everything to worker, and every image reaches everybody who should have it."""
    report = handled("reconcile", sample("timer"))
    assert report["summary"]["gained"] == sum(len(accounts) for accounts in trial.access().values())
    assert has(trial, MOVED) == has(trial, REMOVED) == ALL
    assert handled("reconcile", sample("timer"))["changes"] == []


@pytest.mark.parametrize(("event", "account"), [("account-created", CREATED), ("account-invited-accepted", INVITED)])
def test_an_account_that_joined_gets_its_images(trial: Trial, event: str, account: str) -> None:
    """Whether it was created or accepted an invitation."""
    handled("reconcile", sample("timer"))
    trial.patch(directory={"members": {account: {"name": "new", "folder": "fd-prod"}}})
    handled("membership", sample(event))
    assert has(trial, account) == ALL


@pytest.mark.parametrize(("event", "account"), [("account-moved", MOVED), ("account-removed", REMOVED)])
def test_an_account_that_moved_away_or_left_loses_its_images(trial: Trial, event: str, account: str) -> None:
    """And an event that comes twice changes nothing more."""
    handled("reconcile", sample("timer"))
    trial.move(account, "fd-test") if event == "account-moved" else trial.leave(account)
    handled("membership", sample(event))
    assert has(trial, account) == set()
    assert handled("membership", sample(event))["changes"] == []


def test_an_event_of_what_is_not_so_changes_nothing(trial: Trial) -> None:
    """A signal only says where to look: an account that is said to have left and is there keeps its images."""
    handled("reconcile", sample("timer"))
    assert handled("membership", sample("account-removed"))["changes"] == []
    assert has(trial, REMOVED) == ALL


@pytest.mark.parametrize("event", ["image-available", "image-available-cloudmonitor", "image-created-actiontrail"])
def test_an_image_that_is_available_is_shared_and_no_other(trial: Trial, event: str) -> None:
    """EventBridge's and CloudMonitor's forms and the audit record all lead to the same look."""
    images = json.dumps(json.loads(sample(event)))
    report = handled("image", sample(event))
    shared = {image for image, accounts in trial.access().items() if accounts}
    assert len(shared) == 1
    assert shared.pop() in images
    assert report["summary"]["images"] == 1


def test_an_image_that_is_not_available_yet_is_refused_and_no_error(trial: Trial) -> None:
    """It is taken up by the event that says it is available, or by the sweep."""
    trial.patch(images={GOLD: {"status": "Creating"}})
    report = handled("image", sample("image-available"))
    assert [(r["image"], r["reason"]) for r in report["refused"]] == [(GOLD, "not-available")]
    assert report["failed"] == []
    trial.patch(images={GOLD: {"status": "Available"}})
    handled("image", sample("image-available"))
    assert trial.access()[GOLD]


def test_a_worker_does_what_it_is_asked_for(trial: Trial) -> None:
    """A request names shards, images or accounts."""
    handled("worker", sample("worker"))
    assert any(trial.access().values())


@pytest.mark.parametrize("make_context", [context_310, context_312])
def test_both_runtimes_contexts_will_do(
    trial: Trial, make_context: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.10 brings credentials in the context, 3.12 in the environment only."""
    if make_context is context_310:
        monkeypatch.delenv(KEY)
        monkeypatch.delenv(SECRET)
    assert handled("reconcile", sample("timer"), make_context())["failed"] == []
    assert has(trial, MOVED) == ALL


@pytest.mark.parametrize(("runs_in", "refused"), [(OTHER_REGION, 0), (REGION, 2), (None, 2)])
def test_a_function_looks_for_policy_and_state_in_its_own_region_first(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, runs_in: str | None, refused: int
) -> None:
    """Only one that runs elsewhere, or does not know where, is sent on to the bucket's region, once for each."""
    trial.patch(buckets={"acme-far": {"owner": OWNER, "region": OTHER_REGION}})
    document = policy(rules=[rule(folders=["fd-prod"])], state="oss://acme-far/state")
    trial.write_policy(document)
    Objects(key="LOCALIMAGES", region=OTHER_REGION, bucket="acme-far").put(
        "policy.yaml", (trial.folder / "policy.yaml").read_bytes()
    )
    monkeypatch.setenv("ORGSHARE_POLICY", "oss://acme-far/policy.yaml")
    settings = read_settings(os.environ)
    of = load_policy(settings.policy, lambda: settings)
    begin_state(of, make_store(of, settings, "begin", make_calls()), "rd-trial")
    log: list[LogEntry] = []
    trial.cloud.on_request(log.append)
    context = SimpleNamespace(**{**vars(context_312()), "region": runs_in})
    request = worker_request(Signal(everything=True)).encode()
    assert handled("worker", request, context)["failed"] == []
    assert has(trial, MOVED) == ALL
    assert sum(entry.product == "oss" and entry.region == REGION for entry in log) == refused
    assert sum(entry.product == "oss" for entry in log) > refused


def test_an_event_of_an_unknown_kind_is_logged_and_ignored(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    """It makes no call and returns the report of a run that did nothing."""
    report = handled("membership", sample("unknown-kind"))
    assert (report["changes"], report["done"], report["calls"]) == ([], [], {})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines if line["event"] == "ignored"] == ["ignored"]
    assert sum(trial.cloud.calls.values()) == 0


def put_trail_file(*, without: str = "nothing") -> None:
    """The sample of a trail file, where the sample of a notice says that it is; some of its records may be left out."""
    (put,) = json.loads(sample("trail-notice"))["events"]
    records = json.loads((SAMPLES.parent / "trail" / "accounts-created.json").read_bytes())
    content = json.dumps([one for one in records if one.get("responseElements", {}).get(without) is None])
    bucket = Objects(key="LOCALIMAGES", region=REGION, bucket=TRAIL_BUCKET)
    bucket.put(put["oss"]["object"]["key"], gzip.compress(content.encode()))


def logged(captured: pytest.CaptureFixture[str], event: str) -> list[str]:
    """What was said of ignored events, or of why there is a look."""
    lines = map(json.loads, captured.readouterr().err.splitlines())
    return [line.get("reason") or "; ".join(line["why"]) for line in lines if line["event"] == event]


@pytest.mark.parametrize("event", ["trail-notice", "trail-notice-eventbridge"])
@pytest.mark.parametrize("name", ["membership", "reconcile"])
def test_accounts_that_a_trail_file_tells_of_get_their_images(trial: Trial, event: str, name: str) -> None:
    """A notice names a file, the file tells of three accounts, and the cloud is as the policy wants."""
    handled("reconcile", sample("timer"))
    put_trail_file()
    joined = {account: {"name": "new", "folder": "fd-prod"} for account in (CREATED, *MORE_CREATED)}
    trial.patch(directory={"members": joined})
    report = handled(name, sample(event))
    assert [has(trial, account) for account in joined] == [ALL, ALL, ALL]
    assert report["summary"]["gained"] == 9
    assert all(accounts == {MOVED, REMOVED, A, B, *joined} for accounts in trial.access().values())
    again = handled(name, sample(event))
    assert (again["changes"], again["failed"]) == ([], [])


def test_a_trail_file_of_what_is_not_so_changes_nothing(trial: Trial) -> None:
    """Accounts that a file tells of and that are not there get nothing."""
    handled("reconcile", sample("timer"))
    put_trail_file()
    before = trial.access()
    assert handled("membership", sample("trail-notice"))["changes"] == []
    assert trial.access() == before


@pytest.mark.parametrize("there", [False, True])
def test_a_trail_file_without_news_costs_one_call(
    trial: Trial, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    """A file that is gone, or of nothing that succeeded: said in a line, and the organization is not asked for."""
    if there:
        put_trail_file(without="Account")
    before = dict(trial.cloud.calls)
    report = handled("membership", sample("trail-notice"))
    assert (report["changes"], report["calls"]) == ([], {"oss:GetObject": 1})
    assert sum(trial.cloud.calls.values()) == sum(before.values()) + 1
    said = "2 of 3 records are of no interest" if there else "it is not there (any more)"
    assert any(line.startswith("oss://acme-audit-trail/") and line.endswith(said) for line in logged(capsys, "ignored"))


def test_a_trail_file_that_we_may_not_read_is_a_persons_to_mend(trial: Trial) -> None:
    """The platform delivers the notice to where a person sees it, with the permission that is missing."""
    trial.patch(buckets={TRAIL_BUCKET: {"owner": MANAGEMENT, "region": REGION}})
    with pytest.raises(ConfigurationError, match=r"trail file .*AccessDenied.*need oss:GetObject"):
        handled("membership", sample("trail-notice"))


def test_storage_that_does_not_answer_is_worth_another_try(trial: Trial) -> None:
    """The handler raises, and the platform tries again."""
    put_trail_file()
    trial.patch(faults=[{"operation": "oss:GetObject", "kind": "no-answer", "every": 1}])
    with pytest.raises(NoAnswer):
        handled("membership", sample("trail-notice"))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("image-available", f"foreign: Image:StateChange of {GOLD} to Available (event 5a3c0f10-"),
        ("image-created-actiontrail", "foreign: Ecs CreateImage (event 5a3c0f10-"),
        (
            "share-association",
            f"foreign: AssociationStatusChange of Image {GOLD} for {MOVED} to Associated (event 5a3c",
        ),
        ("account-created", "foreign: ResourceDirectoryMaster CreateResourceAccount (event 5a3c0f10-"),
        ("account-invited-accepted", "foreign: ResourceDirectoryMaster AcceptHandshake (event 5a3c0f10-"),
    ],
)
def test_an_event_of_foreign_accounts_is_dropped_with_a_line(
    trial: Trial, capsys: pytest.CaptureFixture[str], event: str, said: str
) -> None:
    """Nobody is asked about anything, and the log says whose it was."""
    text = sample(event).replace(OWNER.encode(), STRANGER.encode()).replace(MANAGEMENT.encode(), STRANGER.encode())
    report = handled("image", text)
    assert (report["changes"], report["calls"], sum(trial.cloud.calls.values())) == ([], {}, 0)
    (line,) = logged(capsys, "ignored")
    assert line.startswith(said)
    assert STRANGER in line


def test_our_own_calls_come_back_as_a_line_and_no_look(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    """The record names this program and its run as the user agent."""
    assert handled("image", sample("own-call-actiontrail"))["calls"] == {}
    assert logged(capsys, "ignored") == ["our own: Ecs ModifyImageSharePermission of run 4f1d2c3b5a69"]


def test_the_name_that_calls_carry_is_the_one_that_is_known_as_ours(trial: Trial) -> None:
    """What the SDKs make of our name is what a record has."""
    agents: set[str] = set()
    trial.cloud.on_request(lambda entry: agents.add(entry.agent))
    handled("reconcile", sample("timer"))
    put_trail_file()
    handled("membership", sample("trail-notice"))
    event = json.loads(sample("image-created-actiontrail"))
    ours = {agent for agent in agents if "orgshare" in agent}
    assert len(ours) > 1
    for agent in ours:
        event["data"]["userAgent"] = agent
        assert parse(json.dumps(event)).ignored


def test_what_a_share_reached_is_looked_at(trial: Trial) -> None:
    """The account that was told does not own the image; its owner is known, so the image is looked at."""
    assert handled("image", sample("share-association"))["summary"]["images"] == 1
    assert trial.access()[GOLD]


@pytest.mark.parametrize("event", [b"", b"{", b"\xff", b'"text"', b'{"type":"ecs:Image:StateChange","data":{}}'])
def test_a_malformed_event_raises_and_changes_nothing(trial: Trial, event: bytes) -> None:
    """The platform delivers it to where a person sees it."""
    with pytest.raises(MalformedEvent):
        function("image").handler(event, context_312())
    assert sum(trial.cloud.calls.values()) == 0


@pytest.mark.parametrize("name", ["membership", "image", "reconcile"])
def test_every_payload_of_the_handbook_is_taken(trial: Trial, name: str) -> None:
    """Shapes from the vendor's documents, and built from them: each is looked into or ignored, none is an error."""
    if not HANDBOOK.is_dir():
        if os.environ.get("CI") == "true" and HANDBOOK.parent.is_dir():
            pytest.fail(f"{HANDBOOK.parent} is there, but its events are not")
        pytest.skip(f"{HANDBOOK} is not there")
    payloads = sorted(HANDBOOK.rglob("*.json"))
    assert len(payloads) > 20
    for payload in payloads:
        report = handled(name, payload.read_bytes())
        assert report["failed"] == [], payload
    assert all(accounts <= {MOVED, REMOVED, A, B} for accounts in trial.access().values())


def test_what_another_try_can_finish_raises(trial: Trial) -> None:
    """Changes that failed for now are tried again by the platform, and what was done is done."""
    trial.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "throttle", "every": 1}])
    with pytest.raises(Unfinished, match="3 of 3 changes failed"):
        function("reconcile").handler(sample("timer"), context_312())
    assert not any(trial.access().values())
    trial.patch(faults=[])
    assert handled("reconcile", sample("timer"))["failed"] == []
    assert has(trial, MOVED) == ALL


def test_no_credentials_raise_and_name_the_settings(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has to mend it."""
    monkeypatch.delenv(KEY)
    with pytest.raises(ConfigurationError, match=KEY):
        function("reconcile").handler(sample("timer"), context_312())


def test_no_secret_reaches_a_log_or_a_report(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the key nor anything that signs."""
    trial.patch(faults=[{"operation": "*", "kind": "no-answer", "every": 3}])
    text = ""
    for _ in range(3):
        try:
            text += function("reconcile").handler(sample("timer"), context_312())
        except Exception as error:  # noqa: BLE001 - whatever it says is looked at
            text += str(error)
    captured = capsys.readouterr()
    assert "LOCALIMAGES" not in text + captured.out + captured.err
    assert "Signature" not in text + captured.out + captured.err


HERE = Shard("ecs", OWNER, REGION)


def beside(trial: Trial) -> list[Signal]:
    """What waits beside the shard."""
    return [waiting.signal for waiting in trial.state().waiting(HERE)]


def held_by_other(trial: Trial) -> Lease:
    """Another run is at work in the shard."""
    state, clocks = trial.state(), trial.runtime().clocks()
    before = state.read(HERE)
    return state.take(HERE, before, before.ledger, run="other", seconds=300, clocks=clocks)


def test_a_shard_that_is_held_is_no_error(trial: Trial) -> None:
    """The handler returns, so nothing is repeated: the signal waits beside the shard, and the next event follows it."""
    handled("reconcile", sample("timer"))
    trial.move(MOVED, "fd-test")
    lease = held_by_other(trial)
    report = handled("membership", sample("account-moved"))
    assert ([finding["kind"] for finding in report["findings"]], report["done"]) == (["busy"], [])
    assert [signal.organization for signal in beside(trial)] == [True]
    assert has(trial, MOVED) == ALL
    lease.release(lease._ledger)
    handled("membership", sample("account-removed"))
    assert (has(trial, MOVED), beside(trial)) == (set(), [])


def timed(trial: Trial, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """Let every call to the cloud take so many seconds of the functions' time."""
    passed = 0.0

    def pass_(_: LogEntry) -> None:
        nonlocal passed
        passed += seconds

    trial.cloud.on_request(pass_)
    clock = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: passed)
    monkeypatch.setattr("orgshare.wiring.time", clock)


def with_timeout(seconds: object) -> SimpleNamespace:
    context = context_312()
    context.function.timeout = seconds
    return context


def test_out_of_time_raises_and_leaves_the_signal(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that could not even read is repeated by the platform, and what it came for waits for whoever is first, in
    parts, because it may have been too much at once."""
    handled("reconcile", sample("timer"))
    trial.move(MOVED, "fd-test")
    with monkeypatch.context() as slow:
        timed(trial, slow, seconds=20)
        with pytest.raises(Unfinished, match=r"the time of this run, 60 s, is over.*what is left waits beside ecs/"):
            handled("membership", sample("account-moved"), with_timeout(100))
    assert sorted(part.number for signal in beside(trial) for part in signal.parts) == list(range(FIRST_PARTS))
    assert has(trial, MOVED) == ALL
    handled("membership", sample("account-removed"))
    assert (has(trial, MOVED), beside(trial)) == (set(), [])


def test_wherever_time_is_over_the_work_is_finished(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again with a little more time each time, a handler raises until it is done, and keeps what was done."""
    timeouts = range(85, 300, 15)
    with monkeypatch.context() as slow:
        timed(trial, slow, seconds=10)
        raised, said = 0, ""
        for seconds in timeouts:
            try:
                handled("reconcile", sample("timer"), with_timeout(seconds))
            except Unfinished as error:
                raised, said = raised + 1, said + str(error)
    assert 2 < raised < len(timeouts)
    assert "is over; the rest is left to the next run" in said
    assert has(trial, MOVED) == has(trial, REMOVED) == ALL
    assert handled("reconcile", sample("timer"))["changes"] == []
    assert beside(trial) == []
    entries = trial.state().read(HERE).ledger.grants
    assert {image: {*accounts} for image, accounts in entries.items()} == trial.access()


@pytest.mark.parametrize("timeout", [600, "600", None, 0])
def test_with_time_enough_or_none_told_all_is_done(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, timeout: object
) -> None:
    """Where nobody says how long there is, there is no budget."""
    timed(trial, monkeypatch, seconds=5)
    assert handled("reconcile", sample("timer"), with_timeout(timeout))["failed"] == []
    assert has(trial, MOVED) == ALL


def test_each_function_leaves_a_report(trial: Trial) -> None:
    """What started it is in it, and a function that finds nothing to do leaves none."""
    handled("reconcile", sample("timer"))
    trial.move(MOVED, "fd-test")
    handled("membership", sample("account-moved"))
    handled("membership", sample("account-removed"))
    handled("membership", sample("unknown-kind"))
    store = trial.store()
    reports = [json.loads(store.get(each.name) or b"") for each in store.listed("runs").objects]
    assert len(reports) == 2
    assert all(report["started_by"] and report["calls"] and report["saw"]["images"] for report in reports)
    assert [len(report["done"]) for report in reports] == [3, 3]
