"""Instances that are processes: their environment, context, life and end."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud import LocalCloud, ManualClock
from localcloud.fc.instances import RUNNER, UNHANDLED, Ask, Launch, Outcome, Pool
from localcloud.inprocess import in_process
from localcloud.ros.stack import read_stack
from localcloud.server import serving
from localcloud.world import parse_world
from tests.support.cloud import OWNER, REGION, START, world
from tests.support.functions import FOLDER, ONE, TWO, Newer, functions, older, start_functions


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    cloud = start_functions(None)
    with in_process(cloud):
        yield cloud
    cloud.close()


def alive(pid: int) -> bool:
    """Whether a process is there; one that has ended and waits for its parent is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    """Wait for a process's end, at most a quarter of a minute."""
    for _ in range(1500):
        if not alive(pid):
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} is still there")


def test_an_instance_is_used_again_and_initialized_once(cloud: LocalCloud) -> None:
    """One process serves one invocation after the other; its initializer ran once, with a context, before the first."""
    first, second = Newer().ask("state"), Newer().ask("state")
    assert first == second
    assert first["pid"] != os.getpid()
    assert len(first["started"]) == 1
    assert first["layer"] == "in the layer"


def test_the_environment_is_the_template_s_and_the_platform_s(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of this process is in it, no credentials above all; the role's temporary ones are."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "ambient")
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "ambient")
    found = Newer().ask("environment")
    assert "ambient" not in found.values()
    assert (found["GREETING"], found["REGION"]) == ("hello", REGION)
    key, token = found["ALIBABA_CLOUD_ACCESS_KEY_ID"], found["ALIBABA_CLOUD_SECURITY_TOKEN"]
    _, principal = cloud._gateway.models.identity.authenticate(key, token, now=cloud.clock.now())
    assert principal.arn == f"acs:ram::{OWNER}:assumed-role/acme-functions/{ONE}"
    assert sorted(found) == [
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
        "FC_ACCOUNT_ID",
        "FC_FUNCTION_HANDLER",
        "FC_FUNCTION_MEMORY_SIZE",
        "FC_FUNCTION_NAME",
        "FC_FUNC_CODE_PATH",
        "FC_INSTANCE_ID",
        "FC_REGION",
        "GREETING",
        "HOME",
        "LANG",
        "PATH",
        "REGION",
        "TMPDIR",
    ]


def test_the_context_of_python_3_10(cloud: LocalCloud) -> None:
    """It has credentials that are good for 36 hours, and a service, which holds the log project."""
    context = Newer().ask("context")
    assert sorted(context) == ["account_id", "credentials", "function", "region", "request_id", "service"]
    assert (context["account_id"], context["region"]) == (OWNER, REGION)
    assert context["function"] == {"name": ONE, "handler": "index.handler", "memory": 128, "timeout": 1}
    assert context["service"]["log_project"] == "logs"
    given = context["credentials"]
    identity, hours = cloud._gateway.models.identity, 3600
    for later in (0, 35 * hours):
        secret, _ = identity.authenticate(
            given["access_key_id"], given["security_token"], now=cloud.clock.now() + later
        )
        assert secret == given["access_key_secret"]
    with pytest.raises(Exception, match="Expired"):
        identity.authenticate(given["access_key_id"], given["security_token"], now=cloud.clock.now() + 36 * hours)
    assert Newer().ask("context")["credentials"] != given, "each invocation has its own"


def test_the_context_of_python_3_12() -> None:
    """It has neither credentials nor a service; what was in the service is in the context and the function."""
    cloud = start_functions(None, functions=functions(Runtime="python3.12"))
    with in_process(cloud):
        context = Newer().ask("context")
        environment = Newer().ask("environment")
    cloud.close()
    assert sorted(context) == [
        "account_id",
        "function",
        "log_project",
        "log_store",
        "logger",
        "region",
        "request_id",
    ]
    assert sorted(context["function"]) == ["handler", "memory", "name", "qualifier", "timeout", "version_id"]
    assert environment["ALIBABA_CLOUD_ACCESS_KEY_ID"].startswith("STS.")


def test_an_exception_is_answered_with_its_type_and_place(cloud: LocalCloud) -> None:
    """The message, the type and the frames of the function's own code; the instance lives on."""
    pid = Newer().ask("state")["pid"]
    answer, content = Newer().invoke({"do": "raise"})
    told = json.loads(content)
    assert answer.headers["x-fc-error-type"] == UNHANDLED
    assert (told["errorMessage"], told["errorType"]) == ("as asked", "ValueError")
    place, line, where, text = told["stackTrace"][-1]
    assert place == f'File "{FOLDER / "one" / "index.py"}"'
    assert (where, text) == ("in handler", 'raise ValueError("as asked")')
    assert line.startswith("line ")
    assert Newer().ask("state")["pid"] == pid


