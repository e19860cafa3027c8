"""``status``, ``explain`` and ``who``: questions. They read what a run reads and change nothing.

What can go wrong is an answer that leaves out what could not be read: then the exit status is 1, and the answer or the
error says what is missing.
"""

from __future__ import annotations

from typing import Any

import click

from orgshare.cli import statuses
from orgshare.cli.running import Terminal, command, opened, policy_option, stopped, which_cloud
from orgshare.cli.selecting import check, select_options, selected
from orgshare.errors import StopRun
from orgshare.focus import EVERYTHING
from orgshare.report.answer_text import explain_lines, status_lines, who_can_lines, who_has_lines
from orgshare.report.documents import (
    Document,
    explain_document,
    planned_document,
    status_document,
    unread_status_document,
    who_document,
)
from orgshare.report.explaining import explain as explained
from orgshare.report.names import names_of
from orgshare.report.overview import overview
from orgshare.report.plan_text import section_lines
from orgshare.way.asking import check_account, check_images, look_at_image
from orgshare.way.planning import make_plan


@click.command()
@policy_option
@select_options
@command
def status(terminal: Terminal, *, policy: str | None, **options: Any) -> int:
    """How rules, regions and images stand, and what waits."""
    select = selected(options)
    with opened(terminal, policy) as (runtime, settings):
        check(select, runtime)
        try:
            terminal.head(which_cloud(runtime, settings))
            with terminal.progress("reading the cloud"):
                planned = make_plan(runtime, select.focus())
                check_images(planned, select.images)
        except StopRun as error:
            directory = runtime.state.beginning.directory
            return stopped(terminal, error, unread_status_document(runtime.policy, directory, str(error)))
        document = status_document(planned, with_images=terminal.json)
        terminal.answer(document, status_lines(overview(planned), document, names_of(planned)))
        return statuses.of_answer(document)


@click.command()
@click.argument("image")
@click.argument("account")
@policy_option
@command
def explain(terminal: Terminal, *, image: str, account: str, policy: str | None) -> int:
    """Whether ACCOUNT can use IMAGE, why, and how to change it."""
    check_ids(image, account)
    with opened(terminal, policy) as (runtime, _):
        with terminal.progress("reading the cloud"):
            planned, decision = look_at_image(runtime, image)
            check_account(planned, account)
        explanation = explained(planned, decision, account)
        terminal.answer(explain_document(explanation), explain_lines(explanation, names_of(planned, decision.image)))
        return statuses.FINE


@click.command()
@click.argument("image", required=False)
@click.option("--account", metavar="ACCOUNT", help="Every image that this account can use.")
@policy_option
@command
def who(terminal: Terminal, *, image: str | None, account: str | None, policy: str | None) -> int:
    """Who can use IMAGE, or what --account can use."""
    if (image is None) == (account is None):
        raise click.UsageError("Give an IMAGE or --account ACCOUNT, one of the two.")
    check_ids(image, account)
    if image is not None:
        return _who_has(terminal, policy, image)
    return _who_can(terminal, policy, account or "")


def _who_has(terminal: Terminal, policy: str | None, image: str) -> int:
    with opened(terminal, policy) as (runtime, _):
        with terminal.progress("reading the cloud"):
            planned, decision = look_at_image(runtime, image)
        lines = who_has_lines(planned, decision, names_of(planned, decision.image))
        terminal.answer(who_document([decision]), lines)
        return statuses.FINE


def _who_can(terminal: Terminal, policy: str | None, account: str) -> int:
    with opened(terminal, policy) as (runtime, _):
        with terminal.progress("reading the cloud"):
            planned = make_plan(runtime, EVERYTHING)
            check_account(planned, account)
        document: Document = who_document(planned.decisions.images, account=account)
        unread = [gap for gap in planned_document(planned)["incomplete"] if "shard" in gap]
        if unread:
            document["incomplete"] = unread
        lines = who_can_lines(planned, account, names_of(planned))
        gaps = [each for block in section_lines({"incomplete": unread}, names_of(planned)) for each in block]
        terminal.answer(document, [*lines, *gaps])
        return statuses.of_answer(document)


def check_ids(image: str | None, account: str | None) -> None:
    """Refuse what cannot be an id before the cloud is asked for it."""
    if image is not None and not (image and image.isascii() and image.isprintable() and not set(image) & set(" ,/")):
        raise click.UsageError(f"{image!r} is not the id of an image: such as m-bp1example.")
    if account is not None and not (account.isascii() and account.isdigit()):
        raise click.UsageError(f"{account!r} is not the id of an account: digits only.")
