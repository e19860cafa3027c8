"""Where the vendor's metadata lies, and what it says of an operation.

The metadata is not part of the project: it is read from the handbook beside the project's folder, and where that is
absent nothing can be held against it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

BESIDE = Path(__file__).resolve().parents[2].parent / "shared"
"""The handbook's folder: a neighbour of the project's."""

METADATA = BESIDE / "openapi"

Verdict = Literal["run", "skip", "fail"]


def verdict(*, ci: bool, handbook: bool, metadata: bool) -> Verdict:
    """Whether to run what needs the metadata; without it that is skipped, but in CI only where all of it is absent."""
    if metadata:
        return "run"
    return "fail" if ci and handbook else "skip"


@dataclass(frozen=True)
class Parameter:
    """A parameter as the metadata has it."""

    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.raw["name"])

    @property
    def required(self) -> bool:
        return bool(self.raw.get("required"))

    @property
    def type(self) -> str:
        return str(self.raw["type"])

    @property
    def range(self) -> tuple[int | None, int | None]:
        """Lowest and highest value."""
        low, high = self.raw.get("range_text", (None, None))
        return self.raw.get("min", low), self.raw.get("max", high)

    @property
    def values(self) -> tuple[str, ...]:
        """The values that are allowed, in words if not in the schema; empty if any is."""
        return tuple(self.raw.get("enum") or self.raw.get("enum_text") or ())

    @property
    def length(self) -> tuple[int | None, int | None]:
        """Shortest and longest text."""
        low, high = self.raw.get("length_text", (None, None))
        return low, self.raw.get("maxLength", high)

    @property
    def count(self) -> int | None:
        """How many items a list may have; the words are right where the schema has one more."""
        _, high = self.raw.get("count_text", (None, None))
        return high if high is not None else self.raw.get("maxItems")


@dataclass(frozen=True)
class Metadata:
    """What the metadata says of one operation."""

    raw: Mapping[str, Any]

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        every = {raw["name"]: Parameter(raw) for raw in self.raw["parameters"]}
        # Two items of a list are spelt out at times, as Filter.1.Key, beside the list itself.
        return {
            name: one
            for name, one in every.items()
            if name == name.partition(".")[0] or name.partition(".")[0] not in every
        }

    @property
    def answer(self) -> Mapping[str, Any]:
        """The schema of the answer."""
        return dict(self.raw["response"])

    @property
    def newer(self) -> Mapping[str, str]:
        """Path -> type of the fields that came after the schema; rows of a list are named by their own fields only."""
        found: dict[str, str] = dict(self.raw["response_newer_in_python_sdk"])
        rows = {f"{path}[]" for path, kind in found.items() if kind == "array"}
        return {**{row: "object" for row in rows if any(path.startswith(f"{row}.") for path in found)}, **found}

    @cached_property
    def errors(self) -> Mapping[str, frozenset[int]]:
        """Code -> its HTTP statuses."""
        return _by_code(self.raw["errors"])


class Handbook:
    """The metadata of all operations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, operation: str) -> bool:
        return self._path(operation).is_file()

    def __getitem__(self, operation: str) -> Metadata:
        return Metadata(self._read(self._path(operation)))

    def product_errors(self, product: str) -> Mapping[str, frozenset[int]]:
        """Code -> HTTP statuses, of all operations of a product."""
        path = self._folder / product / "_product_errors.json"
        return _by_code(self._read(path)["errors"]) if path.is_file() else {}

    def endpoints(self, product: str) -> tuple[tuple[str, str], ...]:
        """(region, host) of a product."""
        rows = self._read(self._folder / product / "_endpoints.json")["endpoints"]
        return tuple((row["regionId"], row["endpoint"]) for row in rows)

    def _path(self, operation: str) -> Path:
        product, _, name = operation.partition(":")
        return self._folder / product / f"{name}.json"

    def _read(self, path: Path) -> Mapping[str, Any]:
        return dict(json.loads(path.read_text(encoding="utf-8")))


def _by_code(rows: list[dict[str, Any]]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row["code"], set()).add(row["http"])
    return {code: frozenset(statuses) for code, statuses in found.items()}


def mismatches(
    value: Any, schema: Mapping[str, Any], newer: Mapping[str, str], odd: Mapping[str, frozenset[str]], path: str = ""
) -> list[str]:
    """What of an answer is not declared, or not of the declared type; `odd` are types that samples show instead."""
    if path in odd and json_type(value) in odd[path]:
        return []
    wanted = schema.get("type", newer.get(path, ""))
    if json_type(value) != wanted:
        return [f"{path or 'the answer'}: {json_type(value)} instead of {wanted or 'nothing'}"]
    found: list[str] = []
    if isinstance(value, dict):
        declared = schema.get("properties", {})
        for key, inner in value.items():
            below = f"{path}.{key}" if path else key
            if key in declared or below in newer:
                found += mismatches(inner, declared.get(key, {}), newer, odd, below)
            else:
                found.append(f"{below}: not declared")
    elif isinstance(value, list):
        for inner in value:
            found += mismatches(inner, schema.get("items", {}), newer, odd, f"{path}[]")
    elif wanted == "integer" and schema.get("format") == "int32" and not -(2**31) <= value < 2**31:
        found.append(f"{path}: {value} is no int32")
    return found


def leaves(value: Any, path: str = "") -> set[str]:
    """The paths of all fields that carry a value."""
    if isinstance(value, dict):
        return set().union(*(leaves(inner, f"{path}.{key}" if path else key) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(leaves(inner, f"{path}[]") for inner in value))
    return {path}


def declared_leaves(schema: Mapping[str, Any], newer: Mapping[str, str]) -> set[str]:
    """The paths of all fields that could carry one."""
    return _declared(schema, "") | {
        path for path, kind in newer.items() if kind != "object" and f"{path}[]" not in newer
    }


def _declared(schema: Mapping[str, Any], path: str) -> set[str]:
    if schema.get("type") == "object":
        inner = schema.get("properties", {}).items()
        return set().union(*(_declared(below, f"{path}.{key}" if path else key) for key, below in inner))
    if schema.get("type") == "array":
        return _declared(schema.get("items", {}), f"{path}[]")
    return {path}


def json_type(value: Any) -> str:
    """The JSON schema's name for the type of a decoded value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")
