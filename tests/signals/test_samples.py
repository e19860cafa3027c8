import os
from pathlib import Path

import pytest

from orgshare.signals import ImageAt, Parsed, Senders, Signal, TrailFile, parse, trails
from orgshare.words import Shard

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "localcloud" / "samples" / "events"
HANDBOOK = ROOT.parent / "shared" / "events"

MANAGEMENT, OWNER = "1000000000000001", "1000000000000002"
SENDERS = Senders(MANAGEMENT, frozenset({OWNER}))
TRAIL = ROOT / "localcloud" / "samples" / "trail"
TRAIL_FILE = TrailFile(
    "acme-audit-trail",
    (
        f"org-audit/AliyunLogs/Actiontrail/rd-local1/{MANAGEMENT}/cn-hangzhou/2026/11/21/"
        "Actiontrail_cn-hangzhou_20261121090500_1002_6_2310_9f86d081884c7d659a2feaa0c55ad015.gz",
    ),
    "cn-hangzhou",
    MANAGEMENT,
)

OURS = "5a3c0f10-7d2e-4b61-9c55-0000000000"
THEIRS = "7c1d3e5a-0000-4000-8000-000000000001"


def _images(*named: tuple[str, str, str], why: tuple[str, ...]) -> Parsed:
    return Parsed(Signal(images=frozenset(ImageAt(*one) for one in named), why=why))


def _accounts(*named: str, why: str) -> Parsed:
    return Parsed(Signal(accounts=frozenset(named), why=(why,)))


def _nothing(because: str) -> Parsed:
    return Parsed(ignored=(because,))


EXPECTED_OF_SAMPLES = {
    "image-available.json": _images(
        ("m-gold0000000000000001", "cn-hangzhou", "1000000000000002"),
        why=(f"Image:StateChange of m-gold0000000000000001 to Available (event {OURS}01)",),
    ),
    "image-available-cloudmonitor.json": _images(
        ("m-gold0000000000000001", "cn-hangzhou", "1000000000000002"),
        why=("Image:StateChange of m-gold0000000000000001 to Available (event B7D94E02-1A6C-4F38-8E21-000000000002)",),
    ),
    "image-created-actiontrail.json": _images(
        ("m-gold0000000000000002", "cn-hangzhou", "1000000000000002"),
        why=(f"CreateImage of m-gold0000000000000002 (event {OURS}03)",),
    ),
    "image-copied-actiontrail.json": _images(
        ("m-gold0000000000000003", "ap-southeast-1", "1000000000000002"),
        why=(f"CopyImage of m-gold0000000000000003 (event {OURS}04)",),
    ),
    "account-created.json": _accounts(
        "1000000000000015", why=f"CreateResourceAccount of 1000000000000015 (event {OURS}05)"
    ),
    "account-invited-accepted.json": _accounts(
        "1000000000000016", why=f"AcceptHandshake of 1000000000000016 (event {OURS}06)"
    ),
    "account-moved.json": _accounts("1000000000000005", why=f"MoveAccount of 1000000000000005 (event {OURS}07)"),
    "account-removed.json": _accounts(
        "1000000000000006", why=f"RemoveCloudAccount of 1000000000000006 (event {OURS}08)"
    ),
    "own-call-actiontrail.json": _nothing("our own: Ecs ModifyImageSharePermission of run 4f1d2c3b5a69"),
    "share-association.json": _images(
        ("m-gold0000000000000001", "cn-hangzhou", OWNER),
        why=(
            "AssociationStatusChange of Image m-gold0000000000000001 for 1000000000000005 to Associated "
            f"(event {OURS}12)",
        ),
    ),
    "trail-notice.json": Parsed(files=(TRAIL_FILE,)),
    "trail-notice-eventbridge.json": Parsed(files=(TRAIL_FILE,)),
    "timer.json": Parsed(Signal(everything=True, why=("timer hourly-sweep at 2026-11-21T10:00:00Z",))),
    "timer-watch.json": Parsed(
        Signal(organization=True, surely=True, why=("timer watch at 2026-11-21T10:05:00Z",)),
    ),
    "worker.json": Parsed(
        Signal(
            accounts=frozenset({"1000000000000005"}),
            images=frozenset(
                {
                    ImageAt("m-gold0000000000000001"),
                    ImageAt("m-gold0000000000000003", "ap-southeast-1", "1000000000000002"),
                }
            ),
            shards=frozenset({Shard("ecs", "1000000000000002", "cn-hangzhou")}),
            why=(f"MoveAccount of 1000000000000005 (event {OURS}07)",),
        )
    ),
    "unknown-kind.json": _nothing(f"unknown kind: ecs:Disk:ConvertToPostpaidCompleted (event {OURS}09)"),
}

