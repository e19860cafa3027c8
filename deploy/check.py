"""``python -m deploy.check``: hold every template, or the files that are named, to everything that is known.

Each finding is a line: file and line, place in the template, what is wrong, and how to mend it. The exit status is 1 if
there is any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from deploy import functions, keeping, permissions, structure, triggers
from deploy.metadata import Metadata
from deploy.project import ROOT, TEMPLATES, Project, this_project
from deploy.reading import Finding, Template, read


def check(templates: Mapping[str, Template], project: Project, metadata: Metadata) -> Iterator[Finding]:
    """Everything that is wrong with these templates. What is wrong in form is told before what does not fit."""
    formed = {}
    for name, template in templates.items():
        wrong = sorted(structure.check(template, metadata))
        yield from wrong
        if not wrong:
            formed[name] = template
            yield from sorted(
                (
                    *functions.check(template, project, TEMPLATES.get(name, frozenset())),
                    *triggers.check(template, project),
                    *permissions.check(template, project),
                    *keeping.check(template),
                )
            )
    yield from sorted(permissions.check_together(formed, project))


def main(arguments: Iterable[str] = ()) -> int:
    """Check and print; the exit status."""
    paths = [Path(argument) for argument in arguments] or [ROOT / name for name in TEMPLATES]
    templates = {path.name: read(path) for path in paths}
    findings = list(check(templates, this_project(), Metadata()))
    for finding in findings:
        print(finding)
    if not findings:
        resources = sum(len(template.section("Resources")) for template in templates.values())
        print(f"{len(templates)} templates with {resources} resources are in order")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
