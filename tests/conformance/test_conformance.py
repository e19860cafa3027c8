"""The local cloud held against the vendor's metadata and the official SDK, operation by operation.

The operations are those of the local cloud's own catalogue, so a new one cannot be forgotten. What nobody documents is
in `sources`, each with the place where it was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from localcloud.catalog import OBJECT_OPERATIONS, OPERATIONS, PRODUCTS, host_parts
from localcloud.ecd.errors import ERRORS as ECD_ERRORS
from localcloud.ecs.errors import ERRORS as ECS_ERRORS
from localcloud.errors import GATEWAY, Catalogue
from localcloud.permissions import NEEDS_NONE, OBJECT_PERMISSIONS, PERMISSIONS
from localcloud.ram.errors import ERRORS as RAM_ERRORS
from localcloud.regions import REGIONS
from localcloud.resourcemanager.errors import ERRORS as RESOURCE_MANAGER_ERRORS
from localcloud.resourcesharing.errors import ERRORS as RESOURCE_SHARING_ERRORS
from localcloud.sts.errors import ERRORS as STS_ERRORS
from tests.conformance import sources
from tests.conformance.handbook import Handbook, Parameter, declared_leaves, leaves, mismatches
from tests.conformance.reach import reach
from tests.conformance.refusals import codes_of, denied_code, refusals_of, served_operation
from tests.conformance.scenes import ANYWHERE, ON_THEIR_OWN, SCENES, SWITCHES, Answer, Request, Stage, role_of
from tests.conformance.sdk import parameters, understood
from tests.support.cloud import REGION

CATALOGUES: Mapping[str, Catalogue] = {
    "ecd": ECD_ERRORS,
    "ecs": ECS_ERRORS,
    "ram": RAM_ERRORS,
    "resourcemanager": RESOURCE_MANAGER_ERRORS,
    "resourcesharing": RESOURCE_SHARING_ERRORS,
    "sts": STS_ERRORS,
}

every_operation = pytest.mark.parametrize("operation", sorted(OPERATIONS))
with_metadata = pytest.mark.parametrize("operation", sorted(OPERATIONS - set(sources.WITHOUT_METADATA)))


def answers(operation: str) -> Iterator[Answer]:
    """The answers of all scenes, in all positions of the switches that change what an answer looks like."""
    for switches in SWITCHES:
        for request in SCENES[operation]:
            answer = Stage(switches=dict(switches)).ask(operation, request)
            assert answer.status == 200, (operation, request, answer.body)
            yield answer


# --- what is documented at all


@every_operation
def test_an_operation_has_metadata_or_a_source(operation: str, handbook: Handbook) -> None:
    """Every operation that is served is in the metadata, or in the one list of those that are not, with its source."""
    assert (operation in handbook) != (operation in sources.WITHOUT_METADATA)


def test_there_are_scenes_for_every_operation_and_no_others() -> None:
    """Lists of this folder name operations that are served, and all of them have scenes."""
    assert set(SCENES) == OPERATIONS
    for names in (sources.WITHOUT_METADATA, sources.LEFT_OUT, sources.ODD_TYPES, sources.WITHOUT_EFFECT):
        assert set(names) <= OPERATIONS


# --- fields


@with_metadata
def test_every_field_of_an_answer_is_declared_with_its_type(operation: str, handbook: Handbook) -> None:
    """Each field is in the metadata's schema, or newer, with the right JSON type."""
    metadata, odd = handbook[operation], sources.ODD_TYPES.get(operation, {})
    for answer in answers(operation):
        assert mismatches(answer.body, metadata.answer, metadata.newer, odd) == []


@with_metadata
def test_every_declared_field_is_given_or_left_out_knowingly(operation: str, handbook: Handbook) -> None:
    """The scenes show each declared field but those that the one list leaves out, so the check above sees them all."""
    metadata = handbook[operation]
    shown = set().union(*(leaves(answer.body) for answer in answers(operation)))
    declared = declared_leaves(metadata.answer, metadata.newer)
    assert declared - shown == sources.LEFT_OUT.get(operation, frozenset())


@every_operation
def test_odd_types_are_really_given(operation: str) -> None:
    """A type that the list excuses is one that some switch produces, beside the declared one."""
    for path in sources.ODD_TYPES.get(operation, {}):
        values = [value for answer in answers(operation) for value in _at(answer.body, path)]
        assert {type(value) for value in values} in ({int, str}, {bool, str})


@every_operation
def test_the_official_sdk_knows_every_field(operation: str) -> None:
    """The SDK drops what it does not know; of these answers it drops nothing."""
    for answer in answers(operation):
        assert leaves(understood(operation, answer.body)) == leaves(answer.body)


# --- parameters


