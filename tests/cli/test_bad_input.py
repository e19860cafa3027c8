"""Bad input: the exact exit status, one exact line on standard error, nothing on standard output, nothing changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.support.trial import MANAGEMENT, OWNER, PARTNER, A, policy, rule

Make = Callable[..., Shell]

KEY, SECRET = "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
NOT_BEGUN = (
    "state file:{folder}/state: it is not begun; run «orgshare init» once, or «orgshare init --recover» if there was "
    "one that was lost, or correct the key state of the policy"
)
READING = (["plan"], ["apply", "--yes"], ["status"], ["explain", "m-gold", A], ["who", "m-gold"])
ALL = (*READING, ["holds"], ["approve", "h-1"], ["validate"], ["init"])


def refused(run: Shell, arguments: list[str], *errors: str) -> None:
    """Check that a command ends with 2 and these lines, as text and as JSON, and that nothing was changed."""
    before, state = run.trial.access(), run.state()
    for more in ([], ["--json"]):
        ran = run(*arguments, *more)
        lines = [line for line in ran.errors if not line.startswith("LOCAL CLOUD ")]
        out = [line for line in ran.lines if line and not line.startswith("LOCAL CLOUD ")]
        assert (ran.status, lines, out) == (2, list(errors), []), more
        assert more == [] or ran.out == ""
    assert (run.trial.access(), run.state()) == (before, state)


@pytest.mark.parametrize("arguments", ALL)
def test_no_policy(shell: Make, arguments: list[str]) -> None:
    """Without a policy every command says how to name one."""
    run = shell()
    del run.environment["ORGSHARE_POLICY"]
    refused(run, arguments, "Error: no policy: give --policy FILE or set ORGSHARE_POLICY")


@pytest.mark.parametrize("arguments", ALL)
def test_a_policy_that_is_not_there(shell: Make, arguments: list[str]) -> None:
    """A policy file that does not exist is named."""
    run = shell()
    path = f"{run.trial.folder}/none.yaml"
    expected = "expected a policy file (named with --policy or ORGSHARE_POLICY)"
    refused(run, [*arguments, "--policy", path], f"{path}: cannot be read: No such file or directory; {expected}")


@pytest.mark.parametrize("arguments", ALL)
def test_a_policy_with_mistakes_has_a_line_for_each(shell: Make, arguments: list[str]) -> None:
    """Each mistake of a policy is a line of its own that names the file, the line and the place."""
    run = shell()
    run.trial.write_policy(policy(mode="enforced", rules=[rule(folders=["fd prod"])]))
    mode, folder = run.line("mode:"), run.line("- fd prod")
    expected = "expected a folder id, such as fd-abc123, or root"
    refused(
        run,
        arguments,
        f'{run.policy}:{mode}: mode: got "enforced"; expected observe, add or enforce',
        f'{run.policy}:{folder}: rules[0].audience.folders[0]: got "fd prod"; {expected}',
    )


@pytest.mark.parametrize("arguments", [*READING, ["holds"], ["approve", "h-1"]])
def test_a_state_that_is_not_begun(shell: Make, arguments: list[str]) -> None:
    """Without a state every command but validate and init says how to begin it."""
    run = shell(begun=False)
    refused(run, arguments, "Error: " + NOT_BEGUN.format(folder=run.trial.folder))


@pytest.mark.parametrize("arguments", [*READING, ["holds"], ["approve", "h-1"], ["init"]])
def test_a_state_of_another_deployment(shell: Make, arguments: list[str]) -> None:
    """A state that belongs to another deployment is not touched."""
    run = shell()
    run.trial.write_policy(policy(deployment="other"))
    where = f"state file:{run.trial.folder}/state"
    refused(
        run, arguments,
        f"Error: {where}: it belongs to deployment trial, not to other; give each deployment a state of its own",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
def test_a_state_of_another_organization(shell: Make, arguments: list[str]) -> None:
    """A state that was begun for another organization is not touched."""
    run = shell()
    path = next((run.trial.folder / "state").glob("deployment*"))
    path.write_text(path.read_text().replace("rd-trial", "rd-else"))
    refused(
        run, arguments,
        "Error: the state belongs to organization rd-else, but the credentials read rd-trial; give each organization a "
        "state of its own, or correct directory.role; nothing was done",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
def test_no_credentials(shell: Make, arguments: list[str]) -> None:
    """Without credentials every command that reads the cloud names the variables to set."""
    run = shell()
    del run.environment[SECRET]
    refused(
        run, arguments,
        f"Error: no credentials: set {KEY} and {SECRET} (and ALIBABA_CLOUD_SECURITY_TOKEN for temporary ones)",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
@pytest.mark.parametrize(
    ("changed", "code"),
    [({KEY: "LOCALNOBODY"}, "InvalidAccessKeyId.NotFound"), ({SECRET: "x"}, "SignatureDoesNotMatch")],
)
def test_refused_credentials(shell: Make, arguments: list[str], changed: Mapping[str, str], code: str) -> None:
    """Credentials that the cloud does not accept end with 2, with the vendor's code and no secret in the message."""
    run = shell()
    run.environment.update(changed)
    before = run.trial.access()
    ran = run(*arguments, "--json")
    assert (ran.status, ran.out) == (2, "")
    (line,) = ran.errors
    assert line.startswith("Error: sts:")
    assert f": {code}: " in line
    assert line.endswith("; check the credentials")
    assert run.trial.access() == before


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
def test_a_cloud_that_does_not_answer(shell: Make, arguments: list[str]) -> None:
    """When no call gets an answer nothing is done, whatever the command."""
    run = shell()
    run.trial.patch(faults=[{"operation": "*", "kind": "no-answer", "every": 1}])
    before = run.trial.access()
    ran = run(*arguments, "--json")
    assert (ran.status, ran.out) == (2, "")
    (line,) = ran.errors
    assert line.startswith("Error: sts:")
    assert ": no answer: " in line
    assert run.trial.access() == before


