"""The page on deploying names what exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from deploy.project import ROOT, TEMPLATES
from deploy.reading import read

PAGE = (ROOT / "docs" / "deploy.md").read_text()
PARAMETERS = {name: read(ROOT / name).section("Parameters") for name in TEMPLATES}


def test_every_template_is_explained_and_no_other() -> None:
    """By its file name."""
    assert set(re.findall(r"`(template[\w-]*\.yml)`", PAGE)) == set(TEMPLATES)


def test_every_stack_is_created_with_parameters_that_exist_and_all_that_have_to_be_given() -> None:
    """A command can be copied and needs no other value."""
    commands = re.findall(r"^stack \S+ \S+ (\S+)((?: \\\n +| |\w+=\S+)*)", PAGE, re.MULTILINE)
    assert len(commands) >= 5
    for template, given in commands:
        keys = set(re.findall(r"(\w+)=", given))
        assert keys <= set(PARAMETERS[template]), template
        assert {key for key, of in PARAMETERS[template].items() if "Default" not in of} <= keys, template


def test_every_parameter_and_make_target_that_the_page_names_exists() -> None:
    """Words in code that begin like a parameter are one."""
    everything = set().union(*PARAMETERS.values())
    named = {"EventSenders", "TrailBucket", "TrailPrefix", "OwnerRoles", "ReceiverRole", "NoticeEndpoint", "Mode"}
    named |= {"SweepSchedule", "WatchMinutes", "WorkerConcurrency", "ReaderRole", "OwnerRole", "CodeFolder"}
    assert {name for name in named if f"`{name}" in PAGE} == named <= everything
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b`", PAGE)) <= targets


def test_the_numbers_of_reserved_concurrency_are_those_of_the_template() -> None:
    """The page says what the stack takes from the account."""
    template = read(ROOT / "template.yml")
    limits = [of["ReservedConcurrency"] for _, of in template.resources("ALIYUN::FC3::ConcurrencyConfig")]
    total = sum(
        limit if isinstance(limit, int) else PARAMETERS["template.yml"]["WorkerConcurrency"]["Default"]
        for limit in limits
    )
    assert f"({total}\ninstances" in PAGE or f"({total} instances" in PAGE.replace("\n", " ")


def test_the_shell_function_of_the_page_passes_every_parameter_on(tmp_path: Path) -> None:
    """In order, with whatever is in a value."""
    (tmp_path / "t.yml").write_text("a: 1\nb: 2\n")
    function = re.findall(r"```sh\n(stack\(\).*?)```", PAGE, re.DOTALL)[0]
    script = f"{function}\naliyun() {{ printf '<%s>' \"$@\"; }}\nstack cn-x name t.yml A=1 'B=x y' C=k=v\n"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "<ros><CreateStack><--RegionId><cn-x><--StackName><name><--TimeoutInMinutes><30><--TemplateBody><a: 1\nb: 2>"
        "<--Parameters.1.ParameterKey><A><--Parameters.1.ParameterValue><1>"
        "<--Parameters.2.ParameterKey><B><--Parameters.2.ParameterValue><x y>"
        "<--Parameters.3.ParameterKey><C><--Parameters.3.ParameterValue><k=v>"
    )