@every_operation
def test_every_parameter_that_is_read_is_declared_and_the_other_way_round(operation: str, handbook: Handbook) -> None:
    """No parameter is made up, and none of the vendor's is ignored but those that the one list names."""
    ignored = set(sources.WITHOUT_EFFECT.get(operation, {}))
    served = served_operation(operation)
    named = served.regional and served.product not in sources.REGION_FROM_HOST
    read = reach(served).parameters | ({"RegionId"} if named else set())
    by_sdk = set(parameters(operation))
    assert read | ignored == by_sdk
    assert not read & ignored
    if operation in handbook:
        assert by_sdk == set(handbook[operation].parameters)


@every_operation
def test_required_parameters_are_required(operation: str, handbook: Handbook) -> None:
    """Without a required parameter, or with an empty one, a call is refused with a code that is documented for that."""
    required = {name for name, needed in parameters(operation).items() if needed}
    if operation in handbook:
        by_metadata = {name for name, one in handbook[operation].parameters.items() if one.required}
        assert required == by_metadata
    usual = SCENES[operation][0]
    for name in required:
        for request in (usual.without(name), _emptied(usual, name)):
            answer = Stage().ask(operation, request)
            assert answer.code.startswith("MissingParameter"), (name, answer)
            assert answer.status in documented(operation, answer.code, handbook), (name, answer)


@pytest.mark.parametrize("operation", sorted(name for name in OPERATIONS if served_operation(name).regional))
def test_the_region_is_required_where_the_host_names_none(operation: str) -> None:
    """A client that leaves the region to the host is served, one that names it nowhere is not."""
    request = SCENES[operation][0].without("RegionId")
    product = operation.partition(":")[0]
    assert Stage().ask(operation, replace(request, host=ANYWHERE)).code.startswith("MissingParameter")
    assert Stage().ask(operation, replace(request, host=f"{product}.{REGION}.aliyuncs.com")).status == 200


# --- limits


@with_metadata
def test_values_within_the_documented_limits_are_accepted(operation: str, handbook: Handbook) -> None:
    """The lowest and highest number, the shortest and longest text, and each value that is named will do."""
    for name, parameter in handbook[operation].parameters.items():
        for value in _within(parameter):
            answer = Stage().ask(operation, _trying(operation, name).but(**{name: value}))
            own, instead = sources.NOT_HERE.get((operation, name), (value, ""))
            if value != own:
                assert answer.code == instead, (name, value)
            else:
                assert answer.code in ("", sources.ACCEPTED_WITH.get((name, value.lower()), "")), (name, value)


@with_metadata
def test_values_beyond_the_documented_limits_are_refused(operation: str, handbook: Handbook) -> None:
    """What is too low, too high, too short, too long, of another type or none of the named values is refused."""
    for name, parameter in handbook[operation].parameters.items():
        for value in _beyond(parameter):
            answer = Stage().ask(operation, _trying(operation, name).but(**{name: value}))
            assert 400 <= answer.status < 500, (name, value)
            assert answer.code in codes_of(operation), (name, value)


@with_metadata
def test_lists_have_their_documented_lengths(operation: str, handbook: Handbook) -> None:
    """One item more than a list may have is refused for that, or cut off where the vendor says so."""
    for name, parameter in handbook[operation].parameters.items():
        most = sources.COUNTS.get((operation, name), parameter.count)
        if most is None:
            continue
        full, over = (
            Stage().ask(operation, _with(_trying(operation, name), _items(parameter, count)))
            for count in (most, most + 1)
        )
        if (operation, name) in sources.CUT_OFF:
            assert full.code == over.code, (name, full, over)
        elif (operation, name) in sources.NOT_SERVED:
            assert full.code == over.code == sources.NOT_SERVED[operation, name]
        else:
            assert over.status in (400, 403), (name, over)
            assert over.code != full.code, (name, full)


# --- codes


@every_operation
def test_every_code_is_documented_with_its_status(operation: str, handbook: Handbook) -> None:
    """Each code that the operation's own code can give is in its metadata, in its product's, or has a source."""
    for code in codes_of(operation):
        assert status_of(operation, code) in documented(operation, code, handbook), code


@every_operation
def test_every_code_is_given(operation: str) -> None:
    """Each code that the operation can give is given to a request that deserves it, and there are no others."""
    rows = refusals_of(operation)
    assert set(rows) == codes_of(operation)
    for code, refusal in rows.items():
        answer = Stage(**refusal.parts).ask(operation, refusal.request)
        assert (answer.code, answer.status) == (code, status_of(operation, code))


@every_operation
def test_every_operation_takes_its_permission(operation: str) -> None:
    """Whoever has no policy that allows it is told so in the product's words, with the action; GetCallerIdentity is
    free."""
    usual = SCENES[operation][0]
    answer = Stage().ask(operation, replace(usual, role=role_of(usual.account)))
    if not denied_code(operation):
        assert answer.status == 200
        return
    assert (answer.status, answer.code) == (403, denied_code(operation))
    detail = answer.body["AccessDeniedDetail"]
    assert (detail["AuthAction"], detail["NoPermissionType"]) == (operation, "ImplicitDeny")


