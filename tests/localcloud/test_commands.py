"""The command `localcloud`, each command over a real socket, with a process of its own where signals matter."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from localcloud.cli import main
from localcloud.server import listen, serving
from tests.support.cloud import BANK, FAR, LAB, ONE, OWNER, PARTNER, REGION, SHOP, TWO, UNKNOWN, Clients, start, world


@pytest.fixture
def url() -> Iterator[str]:
    """A running local cloud with a manual clock and a few shares."""
    with serving(start(world(grants={ONE: [SHOP, BANK], TWO: [BANK, LAB]}))) as served:
        yield served


@pytest.fixture
def world_file(tmp_path: Path) -> Path:
    """The usual world in a file."""
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(world(grants={ONE: [SHOP, BANK]})), encoding="utf-8")
    return path


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=text)


def failed(result: Result, message: str) -> None:
    """Status 2, nothing on standard output, and exactly this line."""
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"localcloud: {message}\n")


@contextlib.contextmanager
def served(world_file: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`localcloud serve` in a process of its own, and the URL that it prints."""
    command = [sys.executable, "-m", "localcloud", "serve", "--world", str(world_file), *options]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_its_url_answers_and_ends_with_a_signal(world_file: Path, stop: signal.Signals) -> None:
    """The first line is the URL alone, the rest of standard output stays empty, and a signal ends it with 0."""
    with served(world_file) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert Clients(http_proxy=url).shared_with(ONE) == [SHOP, BANK]
        process.send_signal(stop)
        rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_serve_takes_the_port_that_it_is_told(world_file: Path) -> None:
    """A port can be chosen; one that is taken is an error of one line before anything is printed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--world", str(world_file), "--port", str(port))
        failed(result, f"port {port}: Address already in use; choose another with --port")
    with served(world_file, "--port", str(port)) as (_, url):
        assert url == f"http://127.0.0.1:{port}"


def test_serve_listens_on_loopback_only() -> None:
    """The socket is bound to 127.0.0.1, so nobody else on the network can reach it."""
    with listen(0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_serve_keeps_its_connections_out_of_the_way_of_the_end(world_file: Path) -> None:
    """A client that keeps its connection open does not hold up the end."""
    with (
        served(world_file) as (process, url),
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as kept,
    ):
        kept.sendall(b"GET /_localcloud/access HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(20).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("directory: 5", "world.yaml: directory: expected a mapping, found a number"),
        ("grants: {m-1: []}", "world.yaml: grants.m-1: no such image in images"),
        ("a: [", "world.yaml: line 2, column 1: did not find expected node content"),
    ],
)
def test_serve_refuses_a_bad_world(tmp_path: Path, text: str, message: str) -> None:
    """A bad world ends with 2 and one line, and no URL is printed."""
    path = tmp_path / "world.yaml"
    path.write_text(text, encoding="utf-8")
    failed(run("serve", "--world", str(path)), message)


def test_serve_refuses_a_world_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is one line too, and so is a request log that cannot be written."""
    failed(run("serve", "--world", str(tmp_path / "none.yaml")), "none.yaml: cannot be read: No such file or directory")
    (tmp_path / "w.yaml").write_text("{}", encoding="utf-8")
    log = tmp_path / "none" / "log"
    result = run("serve", "--world", str(tmp_path / "w.yaml"), "--request-log", str(log))
    failed(result, f"{log}: No such file or directory")


def test_serve_writes_a_line_a_request(world_file: Path, tmp_path: Path) -> None:
    """The request log has the contract's keys, one JSON object a line, there as soon as the answer is."""
    log = tmp_path / "requests.jsonl"
    with served(world_file, "--request-log", str(log)) as (_, url):
        clients = Clients(http_proxy=url, user_agent="orgshare/1 run/7")
        clients.share(ONE, LAB)
        Clients(region=FAR, http_proxy=url).images()
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    keys = ["time", "account", "principal", "agent", "product", "action", "region", "status", "code", "request_id"]
    assert [list(line) for line in lines] == [keys, keys]
    assert [(line["action"], line["region"], line["status"], line["code"]) for line in lines] == [
        ("ModifyImageSharePermission", REGION, 200, ""),
        ("DescribeImages", FAR, 200, ""),
    ]
    assert lines[0]["account"] == OWNER
    assert "orgshare/1 run/7" in lines[0]["agent"]