@pytest.mark.parametrize("arguments", [["plan"], ["status"], ["apply", "--yes"]])
def test_an_organization_that_does_not_answer(shell: Make, arguments: list[str]) -> None:
    """When the organization gives no answer at all, there is no report either."""
    run = shell()
    run.trial.patch(faults=[{"operation": "resourcemanager:*", "kind": "no-answer", "every": 1}])
    ran = run(*arguments, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.errors[-1].startswith("Error: resourcemanager:GetResourceDirectory: no answer: ")


@pytest.mark.parametrize("arguments", [["plan"], ["status"], ["apply", "--yes"]])
def test_a_caller_that_cannot_be_named_stops_the_run(shell: Make, arguments: list[str]) -> None:
    """Where it cannot be read whose the credentials are, nothing is done, and the report says so."""
    run = shell()
    fault = {"operation": "sts:GetCallerIdentity", "kind": "error", "code": "NoPermission", "status": 403, "every": 1}
    run.trial.patch(faults=[fault])
    before = run.trial.access()
    ran = run(*arguments, "--json")
    assert ran.status == 1
    (gap,) = ran.json["incomplete"]
    assert gap["why"].startswith("whose the credentials are cannot be read: sts:GetCallerIdentity: NoPermission")
    assert run.trial.access() == before


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
def test_another_organization_than_the_policys(shell: Make, arguments: list[str]) -> None:
    """Where the credentials read another organization than the policy names, nothing is done."""
    run = shell(policy=policy(directory={"account": OWNER}))
    run.environment[KEY] = "LOCALMANAGEMENT"
    refused(
        run, arguments,
        f"Error: directory.account is {OWNER}, but the organization that is read has the management account "
        f"{MANAGEMENT}; correct directory.account, or directory.role",
    )  # fmt: skip


def test_regions_that_cannot_be_read_are_left_to_the_run(shell: Make) -> None:
    """Whether an owner has a region cannot be told where its regions cannot be read: that is 1, and not 2."""
    run = shell(policy=policy(owners=[{"account": OWNER, "regions": "all"}]))
    run.trial.patch(faults=[{"operation": "ecs:DescribeRegions", "kind": "error", "every": 1}])
    ran = run("plan", "--region", "cn-hangzhou", "--json")
    assert ran.status == 1
    assert [row["shard"] for row in ran.json["incomplete"]] == [f"ecs/{OWNER}/*"]


@pytest.mark.parametrize("arguments", [*READING, ["init"]])
@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:9", "http://cloud.example.com:80", "http://127.0.0.1", "127.0.0.1:9", "http://[::1", "x"]
)
def test_a_local_cloud_that_is_not_on_this_machine(shell: Make, arguments: list[str], url: str) -> None:
    """Only an address of this machine is taken for a local cloud."""
    run = shell()
    run.environment["ORGSHARE_LOCAL_CLOUD"] = url
    refused(
        run, arguments, f"Error: ORGSHARE_LOCAL_CLOUD={url}: expected http://127.0.0.1:PORT, an address of this machine"
    )


