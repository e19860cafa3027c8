"""``init``, ``validate``, ``demo`` and ``invoke``: beginning a deployment, and trying things out.

``validate`` of a file is offline and imports no vendor SDK, so that an editor can call it at every save.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from orgshare.cli import statuses
from orgshare.cli.invoking import HandlerFailed, functions_folder, invoke_function
from orgshare.cli.running import Terminal, command, knock, policy_alone, policy_option
from orgshare.copies import Copies
from orgshare.errors import (
    ConfigurationError,
    IncompleteRead,
    NoAnswer,
    NobodyAnswers,
    NotPermitted,
    Refused,
    StopRun,
    VendorError,
)
from orgshare.policy.model import Policy
from orgshare.ports import Cloud
from orgshare.record.state import BEGINNING, open_state
from orgshare.report.names import NO_NAMES
from orgshare.report.plan_text import report_lines
from orgshare.report.times import moment
from orgshare.settings import POLICY, read_settings
from orgshare.way.recovering import copies_for, identity_of, known_shares, shares_of
from orgshare.way.recovering import recover as rebuild
from orgshare.wiring import begin_state, check_store, make_calls, make_cloud, make_store, new_run, utc_now
from orgshare.words import ResourceShare, Shard, counted


@click.command()
@click.option("--recover", is_flag=True, help="Rebuild what the state should know from tags of ours.")
@policy_option
@command
def init(terminal: Terminal, *, recover: bool, policy: str | None) -> int:
    """Begin the state of a deployment. Harmless where it is begun already."""
    of = policy_alone(terminal, policy)
    settings = read_settings(os.environ, policy=policy)
    knock(settings)
    run = new_run()
    calls = make_calls()
    cloud = make_cloud(of, settings, run, calls)
    with terminal.progress("reading the organization"):
        try:
            reader = cloud.directory()
            directory = reader.identity()
            reader.members(1)  # any member may ask for the directory's id: only this shows that it can be read
        except NoAnswer as error:
            if not error.code:
                raise NobodyAnswers(f"{error}; check the network, and ORGSHARE_LOCAL_CLOUD") from error
            raise StopRun(f"the organization cannot be read: {error}") from error
        except (VendorError, IncompleteRead) as error:
            hint = "; check directory.account and directory.role" if isinstance(error, Refused | NotPermitted) else ""
            raise StopRun(f"the organization cannot be read: {error}{hint}") from error
    if directory.management != of.directory.account:
        raise ConfigurationError(
            f"directory.account is {of.directory.account}, but the organization that is read has the management "
            f"account {directory.management}; correct directory.account, or directory.role"
        )
    store = make_store(of, settings, run, calls)
    check_store(store)
    before = store.get(BEGINNING) is not None
    known = known_shares(open_state(store, of.deployment)) if recover and before else {}
    shares, copies = _recoverable(terminal, of, cloud, known) if recover else ({}, {})
    identity = identity_of(shares)
    state = begin_state(of, store, directory.id, identity=identity)
    if identity not in ("", state.beginning.id):
        raise ConfigurationError(
            f"state {store}: its id is {state.beginning.id}, but the resource shares of this deployment were made for "
            f"the state {identity}; to take them over, let the policy name an empty state and recover that"
        )
    found = rebuild(state, shares, copies, run=run, now=utc_now()) if recover else None
    beginning = state.beginning
    document = {
        "deployment": beginning.deployment,
        "directory": beginning.directory,
        "state": str(store),
        "begun": moment(beginning.begun),
        "new": not before,
        **({"recovered": msgspec.to_builtins(found)} if found is not None else {}),
    }
    said = "begun" if not before else "was begun already" if recover else "was begun already, nothing was done"
    lines = [f"state {store}: {said}: deployment {beginning.deployment}, directory {beginning.directory}"]
    if found is not None:
        lines.append(
            f"recovered {counted(found.rows, 'row')} and {counted(found.shares, 'resource share')} that it did not "
            f"know; forgot {counted(found.gone, 'resource share')} that the cloud does not have; "
            "direct grants that it does not know are nobody's of ours"
        )
        if found.copies:
            lines.append(f"recovered {counted(found.copies, 'copy', 'copies')} of images that it did not know")
    terminal.answer(document, lines)
    return statuses.FINE


def _recoverable(
    terminal: Terminal, of: Policy, cloud: Cloud, known: Mapping[Shard, frozenset[str]]
) -> tuple[Mapping[Shard, tuple[ResourceShare, ...]], Mapping[Shard, Copies]]:
    with terminal.progress("reading the resource shares"):
        try:
            return shares_of(of, cloud, known), copies_for(of, cloud, utc_now())
        except (VendorError, IncompleteRead) as error:
            raise StopRun(f"what carries our tags cannot all be read, so nothing was recovered: {error}") from error


@click.command()
@policy_option
@command
def validate(terminal: Terminal, *, policy: str | None) -> int:
    """Check the policy, offline unless it lies in object storage."""
    of = policy_alone(terminal, policy)
    path = terminal.policy
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
