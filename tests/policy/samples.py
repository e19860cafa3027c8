"""The sample policy, edits of it, and how the tests read a policy."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from orgshare.errors import ConfigurationError
from orgshare.policy.loading import parse
from orgshare.policy.model import Policy

HERE = Path(__file__).parent
SAMPLE = (HERE / "sample.yaml").read_text(encoding="utf-8")

MINIMAL = """\
version: 1
deployment: small
mode: observe
state: file:state
directory: {account: "1000000000000001"}
owners: [{account: "1000000000000002", regions: all}]
rules: []
"""


class Case(NamedTuple):
    """One block of ``messages.txt``: an edit of the sample and what is said about it."""

    title: str
    text: str
    messages: list[str]


def cases() -> list[Case]:
    """The blocks of ``messages.txt``: ``-`` lines of the sample become ``+`` lines, ``=`` lines are expected."""
    found = []
    for block in (HERE / "messages.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = block.split("\n")
        old, new, messages = ([line[2:] for line in lines if line[0] == sign] for sign in "-+=")
        found.append(Case(title, edit("\n".join(old), "\n".join(new)), messages))
    return found


def edit(old: str, new: str, text: str = SAMPLE) -> str:
    """The text with one piece of whole lines replaced; it has to be there exactly once."""
    assert f"\n{text}".count(f"\n{old}\n") == 1, old
    return f"\n{text}".replace(f"\n{old}\n", f"\n{new}\n")[1:]


def read(text: str | bytes) -> Policy:
    """The policy that a text means."""
    return parse(text, source="policy.yaml", base=Path("/base"))


def problems(text: str | bytes) -> list[str]:
    """The lines of the error that a text gets; none when it is a policy."""
    try:
        read(text)
    except ConfigurationError as error:
        return str(error).split("\n")
    return []