def test_bytes_text_and_the_rest(cloud: LocalCloud) -> None:
    """A handler's bytes are answered as they are, and what it prints is in the log beside the platform's lines."""
    assert Newer().invoke({"do": "bytes"})[1] == b"\x00\x01"
    assert Newer().invoke(b"\xff\x00")[1] == b"\xff\x00"
    Newer().invoke({"do": "say", "text": "something"})
    done = cloud.invocations(ONE)[-1]
    assert done.log.splitlines() == [
        f"FC Invoke Start RequestId: {done.request_id}",
        "something",
        f"FC Invoke End RequestId: {done.request_id}",
    ]


def test_a_process_that_exits_or_is_late_is_replaced(cloud: LocalCloud) -> None:
    """Both are errors of the function; what it had started is ended with it, and the next invocation has a new one."""
    pid = Newer().ask("state")["pid"]
    answer, content = Newer().invoke({"do": "exit"})
    assert answer.headers["x-fc-error-type"] == UNHANDLED
    assert json.loads(content)["errorMessage"].startswith("Process exited unexpectedly before completing request")
    wait_until_gone(pid)
    other = Newer().ask("state")["pid"]
    assert other != pid
    answer, content = Newer().invoke({"do": "sleep", "seconds": 600})
    assert answer.headers["x-fc-error-type"] == UNHANDLED
    assert json.loads(content) == {"errorMessage": "Function time out after 1 seconds"}
    wait_until_gone(other)
    assert Newer().ask("state")["pid"] != other


def test_patience_lets_a_handler_take_longer() -> None:
    """On a slow machine a handler may take more than the template says, which its context still says."""
    cloud = start_functions(None, functions={**functions(), "patience": 30})
    with in_process(cloud):
        answer, _ = Newer().invoke({"do": "sleep", "seconds": 1.2})
        timeout = Newer().ask("context")["function"]["timeout"]
    cloud.close()
    assert ("x-fc-error-type" in answer.headers, timeout) == (False, 1)


def test_an_instance_whose_credentials_run_out_is_replaced(cloud: LocalCloud) -> None:
    """Its environment cannot be renewed, so after 36 hours of the cloud's clock another one is started."""
    pid = Newer().ask("state")["pid"]
    cloud._gateway.models.functions._timers.clear()
    cloud.clock.advance(35 * 3600)  # type: ignore[attr-defined]
    assert Newer().ask("state")["pid"] == pid
    cloud.clock.advance(3600)  # type: ignore[attr-defined]
    assert Newer().ask("state")["pid"] != pid


def test_a_function_of_2_0_has_its_service_in_the_context() -> None:
    """Its name there is the short one."""
    wish = {**functions("template-fc2.yml"), "code": str(FOLDER / "older")}
    cloud = start_functions(None, functions=wish)
    with in_process(cloud):
        context = json.loads(older().invoke_function("acme", "one").data)
    cloud.close()
    assert context == {"function": "one", "service": "acme", "started": 1}


