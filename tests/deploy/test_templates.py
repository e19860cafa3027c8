"""The templates are in order, and whatever is wrong with one is found and named."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from deploy import check as checking
from deploy.metadata import Metadata
from deploy.project import ROOT, TEMPLATES, this_project
from deploy.reading import Finding, parse

MAIN = "template.yml"
METADATA = Metadata()
PROJECT = this_project()
TEXTS = {name: (ROOT / name).read_text() for name in TEMPLATES}
READ = {name: parse(text, name) for name, text in TEXTS.items()}


def findings(name: str, text: str) -> list[Finding]:
    """What is found in one template, the others left as they are."""
    return list(checking.check({**READ, name: parse(text, name)}, PROJECT, METADATA))


def test_every_template_is_in_order() -> None:
    """In form, and for this project; all of them together let the code make every call that it makes."""
    assert [str(finding) for finding in checking.check(READ, PROJECT, METADATA)] == []


def test_every_template_of_the_project_is_checked() -> None:
    """None lies beside the list."""
    assert {path.name for path in ROOT.glob("template*.yml")} == set(TEMPLATES)


SEEDED: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "seeded.yaml").read_text())


@pytest.mark.parametrize("seed", SEEDED, ids=[f"{seed['file']}-{seed['place']}" for seed in SEEDED])
def test_a_seeded_mistake_is_rejected_with_a_message_that_names_the_place(seed: dict[str, str]) -> None:
    """And the file, the line, what is wrong and how to mend it."""
    name, text = seed["file"], TEXTS[seed["file"]]
    assert seed["instead_of"] in text
    found = findings(name, text.replace(seed["instead_of"], seed["is_written"], 1))
    there = [one for one in found if one.place == seed["place"]]
    assert seed["says"] in "\n".join(map(str, there)), list(map(str, found))
    assert all(one.file == name and one.line > 0 and one.mend for one in there)


def test_more_than_twenty_mistakes_are_seeded_in_the_main_template() -> None:
    """Of every kind that the check knows."""
    assert len([seed for seed in SEEDED if seed["file"] == MAIN]) > 50


def test_what_is_no_yaml_is_a_finding_on_its_line() -> None:
    """A template that cannot be read is one finding, not a traceback."""
    (found,) = (one for one in findings(MAIN, "Resources:\n  a: [\n  b: {\n") if one.file == MAIN)
    assert (found.line, found.place) == (3, "the file") or "no YAML" in found.what


def test_an_alias_is_refused() -> None:
    """The service's documents do not speak of YAML's anchors."""
    text = TEXTS[MAIN].replace("AccessControl: private", "AccessControl: &a private", 1).replace(
        "StorageClass: Standard", "StorageClass: *a", 1
    )  # fmt: skip
    assert any("alias" in one.what for one in findings(MAIN, text))


def test_the_command_prints_a_line_for_each_finding_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with 0 and a count where everything is in order."""
    path = tmp_path / MAIN
    path.write_text(TEXTS[MAIN].replace("Cpu: 1", "Cpu: 99", 1))
    assert checking.main([str(path)]) == 1
    assert "template.yml:" in (said := capsys.readouterr().out)
    assert "Resources.Worker.Properties.Cpu: 99 is out of range" in said
    assert checking.main() == 0
    assert capsys.readouterr().out.endswith("resources are in order\n")


def test_whatever_value_is_put_wherever_the_check_ends_with_findings() -> None:
    """No form of a template makes it end with an error of its own: 60 places of the real one, at random."""
    chance = Random(11)
    places = [place for place in READ[MAIN].lines if len(place) > 1]
    values: list[object] = [None, 1, -1, "x", [], {}, [None], {"Ref": "Prefix"}, {"Fn::GetAtt": "Worker.ARN"}, True]
    for place in chance.sample(places, 60):
        document: Any = deepcopy(READ[MAIN].document)
        holder = document
        try:
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]]
            holder[place[-1]] = deepcopy(chance.choice(values))
        except (KeyError, TypeError):  # within a short form, of which the long one has other keys
            continue
        list(checking.check({MAIN: replace(READ[MAIN], document=document)}, PROJECT, METADATA))
