"""Finding the handbook, and comparing an answer with a schema: what the other tests here rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.handbook import BESIDE, METADATA, Metadata, declared_leaves, leaves, mismatches, verdict


@pytest.mark.parametrize(
    ("ci", "handbook", "metadata", "what"),
    [
        (False, True, True, "run"),
        (True, True, True, "run"),
        (False, False, False, "skip"),
        (True, False, False, "skip"),
        (False, True, False, "skip"),
        (True, True, False, "fail"),
    ],
)
def test_missing_metadata_is_skipped_but_not_in_ci_beside_a_handbook(
    *, ci: bool, handbook: bool, metadata: bool, what: str
) -> None:
    """Without metadata the tests are skipped; in CI they fail where the handbook itself is there."""
    assert verdict(ci=ci, handbook=handbook, metadata=metadata) == what


def test_the_handbook_is_a_neighbour_of_the_project() -> None:
    """It is looked for beside the folder that holds the project's own tests."""
    project = Path(__file__).resolve().parents[2]
    assert (project / "pyproject.toml").is_file()
    assert project.parent / "shared" / "openapi" == BESIDE / "openapi" == METADATA


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "Count": {"type": "integer", "format": "int32"},
        "Rows": {
            "type": "object",
            "properties": {
                "Row": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"Id": {"type": "string"}, "Own": {"type": "string"}}},
                }
            },
        },
    },
}
NEWER = {"Rows.Row[].Extra": "object", "Rows.Row[].Extra.Fast": "boolean"}
ODD = {"Rows.Row[].Own": frozenset({"boolean"})}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"Count": 1, "Rows": {"Row": [{"Id": "a", "Own": "True"}]}}, []),
        ({"Rows": {"Row": [{"Own": True}, {"Extra": {"Fast": False}}]}}, []),
        ({"Rows": {"Row": [{"Own": 1}]}}, ["Rows.Row[].Own: integer instead of string"]),
        ({"Rows": {"Row": [{"Id": "a", "Name": "b"}]}}, ["Rows.Row[].Name: not declared"]),
        ({"Rows": {"Row": [{"Extra": {"Slow": True}}]}}, ["Rows.Row[].Extra.Slow: not declared"]),
        ({"Rows": {"Row": [{"Extra": {"Fast": "yes"}}]}}, ["Rows.Row[].Extra.Fast: string instead of boolean"]),
        ({"Rows": [{"Id": "a"}]}, ["Rows: array instead of object"]),
        ({"Count": True}, ["Count: boolean instead of integer"]),
        ({"Count": 2**31}, ["Count: 2147483648 is no int32"]),
        ({"Count": None}, ["Count: null instead of integer"]),
        ([], ["the answer: array instead of object"]),
    ],
)
def test_what_an_answer_has_is_compared_with_its_schema(answer: Any, found: list[str]) -> None:
    """Fields that are not declared and types that are not the declared ones are found wherever they are."""
    assert mismatches(answer, SCHEMA, NEWER, ODD) == found


def test_fields_are_counted_by_their_paths() -> None:
    """An empty list has no fields, and all rows of a list have the same paths."""
    answer = {"Count": 1, "Rows": {"Row": [{"Id": "a"}, {"Own": "x", "Extra": {"Fast": True}}]}}
    every = {"Count", "Rows.Row[].Id", "Rows.Row[].Own", "Rows.Row[].Extra.Fast"}
    assert leaves(answer) == declared_leaves(SCHEMA, NEWER) == every
    assert leaves({"Rows": {"Row": []}}) == set()


def test_rows_that_came_later_are_named_by_their_fields() -> None:
    """A newer list of objects is declared by the fields of its rows; a newer list of texts by itself."""
    newer = Metadata(
        {"response_newer_in_python_sdk": {"Tags": "array", "Tags[].Key": "string", "Names": "array"}}
    ).newer
    assert newer["Tags[]"] == "object"
    assert declared_leaves(SCHEMA, newer) - declared_leaves(SCHEMA, {}) == {"Tags[].Key", "Names"}
    assert mismatches({"Tags": [{"Key": "a"}]}, SCHEMA, newer, {}) == []
    found = ["Tags[]: string instead of object", "Tags[].Value: not declared"]
    assert mismatches({"Tags": ["a", {"Value": "b"}]}, SCHEMA, newer, {}) == found
