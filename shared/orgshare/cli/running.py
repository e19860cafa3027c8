"""What all commands share: options, streams, errors, and the opening of a run.

Standard output has the report, and with ``--json`` exactly one object (nothing where the exit status is 2); everything
else goes to standard error. What can go wrong is an error that looks like an answer, so nothing is printed on standard
output before the command knows what it says, except the line that names the cloud.
"""

from __future__ import annotations

import functools
import getpass
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.text import Text

from orgshare.cli import statuses
from orgshare.cli.logs import logger
from orgshare.errors import ConfigurationError, CredentialsRefused, NoAnswer, NobodyAnswers, StopRun, VendorError
from orgshare.policy.model import Policy
from orgshare.record.state import State, open_state
from orgshare.report.documents import Document
from orgshare.settings import POLICY, Settings, read_settings
from orgshare.way.runtime import Runtime
from orgshare.wiring import in_cloud, load_policy, make_calls, make_store, new_run, runtime

INTERRUPTED = (
    "interrupted: calls under way were ended in order; what was begun is in the state, the next run finishes it"
)

KNOCK = 5.0
"""Seconds to wait until a local cloud accepts a connection."""


class Terminal:
    """Where one command prints. ``wrote`` says whether the run may have changed something in the cloud."""

    def __init__(self, *, json: bool, debug: bool) -> None:
        self.json = json
        self.debug = debug
        self.policy = ""
        self.wrote: Callable[[], bool] = lambda: False
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr, stderr=True)

    def show(self, *lines: Text | str) -> None:
        """Print lines of the report; with ``--json`` there is no text report."""
        if not self.json:
            _print(self._out, lines)

    def head(self, line: Text) -> None:
        """Print the line that says which cloud this is."""
        _print(self._err if self.json else self._out, [line, *([] if self.json else [""])])

    def say(self, line: str) -> None:
        """Print one line beside the report."""
        _print(self._err, [line])

    def error(self, text: str) -> None:
        """Print an error as the one line that it has to be."""
        self.say("Error: " + " ".join(text.split()))

    def answer(self, document: Document, lines: Iterable[Text | str]) -> None:
        """Print the report, as JSON or as text."""
        if self.json:
            encoded = msgspec.json.format(msgspec.json.encode(document), indent=2)
            click.echo(encoded)
        else:
            _print(self._out, lines)

    def progress(self, text: str) -> AbstractContextManager[object]:
        """Show what is being done, in a terminal only, and gone when it is done."""
        return self._err.status(text) if self._err.is_terminal else nullcontext()

    def trace(self, error: BaseException) -> None:
        """Print the traceback of an error, with ``--debug`` only."""
        if self.debug:
            traceback.print_exception(error)

    def ask(self, question: str) -> bool:
        """Ask a person; an end of input is a no."""
        try:
            return click.confirm(question, err=True)
        except click.Abort:
            return False


def _console(stream: Any, *, stderr: bool = False) -> Console:
    return Console(file=stream, stderr=stderr, highlight=False, markup=False, emoji=False)


def _print(console: Console, lines: Iterable[Text | str]) -> None:
    for line in lines:
        text = line if isinstance(line, Text) else Text(line)
        if not text.plain.isprintable():
            # Names and messages come from outside; nothing in them may steer the terminal.
            text = Text("".join(c if c.isprintable() else "?" for c in text.plain))
        console.print(text, soft_wrap=True)


