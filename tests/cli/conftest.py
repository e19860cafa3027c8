"""The command line in this process, against a local cloud in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from localcloud.inprocess import in_process
from orgshare.cli.commands import cli
from tests.support.trial import URL, Trial

ENVIRONMENT = {
    "ORGSHARE_LOCAL_CLOUD": URL,
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
}


class Ran(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it has to be."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


class Shell:
    """Runs commands as a person in the trial's folder would."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.environment = {**ENVIRONMENT, "ORGSHARE_POLICY": str(trial.folder / "policy.yaml")}

    def __call__(self, *arguments: str, input: str | None = None) -> Ran:  # noqa: A002
        result = CliRunner(env=self.environment).invoke(cli, arguments, input=input, prog_name="orgshare")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    @property
    def policy(self) -> str:
        """The policy's path."""
        return self.environment["ORGSHARE_POLICY"]

    def line(self, text: str) -> int:
        """The line of the policy that begins with this text, indented or not."""
        lines = Path(self.policy).read_text().splitlines()
        return 1 + next(number for number, line in enumerate(lines) if line.strip().startswith(text))

    def state(self) -> dict[str, bytes]:
        """Every object of the state."""
        folder = self.trial.folder / "state"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shell]]:
    """Make shells, each with a world, a policy and a begun state of its own. Time is the local cloud's clock."""
    with ExitStack() as stack:
        count = 0

        def make(*, begun: bool = True, **options: Any) -> Shell:
            nonlocal count
            count += 1
            folder = tmp_path / str(count)
            folder.mkdir()
            trial = Trial(folder, **options)
            stack.enter_context(in_process(trial.cloud, sleep=lambda _: None))
            for place in ("wiring", "cli.holding", "cli.pausing", "cli.looking_back", "cli.starting"):
                monkeypatch.setattr(f"orgshare.{place}.utc_now", trial.now)
            monkeypatch.setattr("orgshare.wiring.time", SimpleNamespace(sleep=lambda _: None, monotonic=monotonic))
            for place in ("running", "starting", "checking"):
                monkeypatch.setattr(f"orgshare.cli.{place}.knock", lambda _: None)
            if begun:
                trial.begin()
            return Shell(trial)

        yield make
