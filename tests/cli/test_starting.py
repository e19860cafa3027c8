"""``init``, ``validate``, ``demo`` and ``invoke``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from orgshare.cli.invoking import functions_folder
from tests.cli.conftest import Shell
from tests.support.trial import OWNER, A, B, C, policy, rule

Make = Callable[..., Shell]
WANTED = {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B}}
NOTHING: dict[str, set[str]] = {"m-gold": set(), "m-silver": set(), "m-bronze": set()}
SWEEP = '{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}'


def test_init_begins_a_state_once(shell: Make) -> None:
    """Init begins a state, and a second init says that it was begun and changes nothing."""
    run = shell(begun=False)
    where = f"state file:{run.trial.folder}/state"
    ran = run("init")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines == [f"{where}: begun: deployment trial, directory rd-trial"]
    state = run.state()
    again = run("init")
    assert again.lines == [f"{where}: was begun already, nothing was done: deployment trial, directory rd-trial"]
    assert run.state() == state
    assert run("init", "--json").json == {
        "deployment": "trial", "directory": "rd-trial", "state": f"file:{run.trial.folder}/state",
        "begun": "2026-11-21T12:00:00Z", "new": False,
    }  # fmt: skip
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == WANTED


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"directory": {"account": "1000000000000001"}}, "; check directory.account and directory.role"),
        ({"directory": {"account": "1000000000000001", "role": "acs:ram::1000000000000001:role/none"}}, ""),
    ],
)
def test_init_without_leave_to_read_the_organization(shell: Make, change: dict[str, object], hint: str) -> None:
    """An organization that may not be read ends init with 1, and no state is begun."""
    run = shell(begun=False, policy=policy(**change))
    ran = run("init", "--json")
    assert ran.status == 1
    assert ran.json["error"].startswith("the organization cannot be read: ")
    assert ran.json["error"].endswith(hint)
    assert run.state() == {}


def test_validate_says_that_a_policy_is_in_order(shell: Make) -> None:
    """A good policy is one line, and needs neither credentials nor a state."""
    run = shell(begun=False, policy=policy(rules=[rule("b"), rule("a", {"name": "x"}), rule("c", {"name": "y"})]))
    run.environment = {"ORGSHARE_POLICY": run.policy}
    ran = run("validate")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines == [f"{run.policy}: in order: deployment trial, mode enforce, 3 rules, 1 owner"]
    document = run("validate", "--json").json
    digest = document.pop("policy")
    assert digest.startswith("sha256:")
    assert document == {
        "valid": True, "deployment": "trial", "mode": "enforce", "owners": [OWNER], "rules": ["a", "b", "c"],
    }  # fmt: skip
    assert run.trial.cloud.calls == {}


def test_policy_can_be_named_after_the_command(shell: Make) -> None:
    """--policy wins over the environment."""
    run = shell()
    other = run.trial.folder / "other.yaml"
    Path(run.policy).rename(other)
    assert run("validate").status == 2
    assert run("validate", "--policy", str(other)).status == 0


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A story of the demo that prints one line and ends with 1; what it was told."""
    told: list[bool] = []
    module = ModuleType("orgshare_demo.story")

    def run(*, keep: bool) -> int:
        told.append(keep)
        print("once upon a time")
        return 1

    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "orgshare_demo.story", module)
    return told


def test_demo_tells_its_story(shell: Make, story: list[bool]) -> None:
    """Demo prints the story and ends as it ends; with --json the story goes to standard error."""
    run = shell()
    ran = run("demo")
    assert (ran.status, ran.out) == (1, "once upon a time\n")
    ran = run("demo", "--keep", "--json")
    assert (ran.status, ran.json, ran.err) == (1, {"status": 1}, "once upon a time\n")
    assert story == [False, True]


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder of small functions that show how they were called."""
    folder = tmp_path / "functions"
    sources = {
        "shows": """
import json
READY = []
def initialize(context):
    READY.append(context.request_id)
def handler(event, context):
    print("a line on standard output")
    c, f, s = context.credentials, context.function, context.service
    return json.dumps({
        "event": event.decode(), "bytes": isinstance(event, bytes), "initialized": READY == [context.request_id],
        "key": c.access_key_id, "token": c.security_token, "function": [f.name, f.handler, f.memory, f.timeout],
        "service": [s.log_project, s.log_store, s.qualifier, s.version_id],
        "where": [context.region, context.account_id],
        "module": __name__,
    })
""",
        "raises": "def handler(event, context):\n    raise ValueError('no\\nway')\n",
        "broken": "import nothing_of_this_name\n",
        "text": "def handler(event, context):\n    return 'plain text'\n",
        "bytes": "def handler(event, context):\n    return b'[1, 2]'\n",
        "failing": 'def handler(event, context):\n    return \'{"failed": [1], "incomplete": []}\'\n',
        "policy": "import os\ndef handler(event, context):\n    return os.environ['ORGSHARE_POLICY']\n",
        "misconfigured": (
            "from orgshare.errors import ConfigurationError\n"
            "def handler(event, context):\n    raise ConfigurationError('the policy is wrong')\n"
        ),
    }
    for name, source in sources.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "index.py").write_text(source)
    return folder


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """A timer's event."""
    path = tmp_path / "event.json"
    path.write_text(SWEEP)
    return path


