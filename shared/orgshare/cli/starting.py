"""``init``, ``validate``, ``demo`` and ``invoke``: beginning a deployment, and trying things out.

``validate`` is offline and imports no vendor SDK, so that an editor can call it at every save.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from orgshare.cli import statuses
from orgshare.cli.invoking import HandlerFailed, functions_folder, invoke_function
from orgshare.cli.running import Terminal, command, knock, policy_option, policy_path
from orgshare.errors import ConfigurationError, IncompleteRead, NoAnswer, NobodyAnswers, Refused, StopRun, VendorError
from orgshare.policy.loading import load
from orgshare.record.state import BEGINNING
from orgshare.record.store import DirectoryStore
from orgshare.report.lines import counted
from orgshare.report.names import NO_NAMES
from orgshare.report.plan_text import report_lines
from orgshare.report.times import moment
from orgshare.settings import POLICY, read_settings
from orgshare.wiring import begin_state, make_cloud, new_run


@click.command()
@policy_option
@command
def init(terminal: Terminal, *, policy: str | None) -> int:
    """Begin the state of a deployment. Harmless where it is begun already."""
    of = load(policy_path(terminal, policy))
    settings = read_settings(os.environ, policy=policy)
    knock(settings)
    with terminal.progress("reading the organization"):
        try:
            reader = make_cloud(of, settings, new_run()).directory()
            directory = reader.identity()
            reader.members(1)  # any member may ask for the directory's id: only this shows that it can be read
        except NoAnswer as error:
            if not error.code:
                raise NobodyAnswers(f"{error}; check the network, and ORGSHARE_LOCAL_CLOUD") from error
            raise StopRun(f"the organization cannot be read: {error}") from error
        except (VendorError, IncompleteRead) as error:
            hint = "; check directory.account and directory.role" if isinstance(error, Refused) else ""
            raise StopRun(f"the organization cannot be read: {error}{hint}") from error
    if directory.management != of.directory.account:
        raise ConfigurationError(
            f"directory.account is {of.directory.account}, but the organization that is read has the management "
            f"account {directory.management}; correct directory.account, or directory.role"
        )
    before = DirectoryStore(Path(of.state)).get(BEGINNING) is not None
    beginning = begin_state(of, directory.id).beginning
    document = {
        "deployment": beginning.deployment,
        "directory": beginning.directory,
        "state": f"file:{of.state}",
        "begun": moment(beginning.begun),
        "new": not before,
    }
    said = "was begun already, nothing was done" if before else "begun"
    terminal.answer(
        document,
        [f"state file:{of.state}: {said}: deployment {beginning.deployment}, directory {beginning.directory}"],
    )
    return statuses.FINE


@click.command()
@policy_option
@command
def validate(terminal: Terminal, *, policy: str | None) -> int:
    """Check the policy, offline."""
    path = policy_path(terminal, policy)
    of = load(path)
    document = {
        "valid": True,
        "policy": of.digest,
        "deployment": of.deployment,
        "mode": of.mode,
        "owners": sorted(owner.account for owner in of.owners),
        "rules": sorted(rule.name for rule in of.rules),
    }
    what = f"{counted(len(of.rules), 'rule')}, {counted(len(of.owners), 'owner')}"
    terminal.answer(document, [f"{path}: in order: deployment {of.deployment}, mode {of.mode}, {what}"])
    return statuses.FINE


@click.command()
@click.option("--keep", is_flag=True, help="Leave the local cloud running.")
@command
def demo(terminal: Terminal, *, keep: bool) -> int:
    """Show everything on this machine, with a local cloud."""
    story = importlib.import_module("orgshare_demo.story")
    if not terminal.json:
        return int(story.run(keep=keep))
    with contextlib.redirect_stdout(sys.stderr):
        status = int(story.run(keep=keep))
    terminal.answer({"status": status}, ())
    return status


@click.command()
@click.argument("function")
@click.argument("event", metavar="EVENT.json", type=click.Path(path_type=Path))
@click.option(
    "--functions",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the functions are (default: this project's).",
)
@policy_option
@command
def invoke(terminal: Terminal, *, function: str, event: Path, functions: Path | None, policy: str | None) -> int:
    """Run a function's handler as Function Compute would."""
    if policy is not None:
        os.environ[POLICY] = policy  # a handler reads its settings from its environment
    terminal.policy = os.environ.get(POLICY, "")
    try:
        with terminal.progress(f"running {function}"), contextlib.redirect_stdout(sys.stderr):
            returned = invoke_function(functions or functions_folder(), function, event)
    except HandlerFailed as error:
        terminal.trace(error)
        terminal.error(str(error))
        if terminal.json:
            terminal.answer(error.document(), ())
        return statuses.FAILED
    result = _decoded(returned)
    terminal.answer(result if isinstance(result, dict) else {"result": result}, _lines(result))
    return statuses.of_function(result)


def _decoded(returned: str) -> Any:
    try:
        return json.loads(returned)
    except ValueError:
        return returned


def _lines(result: Any) -> list[Any]:
    """A handler's result for a person: the report of a run, or whatever it is."""
    report = {"changes", "done", "failed", "refused", "held", "findings", "pending", "incomplete", "mode", "calls"}
    if isinstance(result, dict) and report <= result.keys():
        return list(report_lines(result, NO_NAMES))
    return [result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)]