def test_there_is_a_permission_for_every_operation_and_no_other() -> None:
    """An operation that is served is checked, or known to be free."""
    assert PERMISSIONS.keys() | NEEDS_NONE == OPERATIONS
    assert {f"oss:{name}" for name in OBJECT_PERMISSIONS} == OBJECT_OPERATIONS


def test_every_source_of_a_code_is_needed(handbook: Handbook) -> None:
    """No row of the list of codes is without an operation that gives the code and has it nowhere else."""
    needed = {
        row
        for row in sources.CODES
        for operation in OPERATIONS
        for code in codes_of(operation)
        if sources.covers(row, operation, code) and not in_metadata(operation, code, handbook)
    }
    assert needed == set(sources.CODES)


def test_every_code_of_the_gateway_has_a_source() -> None:
    """What the gateway refuses is in no metadata, so all of it is in the list."""
    assert set(sources.GATEWAY) == set(GATEWAY.codes)


@pytest.mark.parametrize("product", sorted(PRODUCTS))
def test_no_code_is_there_in_vain(product: str) -> None:
    """Each code of a product's catalogue is one that some operation can give; none is in two catalogues."""
    every = set().union(*(codes_of(operation) for operation in OPERATIONS if operation.startswith(f"{product}:")))
    assert set(CATALOGUES[product].codes) - every == set()
    assert not set(CATALOGUES[product].codes) & set(GATEWAY.codes)


# --- hosts


@pytest.mark.parametrize("product", sorted(PRODUCTS))
def test_every_endpoint_of_the_vendor_leads_to_its_product_and_region(product: str, handbook: Handbook) -> None:
    """A region's host is its product's, and names that region or leaves it to the call."""
    rows = [(region, host) for region, host in handbook.endpoints(product) if region in REGIONS]
    assert rows
    for region, host in rows:
        assert host_parts(host) in ((product, region), (product, ""))


# --- helpers


def in_metadata(operation: str, code: str, handbook: Handbook) -> frozenset[int]:
    """The statuses that the vendor's metadata has for a code of an operation, else of its product."""
    own = handbook[operation].errors.get(code) if operation in handbook else None
    return own or handbook.product_errors(operation.partition(":")[0]).get(code, frozenset())


def documented(operation: str, code: str, handbook: Handbook) -> frozenset[int]:
    """The same, or else those of the list of sources."""
    return in_metadata(operation, code, handbook) or sources.listed(operation, code)


def status_of(operation: str, code: str) -> int:
    """The HTTP status that the local cloud's catalogues have for a code."""
    product = CATALOGUES[operation.partition(":")[0]]
    return (product.codes.get(code) or GATEWAY.codes[code])[0]


def _at(value: Any, path: str) -> list[Any]:
    """All values at a path."""
    found = [value]
    for part in path.split("."):
        key, rows = part.removesuffix("[]"), part.endswith("[]")
        found = [one[key] for one in found if key in one]
        found = [row for one in found for row in one] if rows else found
    return found


def _emptied(request: Request, name: str) -> Request:
    """The request with an empty value, or a list whose one item is empty."""
    listed = [key for key in request.params if key.startswith(f"{name}.")]
    empty = {f"{name}.1": ""} if listed and listed[0].count(".") == 1 else {} if listed else {name: ""}
    return replace(request.without(name), params={**request.without(name).params, **empty})


def _trying(operation: str, name: str) -> Request:
    """The request in which a parameter is tried."""
    return ON_THEIR_OWN.get((operation, name)) or SCENES[operation][0].without(name)


def _with(request: Request, params: Mapping[str, str]) -> Request:
    return replace(request, params={**request.params, **params})


def _within(parameter: Parameter) -> Iterator[str]:
    yield from (str(value) for value in parameter.range if value is not None)
    yield from parameter.values
    yield from ("x" * length for length in parameter.length if length is not None)
    if parameter.type == "boolean":
        yield from ("true", "false", "True", "False")


def _beyond(parameter: Parameter) -> Iterator[str]:
    low, high = parameter.range
    shortest, longest = parameter.length
    if low is not None:
        yield str(low - 1)
    if high is not None:
        yield str(high + 1)
    if parameter.values or parameter.type in ("boolean", "integer"):
        yield "nonsense"
    if shortest is not None and shortest > 1:
        yield "x" * (shortest - 1)
    if longest is not None:
        yield "x" * (longest + 1)


def _items(parameter: Parameter, count: int) -> Mapping[str, str]:
    """So many items of a list, as they travel."""
    properties = parameter.raw["items"].get("properties", {})
    if "ResourceType" in properties:
        names = [f"{parameter.name}.{number}" for number in range(1, count + 1)]
        return {
            f"{name}.{key}": value for name in names for key, value in (("ResourceId", name), ("ResourceType", "Image"))
        }
    below = next((f".{key}" for key in ("Key", "TagKey", "SnapshotId") if key in properties), "")
    return {f"{parameter.name}.{number}{below}": f"s-{number}" for number in range(1, count + 1)}