def command(body: Callable[..., int]) -> Callable[..., None]:
    """Make a click callback of a function that takes a ``Terminal`` and returns its exit status."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    @click.option("--debug", is_flag=True, help="Show the log, and the traceback of an error.")
    @click.pass_context
    @functools.wraps(body)
    def run(context: click.Context, /, *, as_json: bool, debug: bool, **options: Any) -> None:
        terminal = Terminal(json=as_json, debug=debug)
        context.exit(_status(terminal, body, options))

    return run


def _status(terminal: Terminal, body: Callable[..., int], options: dict[str, Any]) -> int:
    try:
        return body(terminal, **options)
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        return _fail(terminal, INTERRUPTED, statuses.FAILED)
    except Exception as error:  # noqa: BLE001  # the last place: whatever it is becomes one line and a status
        terminal.trace(error)
        status = statuses.of_error(error)
        if status == statuses.NOTHING_DONE and terminal.wrote():
            status = statuses.FAILED
        return _fail(terminal, error_text(error), status)


def _fail(terminal: Terminal, text: str, status: int) -> int:
    mistakes = text.splitlines() or [text]
    if terminal.policy and all(line.startswith(f"{terminal.policy}:") for line in mistakes):
        for line in mistakes:  # a line each, as compilers write them, so that editors find the place
            terminal.say(line)
    else:
        terminal.error(text)
    if terminal.json and status != statuses.NOTHING_DONE:
        terminal.answer({"error": text}, ())
    return status


def error_text(error: BaseException) -> str:
    """An error for a person; one that nobody foresaw names its kind."""
    if type(error).__module__.startswith("orgshare."):
        return str(error)
    return f"{type(error).__name__}: {error} (not foreseen: a defect of orgshare; --debug shows where)"


def stopped(terminal: Terminal, error: StopRun, report: Document) -> int:
    """The end of a run that could not begin to read: the error, and a report in which nothing is known.

    Where nobody answered at all there is no report.
    """
    if isinstance(error, NobodyAnswers | CredentialsRefused):
        raise error
    terminal.trace(error)
    terminal.error(str(error))
    if terminal.json:
        terminal.answer(report, ())
    return statuses.FAILED


def policy_option(body: Callable[..., None]) -> Callable[..., None]:
    """``--policy``."""
    return click.option("--policy", metavar="FILE", help=f"The policy file (default: {POLICY}).")(body)


def policy_path(terminal: Terminal, policy: str | None) -> str:
    """The policy's path, for commands that need no credentials."""
    path = policy or os.environ.get(POLICY)
    if not path:
        raise ConfigurationError(f"no policy: give --policy FILE or set {POLICY}")
    terminal.policy = path
    return path


def policy_alone(terminal: Terminal, policy: str | None) -> Policy:
    """The policy, for commands that need little else; only one in object storage takes credentials."""
    path = policy_path(terminal, policy)
    return load_policy(path, lambda: read_settings(os.environ, policy=path))


@contextmanager
def opened(
    terminal: Terminal, policy: str | None, *, change: Callable[[Policy], Policy] = lambda policy: policy
) -> Iterator[tuple[Runtime, Settings]]:
    """The surroundings of a run that reads the cloud, perhaps with another policy than the file's."""
    terminal.policy = policy or os.environ.get(POLICY, "")
    settings = read_settings(os.environ, policy=policy)
    with runtime(settings, change=change) as made:
        terminal.wrote = lambda: any(_writes(operation) for operation in made.cloud.calls())
        log = logger(debug=terminal.debug, run=made.run)
        log.debug("begin", policy=made.policy.digest, state=made.policy.state)
        knock(settings)
        try:
            yield made, settings
        finally:
            log.debug("end", calls=dict(made.cloud.calls()))


def opened_state(terminal: Terminal, policy: str | None) -> tuple[Policy, State]:
    """The policy and its state, for commands that need nothing else of the cloud; a folder needs no credentials."""
    of = policy_alone(terminal, policy)
    settings = read_settings(os.environ, policy=policy) if in_cloud(of) else None
    return of, open_state(make_store(of, settings, new_run(), make_calls()), of.deployment)


def who_runs() -> str:
    """The name of the person at this terminal, as their machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in a container
        return f"uid {os.getuid()}"


def _writes(operation: str) -> bool:
    if operation.startswith("oss:"):
        return False  # that is the state
    return not operation.partition(":")[2].startswith(("Describe", "List", "Get", "Check", "AssumeRole"))


def knock(settings: Settings) -> None:
    """Find out at once whether a local cloud is there: on this machine a refused connection is the last word."""
    if settings.local_cloud is None:
        return
    parts = urlsplit(settings.local_cloud)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=KNOCK):
            pass
    except OSError as error:
        raise NobodyAnswers(
            f"{settings.local_cloud}: nobody answers there ({error.strerror or error}); "
            "start it with «localcloud serve», or correct ORGSHARE_LOCAL_CLOUD"
        ) from error


def which_cloud(made: Runtime, settings: Settings) -> Text:
    """The line that plan and apply begin with: which cloud, whose directory, which deployment, mode, credentials."""
    local = settings.local_cloud
    cloud = (f"LOCAL CLOUD {local}", "bold cyan") if local else ("REAL CLOUD", "bold red")
    rest = (
        f", directory {made.state.beginning.directory}, deployment {made.policy.deployment}, "
        f"mode {made.policy.mode}, credentials of {_caller(made)}"
    )
    return Text.assemble(cloud, rest)


def _caller(made: Runtime) -> str:
    try:
        return made.cloud.caller()
    except NoAnswer as error:
        if not error.code:
            raise NobodyAnswers(f"{error}; check the network, the region, and ORGSHARE_LOCAL_CLOUD") from error
        raise StopRun(f"whose the credentials are cannot be read: {error}") from error
    except VendorError as error:
        raise StopRun(f"whose the credentials are cannot be read: {error}") from error