@pytest.mark.parametrize("command", ["plan", "apply --yes", "status"])
@pytest.mark.parametrize(
    ("select", "line"),
    [
        (["--owner", PARTNER], f"--owner {PARTNER}: the policy has no such owner; it has {OWNER}"),
        (["--owner", ""], f"--owner : the policy has no such owner; it has {OWNER}"),
        (["--region", "cn-nowhere"], "--region cn-nowhere: the policy has no such region; it has cn-hangzhou"),
        (
            ["--owner", OWNER, "--region", "cn-nowhere"],
            f"--region cn-nowhere: the policy has no such region of {OWNER}; it has cn-hangzhou",
        ),
        (["--rule", "nome"], "--rule nome: the policy has no such rule; it has golden"),
        (
            ["--image", "m-nope"],
            "image m-nope: no owner and region of the policy has it; correct the id, or name its owner and region "
            "under owners",
        ),
        (
            ["--image", "m-gold", "--image", "m-nope", "--rule", "golden"],
            "image m-nope: no owner and region of the policy has it; correct the id, or name its owner and region "
            "under owners",
        ),
    ],
)
def test_select_of_what_is_not_there(shell: Make, command: str, select: list[str], line: str) -> None:
    """What SELECT names and nobody knows is an error that says what there is."""
    refused(shell(), [*command.split(), *select], f"Error: {line}")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["explain", "m-nope", A],
            "image m-nope: no owner and region of the policy has it; correct the id, or name its owner and region "
            "under owners",
        ),
        (
            ["who", "m-gold,m-silver-none"],
            None,
        ),
        (
            ["explain", "m-gold", "9000000000000009"],
            "account 9000000000000009: it is not in organization rd-trial, no rule names it as a partner, and no "
            "permission read here has it; correct the id",
        ),
        (
            ["who", "--account", "9000000000000009"],
            "account 9000000000000009: it is not in organization rd-trial, no rule names it as a partner, and no "
            "permission read here has it; correct the id",
        ),
    ],
)
def test_questions_about_what_is_not_there(shell: Make, arguments: list[str], line: str | None) -> None:
    """An unknown image or account has no answer."""
    run = shell()
    if line is not None:
        refused(run, arguments, f"Error: {line}")
    else:
        assert run(*arguments).status == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["who"], "Give an IMAGE or --account ACCOUNT, one of the two."),
        (["who", "m-gold", "--account", A], "Give an IMAGE or --account ACCOUNT, one of the two."),
        (["who", ""], "'' is not the id of an image: such as m-bp1example."),
        (["who", "m-gold,m-silver"], "'m-gold,m-silver' is not the id of an image: such as m-bp1example."),
        (["who", "--account", "shop"], "'shop' is not the id of an account: digits only."),
        (["explain", "m-gold", "shop"], "'shop' is not the id of an account: digits only."),
        (["explain", "m-gold"], "Missing argument 'ACCOUNT'."),
        (["apply", "--yes", "--wait", "-1"], "Invalid value for '--wait': -1.0 is not in the range x>=0."),
        (["plan", "--verbose"], "No such option '--verbose'."),
        (["repair"], "No such command 'repair'."),
    ],
)
def test_usage_errors_keep_clicks_form(shell: Make, arguments: list[str], line: str) -> None:
    """A usage error shows the usage and one line, ends with 2, and reads nothing."""
    run = shell()
    for more in ([], ["--json"]):
        ran = run(*arguments, *more)
        assert (ran.status, ran.out) == (2, "")
        assert ran.errors[0].startswith("Usage: orgshare")
        assert ran.errors[-1].startswith(f"Error: {line}")
    assert run.trial.cloud.calls == {}