def test_invoke_calls_a_handler_as_function_compute_does(shell: Make, functions: Path, event: Path) -> None:
    """A handler gets bytes and a context of the Python 3.10 runtime, after its initializer got the same one."""
    ran = shell()("invoke", "shows", str(event), "--functions", str(functions), "--json")
    assert ran.status == 0
    assert ran.json == {
        "event": SWEEP, "bytes": True, "initialized": True, "key": "LOCALIMAGES", "token": None,
        "function": ["shows", "index.handler", 512, 600], "service": ["", "", "LATEST", ""],
        "where": ["cn-hangzhou", ""], "module": "orgshare_function_shows",
    }  # fmt: skip
    assert ran.err == "a line on standard output\n"


@pytest.mark.parametrize(
    ("function", "status", "out", "error"),
    [
        ("text", 0, "plain text\n", ""),
        ("bytes", 0, "[1, 2]\n", ""),
        ("failing", 1, '{"failed": [1], "incomplete": []}\n', ""),
        ("raises", 1, "", "Error: function raises raised ValueError: no way\n"),
        (
            "broken",
            1,
            "",
            "Error: function broken raised ModuleNotFoundError: No module named 'nothing_of_this_name'\n",
        ),
        ("misconfigured", 2, "", "Error: the policy is wrong\n"),
    ],
)
def test_invoke_ends_as_the_handler_does(
    shell: Make, functions: Path, event: Path, function: str, status: int, out: str, error: str
) -> None:
    """What a handler returns is printed; one that raises ends with 1 and one line."""
    ran = shell()("invoke", function, str(event), "--functions", str(functions))
    assert (ran.status, ran.out, ran.err) == (status, out, error)


@pytest.mark.parametrize(
    ("function", "document"),
    [
        ("text", {"result": "plain text"}),
        ("bytes", {"result": [1, 2]}),
        ("raises", {"errorMessage": "no\nway", "errorType": "ValueError"}),
    ],
)
def test_invoke_prints_one_object(
    shell: Make, functions: Path, event: Path, function: str, document: dict[str, object]
) -> None:
    """With --json whatever a handler returns or raises is one object."""
    assert shell()("invoke", function, str(event), "--functions", str(functions), "--json").json == document


def test_invoke_hands_the_policy_on(shell: Make, functions: Path, event: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--policy reaches the handler through its environment, as it would in the cloud."""
    monkeypatch.setenv("ORGSHARE_POLICY", "")
    ran = shell()("invoke", "policy", str(event), "--functions", str(functions), "--policy", "other.yaml")
    assert ran.out == "other.yaml\n"


def test_invoke_of_an_unknown_function_names_those_there_are(shell: Make, functions: Path, event: Path) -> None:
    """A function that is not there, or is no name at all, is refused with the list of those there are."""
    run = shell()
    known = "broken, bytes, failing, misconfigured, policy, raises, shows, text"
    for name in ("nothing", "../shows", "SHOWS", ""):
        ran = run("invoke", name, str(event), "--functions", str(functions))
        assert (ran.status, ran.errors) == (
            2, [f"Error: function {name}: {functions} has no such function; it has {known}"],
        )  # fmt: skip
    ran = run("invoke", "shows", str(event), "--functions", str(functions / "none"))
    assert ran.errors == [f"Error: function shows: {functions / 'none'} has no such function; it has none"]


def test_invoke_runs_the_functions_of_this_project(shell: Make, event: Path) -> None:
    """The reconcile function, without a folder named, sweeps everything and reports it as apply does."""
    run = shell()
    run.trial.grant_by_hand("m-gold", C)
    ran = run("invoke", "reconcile", str(event))
    assert ran.status == 0
    assert run.trial.access() == {**WANTED, "m-gold": {A, B, C}}
    assert ran.lines[0] == f"m-bronze, ecs cn-hangzhou, owner {OWNER}"
    assert "done: 3 of 3 changes, + 6 pairs gained" in ran.lines
    again = run("invoke", "reconcile", str(event), "--json")
    assert (again.status, again.json["changes"], again.json["done"]) == (0, [], [])


@pytest.mark.parametrize("text", ["{", "7", ""])
def test_a_malformed_event_makes_the_handler_raise(shell: Make, tmp_path: Path, text: str) -> None:
    """An event that cannot be read ends with 1, and nothing is changed."""
    run = shell()
    path = tmp_path / "bad.json"
    path.write_text(text)
    ran = run("invoke", "membership", str(path), "--json")
    assert ran.status == 1
    assert ran.json["errorType"] == "MalformedEvent"
    assert ran.errors[-1].startswith("Error: function membership raised MalformedEvent: ")
    assert run.trial.access() == NOTHING


@pytest.mark.parametrize(("checkout", "expected"), [(True, "top/functions"), (False, "top/shared/orgshare/_functions")])
def test_functions_are_found_in_a_checkout_and_in_an_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: bool, expected: str
) -> None:
    """Beside shared in a checkout, inside the package where it is installed."""
    package = tmp_path / "top" / "shared" / "orgshare"
    package.mkdir(parents=True)
    if checkout:
        (tmp_path / "top" / "functions").mkdir()
    monkeypatch.setattr("orgshare.__file__", str(package / "__init__.py"))
    assert functions_folder() == tmp_path / expected
