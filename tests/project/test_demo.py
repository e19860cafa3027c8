"""The demonstration tells its story, checks it, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orgshare_demo import reference
from orgshare_demo.reference import let_in, needing_the_key, wanted_access
from orgshare_demo.stage import without_ambient

COMMAND = [sys.executable, "-c", "from orgshare.cli.main import main; main()"]
LOCAL = [sys.executable, "-m", "localcloud"]
AMBIENT = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "ambient", "HTTP_PROXY": "http://127.0.0.1:1", "ORGSHARE_POLICY": "x"}
DEV_WEB, RUNNER = "1000000000000009", "m-build000000000000004"


def ran(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The story, told once, with credentials and a proxy around; nothing of it stays on the disk."""
    folder = tmp_path_factory.mktemp("story")
    done = ran(*COMMAND, "demo", TMPDIR=str(folder), **AMBIENT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(folder.iterdir()) == []
    return done.stdout.splitlines()


def step(told: list[str], title: str) -> str:
    """What is told in one step, on one line."""
    heads = [number for number, line in enumerate(told) if re.match(r"\d+  [^─]+ ─", line)]
    start = next(number for number in heads if re.match(rf"\d+  {title} ─", told[number]))
    end = next((number for number in heads if number > start), len(told))
    return " ".join(" ".join(told[start + 1 : end]).split())


def test_the_story_ends_with_every_pair_as_the_policy_says_and_by_one_channel(told: list[str]) -> None:
    """Its last line counts the pairs that the oracle finds right, and their channels."""
    counts = re.fullmatch(
        r"(\d+) of (\d+) pairs of image and account are as the policy says, 0 differ; "
        r"(\d+) have one channel \((\d+) directory, (\d+) direct\), 1 a second one by hand; "
        r"1 more was made by hand and left\.",
        told[-1],
    )
    assert counts
    right, wanted, alone, directory, direct = map(int, counts.groups())
    assert right == wanted == alone + 1
    assert alone == directory + direct
    assert directory > 20
    assert direct > 10


def test_the_story_shows_every_step(told: list[str]) -> None:
    """Joining, moving, leaving, drift, an empty directory, a held typo, a double share, a run that dies, encrypted
    images, one that is retired, no events."""
    steps = re.findall(r"^\d+  ([^─]+?) ─", "\n".join(told), re.MULTILINE)
    assert steps == [
        "The first watch", "The first sweep", "An image becomes available", "An account joins", "An account moves",
        "An account leaves, and its event comes twice", "People change things by hand", "The sweep repairs the drift",
        "The directory reads as empty", "A typo in the policy", "The typo is mended", "A second channel by hand",
        "The sweep ends the double share", "A run dies between two calls", "The next run finishes",
        "Encrypted images", "An agency joins", "The agency leaves", "An image is retired", "Nobody has it any more",
        "Every event is lost", "The next watch finds it",
    ]  # fmt: skip
    assert " ".join(" ".join(told).split()).count("a further sweep plans nothing") == 14


def test_events_and_timers_call_the_functions(told: list[str]) -> None:
    """At each step it is said which ran and why, and nothing runs where nothing called."""
    assert "5 minutes later: membership (timer watch), worker 3 times, image twice (event)." in step(
        told, "The first watch"
    )
    assert "10 minutes later: membership twice (timer watch), reconcile (timer sweep), worker 3 times" in step(
        told, "The first sweep"
    )
    assert "At once: image (event), worker." in step(told, "An image becomes available")
    assert "At once: membership twice (event)" in step(told, "An account leaves, and its event comes twice")
    assert "At once: no function ran." in step(told, "Every event is lost")


def test_a_run_that_dies_is_finished_by_a_later_one(told: list[str]) -> None:
    """Its process is killed after its first call; the platform's own repetition finds its lease, and must leave it."""
    dies = step(told, "A run dies between two calls")
    assert "worker (died)" in dies
    assert "9 of 11 accounts have it." in dies
    finishes = step(told, "The next run finishes")
    assert "1 of them writing: 1 AssociateResourceShare." in finishes
    assert "All 11 accounts have it by images and targets that are known to be ours." in finishes


def test_without_any_event_the_next_watch_sees_who_joined_and_who_moved(told: list[str]) -> None:
    """Nothing ran before it, and afterwards everything is as the policy says."""
    assert "= nobody's access changed" in step(told, "Every event is lost")
    found = step(told, "The next watch finds it")
    assert "+ 1000000000000016 can use rescue (directory)" in found
    assert "+ reporting can use ci-runner, office-desktop (direct)" in found
    assert "- shop-europe can no longer use ci-runner, office-desktop (direct)" in found
    assert "5 minutes later: membership (timer watch), worker 3 times." in found


def test_the_first_watch_creates_and_fills_a_resource_share_in_each_region(told: list[str]) -> None:
    """Members get the images of rule production by the directory, partners theirs by direct grants."""
    first = step(told, "The first watch")
    assert "2 CreateResourceShare" in first
    assert "warehouse can use golden-windows, golden-linux-sg (directory)" in first
    assert "+ Globex, Initech can use appliance (direct)" in first


def test_who_has_an_image_by_a_share_that_was_made_by_hand_gets_no_grant(told: list[str]) -> None:
    """lab-arm is in the audience of a rule with direct grants, and is the one that has it by the directory."""
    assert "+ checkout, dev-mobile, dev-web, loyalty, shop-europe, shop-web can use ci-runner (direct)" in step(
        told, "The first watch"
    )
    assert "directory lab-arm" in step(told, "The first sweep")


def test_an_encrypted_image_is_reported_and_left_in_peace(told: list[str]) -> None:
    """No rule lets encrypted images be shared, so neither channel is tried."""
    assert "ModifyImageSharePermission" not in step(told, "The first sweep")
    assert "golden-vault cn-hangzhou ! encrypted-refused: " in step(told, "The first sweep")


def direct_of_agency(told: list[str], title: str) -> set[str]:
    """The images that the agency gets or loses by direct grants in a step."""
    (images,) = re.findall(r"1000000000000015 can (?:no longer )?use ([^(]+) \(direct\)", step(told, title))
    return set(images.split(", "))


def test_an_image_of_elastic_desktop_service_is_shared_by_a_rule_like_any_other(told: list[str]) -> None:
    """Directly, with those in its audience; who joins gets it and who leaves loses it."""
    first = step(told, "The first watch")
    assert "+ checkout, loyalty, shop-europe, shop-web can use office-desktop (direct)" in first
    assert "1 ModifyImagePermission," in first
    assert "loyalty can no longer use ci-runner, office-desktop (direct)" in step(told, "An account leaves, and its .+")
    assert "office-desktop" in direct_of_agency(told, "An agency joins") & direct_of_agency(told, "The agency leaves")


def test_who_gets_an_encrypted_image_is_let_in_first_and_let_out_when_none_is_left(told: list[str]) -> None:
    """The sharing role is written before the grants; the agency is in it until everything was looked at once more."""
    five = "payments, reporting, shop-europe, shop-web, warehouse"
    encrypted = step(told, "Encrypted images")
    assert f"+ {five} can use " in encrypted
    assert f"Let in first, as the service refuses encrypted images to others: {five}." in encrypted
    assert "1 UpdateRole" in encrypted
    joins = step(told, "An agency joins")
    assert "Let in first, as the service refuses encrypted images to others: 1000000000000015." in joins
    both = {"golden-vault-2", "golden-signer"}
    assert both < direct_of_agency(told, "An agency joins")
    assert both < direct_of_agency(told, "The agency leaves")
    assert f"Still let in: 1000000000000015, {five}." in step(told, "The agency leaves")
    assert f"Let in: {five}, who have golden-vault-2." in step(told, "Nobody has it any more")


def test_an_image_that_is_retired_is_held_approved_taken_away_and_deleted(told: list[str]) -> None:
    """Nobody loses it before a person approves, and the service lets nobody delete it before that."""
    retired = step(told, "An image is retired")
    assert "= nobody's access changed" in retired
    assert "~ held: 5 pairs; image " in retired
    assert "ImageUseShared" in retired
    assert re.search(r"approved h-[0-9a-f]{12} by root", retired)
    gone = step(told, "Nobody has it any more")
    assert "- payments, reporting, shop-europe, shop-web, warehouse can no longer use golden-signer (direct)" in gone
    assert "golden-signer is deleted." in gone


def test_an_account_that_joins_a_covered_folder_costs_no_writing_call(told: list[str]) -> None:
    """It has the images before any function ran, and then the log shows reading only."""
    joins = step(told, "An account joins")
    assert "+ payments can use golden-linux, golden-windows, golden-linux-sg (directory)" in joins
    assert "before any function ran" in joins
    assert "none of them writing" in joins


def test_a_double_share_is_explained_and_resolved_without_a_loss(told: list[str]) -> None:
    """Our own grants end, the resource share that was made by hand stays."""
    both = step(told, "A second channel by hand")
    assert "= dev-mobile, dev-web, newcomer can still use ci-runner (direct and directory; before: direct)" in both
    assert "channel direct and directory" in both
    resolved = step(told, "The sweep ends the double share")
    assert "newcomer can still use ci-runner (directory; before: direct and directory)" in resolved
    assert "no longer" not in resolved
    assert "1 of them writing: 1 ModifyImageSharePermission." in resolved


def test_a_double_share_by_hand_is_a_finding(told: list[str]) -> None:
    """What a person gave twice is left and reported."""
    assert "finding double-shared: shop-web on golden-windows:" in step(told, "The sweep repairs the drift")


def test_ambient_credentials_and_proxies_are_not_used_and_the_story_says_so(told: list[str]) -> None:
    """Whatever the terminal has set, the story speaks to its local cloud only."""
    assert told[0] == "LOCAL CLOUD: everything below happens on this machine."
    assert f"Not used, though set: {', '.join(AMBIENT)}." in told[1]


def test_everything_that_could_lead_elsewhere_is_taken_out_of_the_environment() -> None:
    """Credentials, settings and proxies in every spelling; nothing else."""
    kept, taken = without_ambient(
        {"PATH": "p", "HOME": "h", "https_proxy": "x", "ALL_PROXY": "x", "ALICLOUD_REGION": "x", "FC_REGION": "x"}
    )
    assert set(kept) == {"PATH", "HOME"}
    assert taken == ["ALICLOUD_REGION", "ALL_PROXY", "FC_REGION", "https_proxy"]


def told_by(body: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Another story, whose teller is ``of``, on the same stage; the local cloud is to be kept."""
    script = f"import sys, orgshare_demo.story as story\ndef tell(of):\n    {body}\nstory.tell = tell\n"
    return ran(sys.executable, "-c", f"{script}sys.exit(story.run(keep=True))", TMPDIR=str(tmp_path))


def test_keep_leaves_the_local_cloud_running_for_the_commands_that_it_names(tmp_path: Path) -> None:
    """Its exports make the command line speak to that cloud, and whoever moves its clock lets the functions work."""
    done = told_by("of.stage.begin(); story._opening(of)", tmp_path)
    assert done.returncode == 0, done.stderr
    (pid,) = re.findall(r"end it with: kill (\d+)", done.stdout)
    try:
        settings = dict(re.findall(r"export (\w+)=(\S+)", done.stdout))
        (clock,) = re.findall(r"^  localcloud (clock .+)$", done.stdout, re.MULTILINE)
        url = settings["ORGSHARE_LOCAL_CLOUD"]

        def has_runner() -> bool:
            found = ran(*LOCAL, "show", "--url", url, "--image", RUNNER, "--account", DEV_WEB, "--json")
            return bool(json.loads(found.stdout)["access"])

        status = ran(*COMMAND, "status", "--json", **settings)
        assert status.returncode == 0, status.stderr
        users = {row["image"]: {one["account"] for one in row["access"]} for row in json.loads(status.stdout)["images"]}
        assert DEV_WEB in users[RUNNER]
        part = tmp_path / "part.yaml"
        part.write_text(f'{{directory: {{members: {{"{DEV_WEB}": {{folder: fd-sandbox}}}}}}}}')
        assert ran(*LOCAL, "change", "--url", url, str(part)).returncode == 0
        assert has_runner()
        assert ran(*LOCAL, *clock.split()).returncode == 0
        assert not has_runner()
    finally:
        os.kill(int(pid), signal.SIGTERM)


def test_a_story_that_fails_leaves_nothing_behind_though_it_was_to_be_kept(tmp_path: Path) -> None:
    """Neither its folder nor a local cloud that nobody was told how to end."""
    done = told_by("print('server', of.stage.server.pid); raise story.Wrong('on purpose')", tmp_path)
    assert (done.returncode, done.stderr) == (1, "orgshare demo: on purpose\n")
    assert list(tmp_path.iterdir()) == []
    (pid,) = re.findall(r"server (\d+)", done.stdout)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


WORLD: dict[str, Any] = {
    "directory": {
        "id": "rd-1",
        "folders": {"fd-1": {"parent": "root"}, "fd-2": {"parent": "fd-1"}},
        "members": {"2": {"folder": "fd-1"}, "3": {"folder": "fd-2"}, "4": {"folder": "root"}},
    },
    "images": {"m-1": {"owner": "1", "name": "one", "tags": {"a": "b"}}},
}


def rule(channel: str, **audience: Any) -> dict[str, Any]:
    return {"name": channel, "images": {"tags": {"a": "b"}}, "audience": audience, "channel": channel}


def test_the_reference_refuses_a_policy_that_it_does_not_know() -> None:
    """A check that passes over a key would prove nothing."""
    with pytest.raises(ValueError, match="account_tags"):
        wanted_access({"rules": [rule("auto", account_tags={"env": "prod"})]}, WORLD)
    with pytest.raises(ValueError, match="mode"):
        wanted_access({"rules": [{**rule("auto", folders=["fd-1"]), "mode": "add"}]}, WORLD)
    with pytest.raises(ValueError, match="family"):
        wanted_access({"rules": [{**rule("auto", folders=["fd-1"]), "images": {"family": "f"}}]}, WORLD)


def test_the_reference_names_the_one_channel_of_each_pair() -> None:
    """The directory if any rule that wants the pair lets it; a partner only directly."""
    rules = [rule("direct", folders=["fd-1"]), rule("auto", folders=["fd-2"], partners=[{"account": "9"}])]
    assert wanted_access({"rules": rules}, WORLD) == {
        ("m-1", "2"): "direct", ("m-1", "3"): "directory", ("m-1", "9"): "direct",
    }  # fmt: skip


def encrypted(how: str, authorize: bool) -> dict[tuple[str, str], str]:
    """What the reference says of an image that is encrypted."""
    one = {**rule("auto", folders=["fd-1"]), **({"encrypted": "authorize"} if authorize else {})}
    images = {"m-1": {**WORLD["images"]["m-1"], "encryption": how}}
    return wanted_access({"rules": [one]}, {**WORLD, "images": images})


def test_for_the_reference_an_encrypted_image_is_shared_directly_where_a_rule_authorizes_it() -> None:
    """Under the service's own key with nobody."""
    assert encrypted("cmk", True) == {("m-1", "2"): "direct", ("m-1", "3"): "direct"}
    assert encrypted("cmk", False) == encrypted("service-key", True) == {}


def test_the_reference_knows_an_image_of_elastic_desktop_service_by_its_name_and_directly_only() -> None:
    """No rule about ECS speaks of it, and its rule of none of ECS."""
    desk = {"owner": "1", "service": "eds", "name": "office-1"}
    others = {"m-desk-2": {**desk, "name": "home"}, "m-2": {**desk, "service": "ecs"}}
    world = {**WORLD, "images": {**WORLD["images"], "m-desk": desk, **others}}
    plain = rule("auto", folders=["fd-2"])
    assert wanted_access({"rules": [plain]}, world) == {("m-1", "3"): "directory"}
    desks = {**plain, "images": {"service": "eds", "name": "office-*"}}
    assert wanted_access({"rules": [desks]}, world) == {("m-desk", "3"): "direct"}


def test_for_the_reference_nobody_is_to_have_an_image_that_is_retired_by_its_tags() -> None:
    """All of the tags that the policy names have to be on it."""
    policy = {"rules": [rule("auto", folders=["fd-2"])]}
    assert wanted_access({**policy, "retire": {"tags": {"a": "b"}}}, WORLD) == {}
    assert wanted_access({**policy, "retire": {"tags": {"a": "b", "c": "d"}}}, WORLD) == wanted_access(policy, WORLD)
    assert wanted_access(policy, WORLD) != {}


def test_the_reference_knows_who_needs_a_key_and_whom_the_sharing_role_lets_in() -> None:
    """Whoever has an encrypted image needs it; the owner's ECS and other principals of the role are no accounts."""
    images = {"m-1": {"encryption": "cmk"}, "m-2": {}}
    assert needing_the_key([("m-1", "2"), ("m-2", "3")], {"images": images}) == {"2"}
    named = {"Principal": {"Service": ["ecs.aliyuncs.com", "2@ecs.aliyuncs.com", "3@fc.aliyuncs.com"]}}
    arn = "acs:ram::1:role/AliyunECSShareEncryptImageDefaultRole"
    assert let_in({"roles": {arn: {"trust_policy": {"Statement": [named, {"Principal": {"RAM": ["r"]}}]}}}}) == {"2"}
    assert let_in({"roles": {arn: {"trusts_services": ["ecs.aliyuncs.com"]}}}) == set()


@pytest.mark.parametrize("nested", [True, False])
def test_for_the_reference_a_share_by_hand_stands_for_a_direct_grant(nested: bool) -> None:
    """Whom it reaches depends on what the world says of subfolders; a share with our tag says nothing."""
    share = {"images": ["m-1"], "targets": ["fd-1"]}
    ours = {"images": ["m-1"], "targets": ["rd-1"], "tags": {"orgshare:deployment": "d"}}
    shares = {"resource_shares": {"rs-1": share, "rs-2": ours}, "switches": {"nested_folder_targets": nested}}
    assert wanted_access({"rules": [rule("direct", folders=["root"])]}, {**WORLD, **shares}) == {
        ("m-1", "2"): "directory", ("m-1", "3"): "directory" if nested else "direct", ("m-1", "4"): "direct",
    }  # fmt: skip


def test_the_reference_is_apart_from_what_it_checks() -> None:
    """It imports nothing of the program and nothing of the local cloud."""
    source = Path(reference.__file__).read_text()
    imported = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    assert imported == ["__future__", "collections", "fnmatch", "typing"]
