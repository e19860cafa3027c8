"""What the code of an operation can answer: its error codes, and the parameters that it reads.

Scenarios hit only the codes that somebody thought of. So the handler's source is read instead, with everything that
it calls: every `ERRORS.error(...)`, every `params.text(...)`, with the texts and switches that callers pass on filled
in. Methods are found by their name alone, so the result may hold too much but never too little; a code or a name that
cannot be told from the source is an error here, not a gap.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import TypeAlias

import localcloud
from localcloud.call import Operation
from localcloud.catalog import PRODUCTS

_PARAMS = "localcloud.params"
_BESIDE_SERVICES = ("localcloud.errors", _PARAMS)
_READERS = frozenset({"text", "required", "flag", "integer", "listed", "pairs", "groups"})
_CATALOGUES = frozenset({"ERRORS", "GATEWAY"})

_Values: TypeAlias = Mapping[str, frozenset[str | bool]]
"""What a function's parameters can be, as far as all is literal."""


@dataclass
class Reach:
    """Error codes and names of parameters."""

    codes: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)


@cache
def reach(operation: Operation) -> Reach:
    """What this operation can answer and what it reads; the gateway's own part is left out."""
    module = operation.handler.__module__
    (start,) = (one for one in _functions()[operation.handler.__name__] if one.module == module)
    reader = _Reader()
    reader.follow(start, {})
    return reader.found


@dataclass(frozen=True)
class _Place:
    """A function and the module that it is in."""

    module: str
    node: ast.FunctionDef


@cache
def _modules() -> tuple[ModuleType, ...]:
    """All modules of the services whose operations are called by their name, and what they share.

    Nothing there leads into the other packages, whose methods have the same names at times.
    """
    services = [f"{localcloud.__name__}.{product}" for product in PRODUCTS]
    names = [
        module.name
        for service in services
        for module in pkgutil.iter_modules(importlib.import_module(service).__path__, f"{service}.")
    ]
    return tuple(importlib.import_module(name) for name in (*_BESIDE_SERVICES, *names))


@cache
def _functions() -> dict[str, list[_Place]]:
    """Every function and method by its name."""
    found: dict[str, list[_Place]] = {}
    for module in _modules():
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(_Place(module.__name__, node))
    return found


class _Reader:
    """Reads a function and all that it leads to, each once for the same values."""

    def __init__(self) -> None:
        self.found = Reach()
        self._seen: set[tuple[str, int, str]] = set()

    def follow(self, place: _Place, given: _Values) -> None:
        values = {**_defaults(place.node), **given}
        key = (place.module, place.node.lineno, repr(sorted((name, sorted(map(str, v))) for name, v in values.items())))
        if key in self._seen:
            return
        self._seen.add(key)
        called: set[ast.expr] = set()
        for node in _statements(place.node.body, values):
            if isinstance(node, ast.Call):
                called.add(node.func)
                self._note(node, values, place)
                for one in _candidates(node.func, place.module):
                    self.follow(one, _passed(node, one.node, values))
            elif isinstance(node, (ast.Name, ast.Attribute)) and node not in called:
                # Not called but handed on, as in map(self._check, ...), or a property.
                for one in _candidates(node, place.module):
                    self.follow(one, {})

    def _note(self, call: ast.Call, values: _Values, place: _Place) -> None:
        function = call.func
        if not isinstance(function, ast.Attribute) or not call.args:
            return
        if function.attr == "error" and _name(function.value) in _CATALOGUES:
            self.found.codes |= _texts(call.args[0], values, place)
        elif function.attr in _READERS and _name(function.value) in ("params", *_own_readers(place)):
            self.found.parameters |= _texts(call.args[0], values, place)


def _own_readers(place: _Place) -> tuple[str, ...]:
    """Paging reads its parameters through itself; other readers there are told by whoever calls them."""
    return ("self",) if (place.module, place.node.name) == (_PARAMS, "page") else ()


def _candidates(node: ast.expr, module: str) -> list[_Place]:
    """The functions that a name or an attribute may stand for; a bare name is first looked for in its own module."""
    if isinstance(node, ast.Attribute):
        return _functions().get(node.attr, [])
    if isinstance(node, ast.Name):
        every = _functions().get(node.id, [])
        return [one for one in every if one.module == module] or every
    return []


def _statements(body: list[ast.stmt], values: _Values) -> Iterator[ast.AST]:
    """Everything in these statements, but for branches that the values rule out and refusals that are caught here."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from ast.walk(statement.test)
            if _truth(statement.test, values) is not False:
                yield from _statements(statement.body, values)
            yield from _statements(statement.orelse, values)
        elif isinstance(statement, (ast.For, ast.While, ast.With)):
            for name, child in ast.iter_fields(statement):
                if name in ("body", "orelse"):
                    yield from _statements(child, values)
                else:
                    for one in child if isinstance(child, list) else [child]:
                        if isinstance(one, ast.AST):
                            yield from ast.walk(one)
        elif isinstance(statement, ast.Try):
            if "ApiError" not in [_name(handler.type) for handler in statement.handlers if handler.type]:
                yield from _statements(statement.body, values)
            for handler in statement.handlers:
                yield from _statements(handler.body, values)
            yield from _statements([*statement.orelse, *statement.finalbody], values)
        else:
            yield from ast.walk(statement)


def _truth(test: ast.expr, values: _Values) -> bool | None:
    """Whether a condition holds, None if that depends."""
    if isinstance(test, ast.BoolOp):
        sides = [_truth(side, values) for side in test.values]
        deciding = isinstance(test.op, ast.Or)
        if deciding in sides:
            return deciding
        return None if None in sides else not deciding
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _truth(test.operand, values)
        return None if inner is None else not inner
    known = values.get(_name(test), frozenset())
    return next(iter(known)) is True if known in ({True}, {False}) else None


def _defaults(function: ast.FunctionDef) -> _Values:
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {name.arg: known for name, node in pairs if node is not None and (known := _known(node, {})) is not None}


def _passed(call: ast.Call, function: ast.FunctionDef, values: _Values) -> _Values:
    """What a call hands to a function, as far as it is literal."""
    names = [argument.arg for argument in function.args.args]
    if names[:1] == ["self"]:
        names = names[1:]
    given = dict(zip(names, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    passed = {name: _known(node, values) for name, node in given.items()}
    # What is not literal hides a default, too.
    return {name: frozenset() if known is None else known for name, known in passed.items()}


def _texts(node: ast.expr, values: _Values, place: _Place) -> set[str]:
    known = _known(node, values)
    if not known:
        raise AssertionError(f"{place.module}, line {node.lineno}: which text this is cannot be told")
    return {str(text) for text in known}


def _known(node: ast.expr, values: _Values) -> frozenset[str | bool] | None:
    """Everything that an expression can be, None if that cannot be told."""
    match node:
        case ast.Constant(value=str() | bool() as value):
            return frozenset({value})
        case ast.Name(id=name):
            return values.get(name)
        case ast.FormattedValue(value=inner):
            return _known(inner, values)
        case ast.IfExp(body=body, orelse=orelse):
            sides = [_known(body, values), _known(orelse, values)]
            return None if not all(sides) else frozenset().union(*(side for side in sides if side))
        case ast.JoinedStr(values=parts):
            made: frozenset[str | bool] = frozenset({""})
            for part in parts:
                made = frozenset(f"{left}{right}" for left in made for right in _known(part, values) or ())
            return made or None
    return None


def _name(node: ast.expr) -> str:
    """The last name of a dotted one."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