def test_the_clock_moves_by_command(world_file: Path) -> None:
    """With a manual clock delays pass by `localcloud clock`; a real clock refuses."""
    with served(world_file, "--clock", "manual") as (_, url):
        assert run("change", "--url", url, "-", text="{delays: {share: 60}, grants: {m-one: []}}").exit_code == 0
        clients = Clients(http_proxy=url)
        assert clients.shared_with(ONE) == [SHOP, BANK]
        result = run("clock", "--url", url, "--advance", "60")
        assert result.exit_code == 0
        assert result.stdout.endswith("Z\n")
        assert clients.shared_with(ONE) == []
    with served(world_file) as (_, url):
        failed(run("clock", "--url", url, "--advance", "1"), "the clock is real; only a manual clock can be moved")


def test_show_prints_a_table_or_json(url: str) -> None:
    """Everything, one image, one account; JSON is the contract's document in one line."""
    table = run("show", "--url", url)
    assert table.exit_code == 0
    assert all(word in table.stdout for word in ("image", "account", "channels", ONE, TWO, SHOP, BANK, LAB, "direct"))
    assert SHOP not in run("show", "--url", url, "--image", TWO).stdout
    assert "Nobody has access" in run("show", "--url", url, "--image", "m-x").stdout
    result = run("show", "--url", url, "--account", LAB, "--json")
    assert json.loads(result.stdout) == {"access": [{"image": TWO, "account": LAB, "channels": ["direct"]}]}
    assert result.stdout.count("\n") == 1


def test_change_reads_a_file_or_standard_input(url: str, tmp_path: Path) -> None:
    """A part of a world changes the running one; a bad part changes nothing."""
    part = tmp_path / "part.yaml"
    part.write_text(yaml.safe_dump({"grants": {ONE: [PARTNER]}}), encoding="utf-8")
    assert run("change", "--url", url, str(part)).exit_code == 0
    assert run("change", "--url", url, "-", text=f'grants: {{m-three: ["{SHOP}"]}}').exit_code == 0
    bad = run("change", "--url", url, "-", text=f'grants: {{m-one: ["{UNKNOWN}"]}}')
    assert bad.exit_code == 2
    assert bad.stderr.startswith(f'localcloud: world: grants.m-one[0]: no account "{UNKNOWN}": ')
    rows = json.loads(run("show", "--url", url, "--json").stdout)["access"]
    assert [(row["image"], row["account"]) for row in rows] == [
        (ONE, PARTNER),
        ("m-three", SHOP),
        (TWO, BANK),
        (TWO, LAB),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", '<stdin>: line 2, column 1: the key "a" is there twice'),
        ("", "world: expected a mapping"),
        ("- 1", "world: expected a mapping"),
        ("a: 1", "world: a: unknown key; known: "),
    ],
)
def test_change_refuses_what_is_no_part_of_a_world(url: str, text: str, message: str) -> None:
    """Each mistake is one line."""
    result = run("change", "--url", url, "-", text=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"localcloud: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["show"], ["change", "-"], ["clock", "--advance", "1"]])
def test_commands_say_when_nobody_answers(command: list[str]) -> None:
    """An address without a server, something else there, or no address at all is one line."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run(command[0], "--url", f"http://127.0.0.1:{port}", *command[1:], text="{}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"http://127.0.0.1:{port}: nobody answers" in result.stderr
    assert result.stderr.count("\n") == 1
    for wrong in ("127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1:port", ""):
        result = run(command[0], "--url", wrong, *command[1:], text="{}")
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_proxies_of_the_environment_are_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands go straight to the address, whatever HTTP_PROXY says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert run("show", "--url", url).exit_code == 0


def test_usage_errors_and_help() -> None:
    """What is missing is a usage error; help names every command."""
    assert run("serve").exit_code == 2
    assert run("show").exit_code == 2
    words = run("--help").stdout
    assert all(command in words for command in ("serve", "show", "change", "clock"))


def test_the_module_is_the_command() -> None:
    """`python -m localcloud` and the installed script are the same command."""
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("Usage: localcloud ")
