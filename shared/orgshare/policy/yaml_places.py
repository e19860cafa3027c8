"""YAML as values that know their line and their place, and the list of what is wrong with them.

A person mends a file once if all its mistakes are shown together, each with its line: so problems are
collected, and raised at the end. Values stay as they are written, because YAML would make a number of an
account id (an octal one where it begins with 0) and a truth value of ``no``.

What can go wrong: a small file that means millions of values by its aliases, or one that nests without end.
Values are counted as they are reached; the depth is Python's, and the caller catches its RecursionError.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from orgshare.errors import ConfigurationError

MAX_BYTES = 512 * 1024
"""Twenty thousand account ids, a line each; such a file takes a second to read, and the worst a few."""

MAX_VALUES = 200_000
"""Values reached, each alias counted as often as it is used: a second of work."""

MAX_PROBLEMS = 100
"""Problems that are shown; nobody reads more at once."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp"))
_NAMES = {
    "int": "the number {}",
    "float": "the number {}",
    "bool": "{}, which YAML reads as true or false",
    "null": "nothing",
    "timestamp": "the date {}",
    "list": "a list",
    "map": "a mapping",
}

Pairs = dict[str, tuple[yaml.ScalarNode, yaml.Node]]


def shown(text: str) -> str:
    """Text in quotes for a message: shortened, on one line, without control characters."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return f'"{short}"' if short.isprintable() else json.dumps(short)


def bare(text: str) -> str:
    """Text for a message without quotes, where it is harmless without."""
    return text if len(text) <= 60 and text.isprintable() else shown(text)


def either(words: Sequence[str], last: str = "or") -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


class Document:
    """One file while it is read: its name, the problems found so far, how many values were reached."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[tuple[int, int, str]] = []
        self._reached = 0
        self._pairs: dict[int, Pairs] = {}

    def error(self, line: int, what: str) -> ConfigurationError:
        """An error about this one thing, for what makes all other problems meaningless."""
        return ConfigurationError(f"{self.source}:{line}: {what}")

    def raise_problems(self) -> None:
        """Raise everything that was found, in the order of the file, as one ``ConfigurationError``."""
        if self.problems:
            in_order = sorted(self.problems, key=lambda problem: problem[:2])
            lines = [f"{self.source}:{line}: {what}" for line, _, what in in_order]
            if len(lines) > MAX_PROBLEMS:
                more = len(lines) - MAX_PROBLEMS
                lines[MAX_PROBLEMS:] = [f"{self.source}: {more} more problems; mend these first"]
            raise ConfigurationError("\n".join(lines))

    def reach(self, node: yaml.Node, values: int = 1) -> None:
        """Count values; a ``ConfigurationError`` when they are more than any policy has."""
        self._reached += values
        if self._reached > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values, aliases followed; expected fewer"
            raise self.error(node.start_mark.line + 1, what)

    def pairs(self, value: Value) -> Pairs:
        """The keys of a mapping and those that its merge keys (``<<``) bring; its own win, then the first."""
        known = self._pairs.get(id(value.node))
        if known is not None:
            return known
        # Known before it is complete, so that a mapping that merges itself comes to an end.
        pairs = self._pairs[id(value.node)] = {}
        parents: list[Value] = []
        for key, node in value.node.value:
            if not isinstance(key, yaml.ScalarNode):
                expected = "a word (put braces and brackets in quotes)"
                value.at(key).problem("got a list or mapping as a key", expected)
            elif key.tag == _TAG + "merge":
                parents += _parents(value.at(node, f"{value.place}.<<" if value.place else "<<"))
            elif key.value in pairs:
                first = pairs[key.value][0].start_mark.line + 1
                value.child(key.value, key).problem(f"given twice, first in line {first}", "each key once")
            else:
                pairs[key.value] = (key, node)
        for parent in parents:
            inherited = self.pairs(parent)
            self.reach(parent.node, len(inherited))
            for name, pair in inherited.items():
                pairs.setdefault(name, pair)
        return pairs


