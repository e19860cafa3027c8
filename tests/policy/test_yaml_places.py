"""Texts that are no YAML, no policy, or YAML meant to hurt."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.policy.yaml_places import MAX_BYTES, MAX_VALUES
from tests.policy.samples import MINIMAL, SAMPLE, problems

MIND = "expected well-formed YAML (mind indentation, quotes and brackets here and above)"
TOO_MANY = f"more than {MAX_VALUES:,} values, aliases followed; expected fewer"
KEYS = "a mapping with the keys version, deployment, mode, state, directory, owners, rules, never, retire and safety"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "policy.yaml:1: empty; expected a policy, which begins with version: 1"),
        ("# nothing yet\n", "policy.yaml:1: empty; expected a policy, which begins with version: 1"),
        ("- version: 1\n", f"policy.yaml:1: got a list; expected {KEYS}"),
        ("version 1\n", f'policy.yaml:1: got "version 1"; expected {KEYS}'),
        (
            "version: 1\n\tmode: add\n",
            "policy.yaml:2: not readable as YAML: while scanning for the next token, found character '\\t' that"
            " cannot start any token; expected spaces to indent with, not tabs",
        ),
        (
            "version: 1\nmode: [add\nrules: []\n",
            "policy.yaml:3: not readable as YAML: while parsing a flow sequence, expected ',' or ']', but got ':'; "
            + MIND,
        ),
        (
            "version: 1\n---\nversion: 1\n",
            "policy.yaml:2: not readable as YAML: expected a single document in the stream, but found another"
            f" document; {MIND}",
        ),
        ("version: *one\n", f"policy.yaml:1: not readable as YAML: found undefined alias 'one'; {MIND}"),
        ("version: 1\nmode: a\x07b\n", "policy.yaml:2: not readable as YAML: the character U+0007; expected text"),
        (
            'version: 1\nmode: "\\UFFFFFFFF"\n',
            "policy.yaml:2: not readable as YAML: an escape or a number is out of range; expected well-formed YAML",
        ),
        (b"version: 1\nmode: caf\xe9\n", "policy.yaml:2: not UTF-8; expected a YAML file in UTF-8"),
        ("[" * 5_000, "policy.yaml: nested too deeply; expected a policy"),
        ("#" * (MAX_BYTES + 1), "policy.yaml: larger than 524,288 bytes; expected a policy"),
    ],
)
def test_what_is_no_yaml_is_told_in_one_line(text: str | bytes, message: str) -> None:
    """A text that cannot be read at all gets one line with the first trouble."""
    assert problems(text) == [message]


def aliases() -> str:
    """Rules that are aliases of one rule with a long audience."""
    accounts = '"1000000000000009",' * 5_000
    rule = f"&a {{name: a, images: {{ids: m-1}}, audience: {{accounts: [{accounts}]}}}}"
    return MINIMAL.replace("rules: []", f"rules: [{rule}, {'*a, ' * 100}]")


def merges() -> str:
    """Rules each of which merges the one before it and adds a key."""
    rules = "".join(f"  - &r{n} {{<<: *r{n - 1}, k{n}: 1}}\n" for n in range(1, 1_000))
    return MINIMAL.replace("rules: []", f"rules:\n  - &r0 {{k0: 1}}\n{rules}")


@pytest.mark.parametrize("text", [aliases(), merges()], ids=["aliases", "merges"])
def test_a_small_file_cannot_mean_millions_of_values(text: str) -> None:
    """Aliases and merge keys that multiply are refused long before they cost minutes."""
    assert len(text) <= MAX_BYTES
    [line] = problems(text)

    assert line.endswith(TOO_MANY)


def test_merge_keys_that_double_cost_nothing() -> None:
    """A mapping that merges another twice, sixty times over, is read like any other."""
    rules = "".join(f"  - &r{n} {{<<: [*r{n - 1}, *r{n - 1}], k{n}: 1}}\n" for n in range(1, 60))

    assert len(problems(MINIMAL.replace("rules: []", f"rules:\n  - &r0 {{k0: 1}}\n{rules}"))) == 101


@pytest.mark.parametrize("text", ["&a [*a]", "&a {<<: *a, version: 1, rules: *a}", "&a {rules: [*a], version: *a}"])
def test_what_contains_itself_comes_to_an_end(text: str) -> None:
    """An alias of what is around it is an error like any other."""
    assert problems(text)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=20)
    | st.sampled_from(
        ["1000000000000002", "fd-x", "root", "all", "0s", "m-1", "file:x", "auto", "enforce", "oss://a/b"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["name", "account", "folders", "ids", "until"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything in a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(path for key, child in children for path in paths(child, (*before, key)))]


WAYS = paths(yaml.safe_load(SAMPLE))[1:]


def assert_policy_or_problems(text: str | bytes) -> None:
    """A text gives a policy or an error whose lines all begin with the name of the file."""
    for line in problems(text):
        assert line.startswith("policy.yaml:")
        assert "\r" not in line
        line.encode()


@given(st.sampled_from(WAYS), junk, st.booleans())
@settings(deadline=None)
def test_any_value_anywhere_gives_a_policy_or_problems(way: tuple[Any, ...], value: Any, block: bool) -> None:
    """Whatever stands where a value of the sample stood, nothing but a policy or a list of problems comes out."""
    document = yaml.safe_load(SAMPLE)
    *parents, last = way
    target = document
    for key in parents:
        target = target[key]
    target[last] = value

    assert_policy_or_problems(yaml.safe_dump(document, default_flow_style=not block, allow_unicode=True))


signs = st.sampled_from([": ", "\n", "\t", "- ", "[", "{", "&a ", "*a", "<<: *a", '"', "!!", "\\", "#", "%", "? "])
slip = st.tuples(st.integers(0, len(SAMPLE)), st.integers(0, 12), st.text(max_size=6) | signs)


@given(st.lists(slip, max_size=4))
@settings(deadline=None)
def test_any_slip_of_the_keyboard_gives_a_policy_or_problems(slips: list[tuple[int, int, str]]) -> None:
    """The sample with pieces struck out and others typed in is a policy or a list of problems."""
    text = SAMPLE
    for start, length, typed in slips:
        text = text[:start] + typed + text[start + length :]

    assert_policy_or_problems(text)


@given(st.text() | st.binary())
@settings(max_examples=150, deadline=None)
def test_any_text_gives_a_policy_or_problems(text: str | bytes) -> None:
    """Text and bytes of any kind are a policy or a list of problems."""
    assert_policy_or_problems(text)


@given(st.text(alphabet="ab01:-[]{},&*!|>'\"%@`#?<\\/x \n\t", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_of_yaml_signs_gives_a_policy_or_problems(text: str) -> None:
    """Text made of the signs that YAML gives a meaning is a policy or a list of problems."""
    assert_policy_or_problems(text)
    assert_policy_or_problems(f"version: 1\nrules: {text}")
    assert_policy_or_problems(SAMPLE.replace("golden-images", text))