# --- code in zips


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, Any]:
    """The functions as zips, with a layer that holds a package."""
    for name in ("one", "layer"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            for path in sorted((FOLDER / name).rglob("*.py")):
                packed.write(path, path.relative_to(FOLDER / name))
    return {**functions(), "code": str(tmp_path)}


def test_zips_run_like_folders_and_only_with_what_is_in_them(packed: dict[str, Any]) -> None:
    """Code and layer are unpacked elsewhere, and installed packages of this interpreter are out of reach."""
    cloud = start_functions(None, functions=packed)
    with in_process(cloud):
        found, environment = Newer().ask("state"), Newer().ask("environment")
        imported = Newer().ask("import", module="msgspec")
    unpacked = Path(environment["FC_FUNC_CODE_PATH"])
    assert (unpacked / "index.py").is_file()
    assert not unpacked.is_relative_to(packed["code"])
    assert found["layer"] == "in the layer"
    assert imported == "No module named 'msgspec'"
    cloud.close()
    assert not unpacked.exists()


def test_the_interpreter_s_packages_can_stand_in_for_a_layer() -> None:
    """With `packages: interpreter` what is installed here can be imported."""
    cloud = start_functions(None, functions={**functions(), "packages": "interpreter"})
    with in_process(cloud):
        assert Newer().ask("import", module="msgspec") == "msgspec"
    cloud.close()


def test_the_runner_needs_nothing_but_the_standard_library() -> None:
    """It runs in any interpreter, so it imports neither the local cloud nor any package."""
    tree = ast.parse(RUNNER.read_text(encoding="utf-8"))
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


# --- the pool


class _Counted:
    """An instance that is no process."""

    def __init__(self, ended: list[str], name: str) -> None:
        self._ended = ended
        self._name = name

    def call(self, ask: Ask) -> Outcome:
        return Outcome(self._name.encode(), lost=ask.event == b"lose")

    def end(self) -> None:
        self._ended.append(self._name)


def test_the_longest_idle_instance_makes_room() -> None:
    """At the limit an idle instance of another function is ended; a lost one is never used again."""
    stack = read_stack(parse_world(world(functions=functions())))
    ended: list[str] = []
    pool = Pool(lambda launch, _: _Counted(ended, launch.function.name))

    def run(name: str, event: bytes = b"") -> bytes:
        launch = Launch(stack.functions[name], None, {}, "layers", "")
        return pool.run(launch, Ask("handle", "1", event, None), now=0.0, most=1).body

    assert [run(ONE), run(ONE), run("acme-two"), run("acme-two", b"lose"), run("acme-two")] == [
        b"acme-one",
        b"acme-one",
        b"acme-two",
        b"acme-two",
        b"acme-two",
    ]
    assert ended == [ONE, "acme-two"]
    assert pool.count() == 1
    pool.close()
    assert ended == [ONE, "acme-two", "acme-two"]
    assert pool.count() == 0


# --- served


def test_over_a_socket_functions_run_by_themselves_and_call_back() -> None:
    """On a real clock an asynchronous invocation runs without being driven, and `{url}` is where it finds the cloud."""
    cloud = LocalCloud.from_world(world(functions={**functions(), "environment": {"CLOUD": "{url}"}}))
    with serving(cloud) as url:
        client = Newer(http_proxy=url)
        assert client.ask("environment")["CLOUD"] == url
        seen = client.ask("fetch", path="/_localcloud/access?image=m-one")
        assert seen == {"access": []}
        client.later({"do": "say", "text": "by itself"})
        for _ in range(1500):
            if any("by itself" in one.log for one in cloud.invocations(ONE)):
                break
            time.sleep(0.01)
        else:
            pytest.fail("it did not run")
        pid = client.ask("state")["pid"]
    wait_until_gone(pid)


def test_an_instance_that_is_killed_dies_after_its_call_was_carried_out() -> None:
    """Its invocation ends like any whose process exited, the next one has another instance, and nobody else is hit."""
    fault = {"operation": "mns:PublishMessage", "kind": "killed", "times": 1}
    wish = {**functions(), "environment": {"CLOUD": "{url}"}, "patience": 30}
    cloud = LocalCloud.from_world(world(functions=wish, faults=[fault]), clock=ManualClock(START))
    with serving(cloud) as url:
        client = Newer(http_proxy=url)
        told = {"do": "publish", "topic": "acme-failed"}
        pid, other = client.ask("state")["pid"], client.ask("state", TWO)["pid"]
        answer, content = client.invoke({**told, "text": "before its end"})
        assert answer.headers["x-fc-error-type"] == UNHANDLED
        assert json.loads(content)["errorMessage"].startswith("Process exited unexpectedly before completing request")
        wait_until_gone(pid)
        assert client.invoke({**told, "text": "by the next"})[1] == b"201"
        assert [one.body for one in cloud.messages("topics/acme-failed")] == ["before its end", "by the next"]
        assert client.ask("state")["pid"] != pid
        assert client.ask("state", TWO)["pid"] == other


def test_a_run_that_is_killed_is_tried_again_like_any_that_failed() -> None:
    """An asynchronous invocation whose instance died is repeated half a second later, and then gets through."""
    fault = {"operation": "mns:*", "kind": "killed", "times": 1}
    wish = {**functions(), "environment": {"CLOUD": "{url}"}, "patience": 30}
    cloud = LocalCloud.from_world(world(functions=wish, faults=[fault]), clock=ManualClock(START))
    with serving(cloud) as url:
        Newer(http_proxy=url).later({"do": "publish", "topic": "acme-failed", "text": "told"})
        cloud.drain()
        assert [(one.outcome, one.attempt) for one in cloud.invocations(ONE)] == [(UNHANDLED, 1)]
        cloud.advance(0.5)
        assert [(one.outcome, one.attempt) for one in cloud.invocations(ONE)] == [(UNHANDLED, 1), ("ok", 2)]
        assert [one.body for one in cloud.messages("topics/acme-failed")] == ["told", "told"]


def test_without_a_server_the_url_is_unknown() -> None:
    """A function whose environment asks for it fails with words that say so."""
    cloud = start_functions(None, functions={**functions(), "environment": {"CLOUD": "{url}"}})
    with in_process(cloud):
        answer, content = Newer().invoke()
    assert answer.headers["x-fc-error-type"] == UNHANDLED
    assert "functions.environment.CLOUD asks for {url}" in json.loads(content)["errorMessage"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_cloud(tmp_path: Path, how: signal.Signals) -> None:
    """Whether the server is asked to end or killed, a function that is at work ends with it."""
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(world(functions=functions())), encoding="utf-8")
    command = [sys.executable, "-m", "localcloud", "serve", "--world", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        pid = Newer(http_proxy=url).ask("state", "acme-two")["pid"]
        Newer(http_proxy=url).later({"do": "hold"}, "acme-two")
        server.send_signal(how)
        server.wait(30)
    assert server.returncode == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    wait_until_gone(pid)