@dataclass(frozen=True)
class Value:
    """One value of a file. ``place`` says where it stands, such as ``rules[0].audience.folders[1]``."""

    document: Document
    node: yaml.Node
    place: str = ""

    @property
    def line(self) -> int:
        """The line on which the value begins, counted from 1."""
        line: int = self.node.start_mark.line + 1
        return line

    @property
    def kind(self) -> str:
        """str, int, float, bool, null, timestamp, list, map; ``other`` for what has a tag of its own."""
        if isinstance(self.node, yaml.ScalarNode):
            return self.node.tag[len(_TAG) :] if self.node.tag in _SCALARS else "other"
        if isinstance(self.node, yaml.SequenceNode):
            return "list" if self.node.tag == _TAG + "seq" else "other"
        return "map" if self.node.tag == _TAG + "map" else "other"

    @property
    def raw(self) -> str:
        """A scalar as it is written, without its quotes; empty for a list or a mapping."""
        return self.node.value if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def quoted(self) -> bool:
        """Whether the scalar stands in quotes or in a block."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.style is not None

    @property
    def empty(self) -> bool:
        """Whether this is a list without items."""
        return isinstance(self.node, yaml.SequenceNode) and not self.node.value

    @property
    def got(self) -> str:
        """What stands here, for a message."""
        if self.kind == "other":
            return f"a value with the YAML tag {shown(self.node.tag)}"
        text = shown(self.raw) if self.kind == "str" else bare(self.raw)
        return _NAMES.get(self.kind, "{}").format(text)

    def at(self, node: yaml.Node, place: str | None = None) -> Value:
        """A value of the same file."""
        self.document.reach(node)
        return Value(self.document, node, self.place if place is None else place)

    def child(self, key: str, node: yaml.Node) -> Value:
        """The value below a key."""
        name = key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else shown(key)
        return self.at(node, f"{self.place}.{name}" if self.place else name)

    def problem(self, wrong: str, expected: str) -> None:
        """Note that this value is wrong, and how to mend it."""
        where = f"{self.place}: " if self.place else ""
        column: int = self.node.start_mark.column
        self.document.problems.append((self.line, column, f"{where}{wrong}; expected {expected}"))

    def items(self, expected: str) -> list[Value]:
        """The items of a list; anything else is a problem."""
        if self.kind != "list":
            self.problem(f"got {self.got}", expected)
            return []
        return [self.at(node, f"{self.place}[{number}]") for number, node in enumerate(self.node.value)]

    def entries(self, expected: str) -> Iterator[tuple[str, Value, Value]]:
        """Each key of a mapping with itself and its value as values; anything but a mapping is a problem."""
        if self.kind != "map":
            self.problem(f"got {self.got}", expected)
            return
        for name, (key, node) in self.document.pairs(self).items():
            yield name, self.child(name, key), self.child(name, node)

    def fields(self, *, required: Mapping[str, str], optional: Sequence[str]) -> dict[str, Value]:
        """The values of a mapping with known keys; ``required`` says for each key what is expected.

        Unknown and missing keys are problems, and so is anything but a mapping.
        """
        known = [*required, *optional]
        listed = either(known)
        fields: dict[str, Value] = {}
        meant: set[str] = set()
        for name, key, value in self.entries(f"a mapping with the keys {either(known, 'and')}"):
            if name in known:
                fields[name] = value
            elif near := difflib.get_close_matches(name.lower()[:60], known, n=1):
                meant.update(near)
                key.problem("unknown key", f"{listed} (did you mean {near[0]}?)")
            else:
                key.problem("unknown key", listed)
        if self.kind == "map":
            for name, expected in required.items():
                if name not in fields and name not in meant:
                    self.child(name, self.node).problem("missing", expected)
        return fields


def read(text: str | bytes, source: str) -> Value:
    """The one value of a YAML text; a ``ConfigurationError`` if the text is none."""
    document = Document(source)
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"{source}: larger than {MAX_BYTES:,} bytes; expected a policy")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise document.error(line, "not UTF-8; expected a YAML file in UTF-8") from error
    node = _compose(text, document)
    if node is None:
        raise document.error(1, "empty; expected a policy, which begins with version: 1")
    return Value(document, node)


def _compose(text: str, document: Document) -> yaml.Node | None:
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"not readable as YAML: the character U+{ord(text[error.position]):04X}; expected text"
        raise document.error(line, what) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        said = ", ".join(filter(None, (error.context, error.problem)))
        expected = "well-formed YAML (mind indentation, quotes and brackets here and above)"
        if "'\\t'" in said:
            expected = "spaces to indent with, not tabs"
        raise document.error(line, f"not readable as YAML: {said}; expected {expected}") from error
    except (ValueError, OverflowError) as error:
        # PyYAML does not look at the size of \U escapes and of the number in a %YAML directive.
        line = loader.line + 1 if loader else 1
        what = "not readable as YAML: an escape or a number is out of range; expected well-formed YAML"
        raise document.error(line, what) from error
    return node


def _parents(value: Value) -> list[Value]:
    """The mappings that a merge key names: one, or a list of them."""
    parents = value.items("a mapping or a list of mappings") if value.kind == "list" else [value]
    for parent in parents:
        if parent.kind != "map":
            parent.problem(f"got {parent.got}", "a mapping or a list of mappings")
    return [parent for parent in parents if parent.kind == "map"]


def control_character(text: str) -> str | None:
    """The first character that cannot be shown on one line or stored as UTF-8."""
    return next((c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
