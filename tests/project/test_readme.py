"""The README says what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from docs.outputs import steady
from orgshare.cli.commands import cli
from orgshare.policy.loading import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The first table below a heading, without its head."""
    part = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    table = []
    for line in lines[2:]:
        if set(line) <= set("|- "):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_the_readme_names_every_command_and_no_other() -> None:
    """The table of commands is the program's list."""
    named = {name for row in rows("The commands") for name in re.findall(r"`([a-z]+)\b", row[0])}
    assert named & {"demo", "init"}
    assert {name for name in named if name in cli.commands} == set(cli.commands)
    first = {re.findall(r"`([a-z]+)", row[0])[0] for row in rows("The commands")[: len(cli.commands)]}
    assert first == set(cli.commands)


def test_the_readme_names_options_that_exist() -> None:
    """Every --option in the table of commands is one of the command it stands with."""
    for row in rows("The commands")[: len(cli.commands)]:
        name = re.findall(r"`([a-z]+)", row[0])[0]
        options = {o for p in cli.commands[name].params if isinstance(p, click.Option) for o in p.opts}
        assert set(re.findall(r"--[a-z]+", row[0])) <= options, name


README_POLICY = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[0]


def test_the_first_policy_is_in_order() -> None:
    """It can be copied as it stands."""
    assert parse(README_POLICY, source="policy.yaml", base=Path("/")).deployment == "golden-images"


@pytest.mark.skipif(sys.platform == "win32", reason="the transcripts are of a POSIX shell")
def test_what_the_readme_shows_is_what_is_printed() -> None:
    """Every transcript is what the program prints today, times and ids aside; make docs writes it anew."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.outputs", "--check"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("time", ["2026-11-28 20:58:07 UTC", "2026-11-28 20:58 UTC"])
def test_a_transcript_is_the_same_whenever_it_is_made(time: str) -> None:
    """A time that falls on a full minute is printed without seconds, and shown like any other."""
    assert steady(f"4 pairs, since {time}: held") == "4 pairs, since 2026-11-21 12:00:00 UTC: held\n"


def test_everything_that_the_readme_links_to_exists() -> None:
    """No link leads nowhere: neither to a document nor to a heading of its own."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    headings = {f"#{text.lower().replace(' ', '-')}" for text in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    assert links
    assert [link for link in links if link not in headings and not (ROOT / link).is_file()] == []


def keys(policy: object) -> set[str]:
    """Every key of a policy, at whatever depth."""
    if isinstance(policy, dict):
        return set(policy).union(*map(keys, policy.values()))
    return set().union(*map(keys, policy)) if isinstance(policy, list) else set()


def test_the_table_of_the_policy_has_every_key() -> None:
    """A policy that uses every key is the measure; what is below a tag is no key."""
    everything = yaml.load((ROOT / "tests" / "policy" / "sample.yaml").read_text(), yaml.BaseLoader)
    explained = set(re.findall(r"\w+", " ".join(" ".join(row) for row in rows("The policy"))))
    assert keys(everything) - {"env", "share"} - explained == set()
