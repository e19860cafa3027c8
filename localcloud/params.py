"""Reading the flat parameters of an RPC call.

Values travel as text: booleans as `true` or `True`, lists as `Name.1`, structures as `Tag.1.Key`, whatever client
sent them. An empty value counts as absent, except where a caller asks for it. Indexes are ordered as numbers: sorted
as text, `AddAccount.10` would come before `AddAccount.2` and the wrong ten accounts would be served.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.errors import invalid, missing

PAGE_SIZE_MAX = 100


class Params:
    """The merged parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """The value, or an empty string."""
        return self._values.get(name, "")

    def required(self, name: str) -> str:
        """The value; MissingParameter if it is absent or empty."""
        value = self._values.get(name, "")
        if not value:
            raise missing(name)
        return value

    def flag(self, name: str) -> bool | None:
        """True, False, or None if absent; anything else is InvalidParameter."""
        value = self._values.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise invalid(name)
        return None if not value else value == "true"

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number in its documented range."""
        value = self._values.get(name, "")
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise invalid(name)
        return int(value)

    def page(self) -> tuple[int, int]:
        """PageNumber (from 1) and PageSize (default 10, at most 100, more is an error and not clamped)."""
        number = self.integer("PageNumber", 1, low=1, high=2**31 - 1)
        return number, self.integer("PageSize", 10, low=1, high=PAGE_SIZE_MAX)

    def _indexed(self, name: str) -> list[tuple[int, str, str]]:
        """(index, rest of the name, value) of everything called `name.N...`."""
        prefix = f"{name}."
        found: list[tuple[int, str, str]] = []
        for key, value in self._values.items():
            if key.startswith(prefix):
                index, _, rest = key[len(prefix) :].partition(".")
                if index.isascii() and index.isdigit():
                    found.append((int(index), rest, value))
        found.sort(key=lambda entry: entry[0])
        return found

    def listed(self, name: str) -> list[str]:
        """The values `name.1`, `name.2`, ... in the order of their numbers, empty ones left out."""
        return [value for _, rest, value in self._indexed(name) if not rest and value]

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """(Key, Value) of `name.N.Key` and `name.N.Value`; a missing half is an empty string."""
        rows: dict[int, list[str]] = {}
        for index, rest, value in self._indexed(name):
            row = rows.setdefault(index, ["", ""])
            if rest.lower() == "key":
                row[0] = value
            elif rest.lower() == "value":
                row[1] = value
        return [(key, value) for key, value in rows.values()]

    def groups(self, name: str) -> list[Params]:
        """The parameters of each `name.N`, without that prefix."""
        rows: dict[int, dict[str, str]] = {}
        for index, rest, value in self._indexed(name):
            rows.setdefault(index, {})[rest] = value
        return [Params(row) for row in rows.values()]

    def fingerprint(self, names: tuple[str, ...]) -> str:
        """All business parameters but `names`, as one text: equal texts are equal requests."""
        return repr(sorted((key, value) for key, value in self._values.items() if key not in names))


def page_of(rows: list[str], number: int, size: int) -> list[str]:
    """The rows of one page; a page past the end is empty."""
    return rows[(number - 1) * size : number * size]
