"""The group of all commands, in the order in which they come in a deployment's life."""

from __future__ import annotations

import click

from orgshare import __version__
from orgshare.cli.asking import explain, status, who
from orgshare.cli.changing import apply, plan
from orgshare.cli.checking import doctor
from orgshare.cli.holding import approve, holds, reject
from orgshare.cli.looking_back import history
from orgshare.cli.owning import release, retire
from orgshare.cli.pausing import pause, resume
from orgshare.cli.starting import demo, init, invoke, validate


class _InOrder(click.Group):
    """Lists its commands in the order in which they were added."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="orgshare")
def cli() -> None:
    """Keep custom images shared with exactly the accounts that a policy names.

    Exit status: 2 nothing was done (usage, policy, state, credentials), 1 something failed or was not read,
    3 changes are due or something is held or pending, 0 otherwise.
    """


for each in (
    demo, init, validate, doctor, plan, apply, status, explain, who, history, holds, approve, reject, pause, resume,
    release, retire, invoke,
):  # fmt: skip
    cli.add_command(each)
