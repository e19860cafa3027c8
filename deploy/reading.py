"""A template as plain data, with the line that everything stands on.

YAML's short forms (``!Ref``, ``!Sub``, ...) become the long ones, so that the rest knows one form of each. Two things
that YAML allows are refused: a key that is given twice, of which the first would be lost, and anchors, which the
vendor's documents do not speak of.
https://www.alibabacloud.com/help/en/ros/user-guide/functions
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

Keys = tuple[str | int, ...]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast one where PyYAML was built with it."""

INTRINSIC = ("Ref", "Condition")
"""Functions without ``Fn::`` in front of their name."""


class Finding(Struct, frozen=True, order=True):
    """Something that is not right: where, what, and how to mend it."""

    file: str
    line: int
    place: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.place}: {self.what}: {self.mend}"


class Template(Struct, frozen=True):
    """A template's name, content, and the line of each place in it."""

    name: str
    document: Mapping[str, Any]
    lines: Mapping[Keys, int]
    problems: tuple[Finding, ...] = ()

    def at(self, place: Keys, what: str, mend: str) -> Finding:
        """A finding at a place, on the line of the nearest thing around it that has one."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        return Finding(self.name, self.lines.get(known, 1), spelled(place), what, mend)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the template, empty if it has none."""
        found = self.document.get(name)
        return found if isinstance(found, dict) else {}

    def resources(self, *types: str) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
        """The place and properties of every resource that is one of these types."""
        for name, resource in self.section("Resources").items():
            if isinstance(resource, dict) and resource.get("Type") in types:
                properties = resource.get("Properties")
                yield ("Resources", name, "Properties"), properties if isinstance(properties, dict) else {}


def spelled(place: Keys) -> str:
    """A place as people write it: ``Resources.Worker.Properties.Layers[0]``."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text or "the file"


def read(path: Path) -> Template:
    """The template in a file."""
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(text: str, name: str) -> Template:
    """The template in a text; what YAML itself cannot read is a problem like any other."""
    reader = _Reader(name)
    try:
        node = yaml.compose(text, Loader=LOADER)
        document = None if node is None else reader.value(node, ())
        reader.refuse_anchors(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = Finding(name, mark.line + 1 if mark else 1, "the file", f"no YAML: {error.problem}", "mend the form")
        return Template(name, {}, {}, (problem,))
    if not isinstance(document, dict):
        problem = Finding(name, 1, "the file", "no mapping of sections", "begin with ROSTemplateFormatVersion")
        return Template(name, {}, {}, (problem,))
    return Template(name, document, reader.lines, tuple(reader.problems))


def write(document: Mapping[str, Any]) -> str:
    """A template as text, in long forms."""
    return yaml.safe_dump(dict(document), sort_keys=False, width=1000)


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {}
        self.problems: list[Finding] = []

    def value(self, node: yaml.Node, place: Keys) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if node.tag.startswith("!") and len(node.tag) > 1:
            function = node.tag[1:]
            return {function if function in INTRINSIC else f"Fn::{function}": self._plain(node, place)}
        return self._plain(node, place)

    def _plain(self, node: yaml.Node, place: Keys) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        if node.tag.startswith("!"):
            return node.value
        return yaml.SafeLoader("").construct_object(node)

    def _mapping(self, node: yaml.MappingNode, place: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            here = (*place, str(key.value))
            self.lines[here] = key.start_mark.line + 1
            if key.value in found:
                self._problem(key, here, "given twice", "keep one of them")
            found[str(key.value)] = self.value(item, here)
        return found

    def refuse_anchors(self, text: str) -> None:
        for token in yaml.scan(text, Loader=LOADER):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 1
                what = f"*{token.value} is an alias, which the service's documents do not know"
                self.problems.append(Finding(self.name, line, "the file", what, "write it out"))

    def _problem(self, node: yaml.Node, place: Keys, what: str, mend: str) -> None:
        self.problems.append(Finding(self.name, node.start_mark.line + 1, spelled(place), what, mend))


def function_of(value: Any) -> tuple[str, Any] | None:
    """The name and argument of a function of the template language; ``None`` if the value is none."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or name.startswith("Fn::"):
            return name, argument
    return None


def within(value: Any, *keys: str) -> Any:
    """What lies deeper in mappings; ``None`` where there is nothing, or something else than a mapping on the way."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
