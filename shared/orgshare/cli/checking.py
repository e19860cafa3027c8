"""``doctor``: whether everything is there that runs need, and how to mend what is not.

It works where other commands end with an error: without a state, with roles that trust nobody, in a bucket that will
not do. What can go wrong is that it changes what it looks at; only one object of the state is put and deleted again.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import click

from orgshare.cli import statuses
from orgshare.cli.running import Terminal, command, knock, policy_alone, policy_option
from orgshare.policy.model import Policy
from orgshare.report.checks import check_lines, checks_document
from orgshare.settings import Settings, read_settings
from orgshare.way.checking import Check, check_deployment
from orgshare.wiring import (
    THREADS,
    check_versioning,
    in_cloud,
    make_calls,
    make_cloud,
    make_notices,
    make_store,
    new_run,
    try_puts,
)
from orgshare.words import counted


@click.command()
@policy_option
@command
def doctor(terminal: Terminal, *, policy: str | None) -> int:
    """Check credentials, permissions, the organization, owners and state; say how to mend each."""
    of = policy_alone(terminal, policy)
    settings = read_settings(os.environ, policy=policy)
    knock(settings)
    run, calls = new_run(), make_calls()
    with terminal.progress("checking"), ThreadPoolExecutor(THREADS) as executor:
        found = check_deployment(
            of,
            make_cloud(of, settings, run, calls),
            make_store(of, settings, run, calls),
            executor,
            state_in_cloud=in_cloud(of),
            notices=make_notices(settings, run),
            worker=settings.worker,
            check_versioning=check_versioning,
            try_puts=try_puts,
        )
    checks = (_policy(of, settings), *found)
    terminal.answer(checks_document(checks), check_lines(checks))
    return statuses.FINE if all(check.ok for check in checks) else statuses.FAILED


def _policy(of: Policy, settings: Settings) -> Check:
    """A policy that is not in order ends the command before it checks anything, like every command."""
    what = f"{counted(len(of.rules), 'rule')}, {counted(len(of.owners), 'owner')}"
    return Check(check="policy", ok=True, why=f"{settings.policy}: in order: mode {of.mode}, {what}")