def test_a_deleted_image_that_the_state_remembers_is_said_so(shell: Make) -> None:
    """Asked about an image that was shared and is gone, the error says that it was there."""
    run = shell()
    run("apply", "--yes")
    run.trial.patch(images={"m-gold": None}, grants={"m-gold": None})
    refused(
        run,
        ["explain", "m-gold", A],
        "Error: image m-gold: no owner and region of the policy has it; the state remembers grants on it, so it was "
        "there; correct the id, or name its owner and region under owners",
    )


def test_a_broken_state_is_an_error(shell: Make) -> None:
    """An object of the state that cannot be read is named, and nothing is done."""
    run = shell()
    run("apply", "--yes")
    run.trial.leave(A)
    newest = min((run.trial.folder / "state" / "shards").rglob("*.json"))
    newest.write_text("{")
    name = newest.relative_to(run.trial.folder / "state")
    refused(
        run, ["apply", "--yes"],
        f"Error: state file:{run.trial.folder}/state: {name} cannot be read, so nothing is done: put it back as it was "
        "written (Input data was truncated)",
    )  # fmt: skip


def test_an_unreadable_plan_file_and_event_are_named(shell: Make, tmp_path: Path) -> None:
    """Files that are not there are named with what was expected."""
    run = shell()
    none = tmp_path / "none.json"
    refused(
        run, ["apply", "--yes", "--plan", str(none)],
        f"Error: {none}: cannot be read: No such file or directory; expected a file of plan --out",
    )  # fmt: skip
    refused(
        run, ["invoke", "membership", str(none)],
        f"Error: {none}: cannot be read: No such file or directory; expected a file with an event",
    )  # fmt: skip


def test_a_traceback_is_shown_with_debug_only(shell: Make) -> None:
    """The line for a person stays the last one, and with --debug the traceback stands before it."""
    run = shell(begun=False)
    ran = run("plan", "--debug")
    assert ran.errors[0] == "Traceback (most recent call last):"
    assert ran.errors[-1] == "Error: " + NOT_BEGUN.format(folder=run.trial.folder)
    assert "Traceback" not in run("plan").err


def test_the_log_is_shown_with_debug_only(shell: Make) -> None:
    """With debug the log names the run, under which a local cloud's request log has it too, and counts its calls."""
    run = shell()
    (begin, _, end) = run("plan", "--json", "--debug").errors
    assert re.search(r" \[debug +\] begin +policy=sha256:\w+ run=\w{12} state=", begin)
    assert re.search(r" \[debug +\] end +calls=\{.*'ecs:DescribeImages': 1.*\} run=\w{12}$", end)
    assert "debug" not in run("plan", "--json").err


def test_what_nobody_foresaw_is_one_line_too(shell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect ends with 1 and one line that names its kind, and with --json with one object."""

    def broken(*_: object) -> None:
        raise TypeError("unexpected\nthing")

    run = shell()
    monkeypatch.setattr("orgshare.cli.changing.make_plan", broken)
    ran = run("plan", "--json")
    assert ran.status == 1
    assert ran.errors[-1] == (
        "Error: TypeError: unexpected thing (not foreseen: a defect of orgshare; --debug shows where)"
    )
    assert list(ran.json) == ["error"]


def test_what_a_person_typed_cannot_steer_the_terminal(shell: Make) -> None:
    """An error repeats its argument without what would move a terminal's cursor."""
    refused(
        shell(), ["plan", "--rule", "a\x1b[2Jb"], "Error: --rule a?[2Jb: the policy has no such rule; it has golden"
    )