EXPECTED_OF_THE_HANDBOOK = {
    "actiontrail-assumed-role-lookupevents.json": _nothing(
        "of no interest: Actiontrail LookupEvents (event 3462D6AF-4434-4690-8CAD-****)"
    ),
    "actiontrail-ecs-deletedisk.json": _nothing(
        "of no interest: Ecs DeleteDisk (event 92b33345-0cef-47be-821f-fb9914d3****)"
    ),
    "actiontrail-ecs-stopinstance.json": _nothing(
        "of no interest: Ecs StopInstance (event 239EB588-CD24-522E-B0B5-174A1A588BE0)"
    ),
    "actiontrail-resourcemanager-createresourcegroup.json": _nothing(
        "of no interest: ResourceManager CreateResourceGroup (event B1CFCA37-83FA-4288-B623-01994CF8BDD2)"
    ),
    "cloudmonitor-ecs-image-statechange.json": _images(
        ("m-uf64c9ocm9p********", "cn-hangzhou", "19638045********"),
        why=("Image:StateChange of m-uf64c9ocm9p******** to Available (event 72A8BFEC-C05E-4C22-A96B-F968********)",),
    ),
    "cloudmonitor-ecs-snapshot-createsnapshotcompleted.json": _nothing(
        "unknown kind: ecs:Snapshot:CreateSnapshotCompleted (event 2256A988-0B26-4E2B-820A-8A********E5)"
    ),
    "cloudmonitor-ecs-snapshot-webhook-real.json": _nothing(
        "unknown kind: ecs:Snapshot:CreateSnapshotCompleted (event 103E55FC-7FC3-4B3D-AE12-C19EA84C****)"
    ),
    "eventbridge-default-bus-dashscope.json": _nothing(
        "unknown kind: dashscope:System:AsyncTaskFinish (event 81765e5b-xxxx-xxxx-xxxx-bbad8dde2bd9)"
    ),
    "eventbridge-envelope.json": _nothing(
        "unknown kind: aliyuncvc:MeetingEvent:MemberOperate (event 45ef4dewdwe1-7c35-447a-bd93-fab****)"
    ),
    "eventbridge-resourcesharing-associationstatuschange.json": _nothing(
        "of no interest: AssociationStatusChange of CapacityReservation crp-wz***ds for 22***22 to Associated "
        "(event 45ef4dewdwe1-7c35-447a-bd93-fab****)"
    ),
    "eventbridge-testeventpattern-config.json": _nothing(
        "unknown kind: sls:Config:**** (event 295e6bd2-bb72-4f70-****-204a0680ee41)"
    ),
    "eventbridge-to-fc-mns-queue.json": _nothing(
        "unknown kind: mns:Queue:SendMessage (event c2g71017-6f65-fhcf-a814-a396fc8d****)"
    ),
    "fc-timer.json": Parsed(Signal(everything=True, why=("timer my_trigger at 2018-02-09T05:49:00Z",))),
    "fc3-http-v1.json": _nothing(
        "unknown kind: an object with the keys body, headers, isBase64Encoded, queryParameters, rawPath, "
        "requestContext, version"
    ),
    "constructed/event-streaming-batch.json": _images(
        ("m-bp1000000000000000a1", "cn-hangzhou", "1000000000000001"),
        ("m-bp1000000000000000a2", "cn-hangzhou", "1000000000000001"),
        why=(
            "Image:StateChange of m-bp1000000000000000a1 to Available (event 7c1d3e5a-0000-4000-8000-000000000001)",
            "Image:StateChange of m-bp1000000000000000a2 to Available (event 7c1d3e5a-0000-4000-8000-000000000002)",
        ),
    ),
    "constructed/eventbridge-actiontrail-ecs-copyimage.json": _images(
        ("m-uf6000000000000000b1", "cn-shanghai", "1000000000000001"),
        why=(f"CopyImage of m-uf6000000000000000b1 (event {THEIRS})",),
    ),
    "constructed/eventbridge-actiontrail-ecs-createimage.json": _images(
        ("m-bp1000000000000000a1", "cn-hangzhou", "1000000000000001"),
        why=(f"CreateImage of m-bp1000000000000000a1 (event {THEIRS})",),
    ),
    "constructed/eventbridge-actiontrail-ecs-createimage-failed.json": _nothing(
        f"failed with QuotaExceed.Image: Ecs CreateImage (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-ecs-deleteimage.json": _images(
        ("m-bp1000000000000000a1", "cn-hangzhou", "1000000000000001"),
        why=(f"DeleteImage of m-bp1000000000000000a1 (event {THEIRS})",),
    ),
    "constructed/eventbridge-actiontrail-ecs-importimage.json": _images(
        ("m-bp1000000000000000c1", "cn-hangzhou", "1000000000000001"),
        why=(f"ImportImage of m-bp1000000000000000c1 (event {THEIRS})",),
    ),
    "constructed/eventbridge-actiontrail-rd-accepthandshake.json": _accounts(
        "1000000000000009", why=f"AcceptHandshake of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-rd-createresourceaccount.json": _accounts(
        "1000000000000009", why=f"CreateResourceAccount of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-rd-createresourceaccount-failed.json": _nothing(
        f"failed with LimitExceeded.Account: ResourceDirectoryMaster CreateResourceAccount (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-rd-deleteaccount.json": _accounts(
        "1000000000000009", why=f"DeleteAccount of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-rd-moveaccount.json": _accounts(
        "1000000000000009", why=f"MoveAccount of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-actiontrail-rd-removecloudaccount.json": _accounts(
        "1000000000000009", why=f"RemoveCloudAccount of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-cross-account.json": _accounts(
        "1000000000000009", why=f"CreateResourceAccount of 1000000000000009 (event {THEIRS})"
    ),
    "constructed/eventbridge-ecs-image-statechange.json": _images(
        ("m-bp1000000000000000a1", "cn-hangzhou", "1000000000000001"),
        why=(f"Image:StateChange of m-bp1000000000000000a1 to Available (event {THEIRS})",),
    ),
    "constructed/eventbridge-ecs-image-statechange-createfailed.json": _images(
        ("m-bp1000000000000000a1", "cn-hangzhou", "1000000000000001"),
        why=(f"Image:StateChange of m-bp1000000000000000a1 to CreateFailed (event {THEIRS})",),
    ),
    "constructed/fc-timer-reconcile.json": Parsed(
        Signal(everything=True, why=("timer nightly-reconcile at 2026-11-20T20:00:00Z",))
    ),
}


@pytest.fixture
def handbook() -> Path:
    """The vendor's payloads; the only reason to skip is that the folder is not there."""
    if not HANDBOOK.is_dir():
        if os.environ.get("CI") == "true" and HANDBOOK.parent.is_dir():
            pytest.fail(f"{HANDBOOK.parent} is here but has no folder {HANDBOOK.name}")
        pytest.skip("the handbook's events are not on this machine")
    return HANDBOOK


@pytest.mark.parametrize("name", EXPECTED_OF_SAMPLES)
def test_that_a_sample_says_what_to_look_at(name: str) -> None:
    """Each of our sample events parses to exactly the signal that it was written for."""
    event = (SAMPLES / name).read_bytes()
    assert parse(event) == parse(event, SENDERS) == EXPECTED_OF_SAMPLES[name]


def test_that_the_sample_of_a_trail_file_tells_of_three_accounts() -> None:
    """Three accounts were created; one call failed, and the other records are of no interest."""
    content = (TRAIL / "accounts-created.json").read_bytes()
    assert trails.parse(content, TRAIL_FILE, SENDERS) == Parsed(
        Signal(
            accounts=frozenset({"1000000000000015", "1000000000000017", "1000000000000018"}),
            why=tuple(
                f"CreateResourceAccount of 10000000000000{account} (event 8E4B27D1-63AF-5C0E-A9D4-00000000010{number})"
                for number, account in ((1, 15), (2, 17), (4, 18))
            ),
        ),
        (
            f"{TRAIL_FILE}: 2 of 6 records are of no interest",
            "failed with LimitExceeded.Account: ResourceDirectoryMaster CreateResourceAccount "
            "(event 8E4B27D1-63AF-5C0E-A9D4-000000000103)",
        ),
    )


@pytest.mark.parametrize("name", EXPECTED_OF_THE_HANDBOOK)
def test_that_a_payload_of_the_handbook_says_what_to_look_at(handbook: Path, name: str) -> None:
    """Each payload of the handbook parses to exactly the expected signal or reason to ignore it."""
    assert parse((handbook / name).read_bytes()) == EXPECTED_OF_THE_HANDBOOK[name]


def test_that_no_sample_is_left_out() -> None:
    """The table of expectations names every sample."""
    assert {p.name for p in SAMPLES.iterdir()} == set(EXPECTED_OF_SAMPLES)


def test_that_no_payload_of_the_handbook_is_left_out(handbook: Path) -> None:
    """The table of expectations names every payload of the handbook."""
    assert {p.relative_to(handbook).as_posix() for p in handbook.rglob("*.json")} == set(EXPECTED_OF_THE_HANDBOOK)


def test_that_samples_hold_no_keys() -> None:
    """No sample carries an access key, not even a masked one."""
    texts = [p.read_text().lower() for p in (*SAMPLES.iterdir(), *TRAIL.iterdir())]
    assert not any(word in text for text in texts for word in ("accesskey", "ltai", "secret", "securitytoken"))
