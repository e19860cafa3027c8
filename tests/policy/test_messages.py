"""What is said about each mistake; the wording is in ``messages.txt`` so that it can be read in one go."""

import re

import pytest

from tests.policy.samples import SAMPLE, Case, cases, problems

KEYS = """
    version deployment mode state
    directory directory.account directory.role directory.nested_folder_targets directory.settle
    owners owners[1].account owners[1].regions owners[0].role owners[0].quotas.accounts_per_image
    never never.accounts[0] never.folders[0] never.accept_moves
    rules[1] rules[1].name rules[1].images rules[1].audience rules[0].channel rules[0].mode
    rules[0].encrypted owners[0].quotas.trust_policy_length
    rules[0].images.service rules[0].images.owner rules[0].images.region[0] rules[0].images.ids
    rules[0].images.name rules[0].images.family rules[0].images.tags
    rules[0].audience.folders[1] rules[0].audience.account_tags rules[0].audience.accounts[1]
    rules[0].audience.partners[1].account rules[0].audience.partners[0].name rules[0].audience.partners[0].until
    rules[0].audience.except.folders[0] rules[0].audience.except.accounts[0] rules[0].audience.except.accept_moves
    owners[0].kms_keys rules[0].audience.partners[0].site rules[0].copy_to
    safety.hold_when.lost_pairs safety.hold_when.lost_percent safety.hold_when.window
    safety.hold_when.departed.accounts safety.hold_when.departed.percent
    safety.partners safety.grace safety.on_leave safety.unmanaged
    owners[0].site retire retire.tags
"""


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_a_mistake_is_named_with_file_line_place_and_what_was_expected(case: Case) -> None:
    """Each mistake of the table gets exactly the lines written beside it."""
    assert problems(case.text) == case.messages


def test_every_key_of_the_contract_has_a_message() -> None:
    """No key of the policy is without a mistake in the table."""
    places = {line.split(": ")[1] for case in cases() for line in case.messages}

    assert set(KEYS.split()) - places == set()


def test_mistakes_are_told_together() -> None:
    """All mistakes of a file are in one error, in the order of the file."""
    text = SAMPLE.replace("mode: enforce", "mode: full").replace("fd-shop", "shop").replace("grace: 0s", "grace: 1w")

    assert [line.split(":")[1] for line in problems(text)] == ["3", "48", "56"]


def test_a_file_of_another_version_is_not_judged_further() -> None:
    """A later version is the only thing said about a file, since its other keys may be right there."""
    text = SAMPLE.replace("version: 1", "version: 2").replace("mode: enforce", "moods: many")

    assert problems(text) == ["policy.yaml:1: version: got the number 2; expected 1 (this version reads version 1)"]


def test_a_wrong_mode_of_the_whole_is_not_held_against_the_rules() -> None:
    """Rules are compared with the mode of the whole only when that is known."""
    assert [line.split(": ")[1] for line in problems(SAMPLE.replace("mode: enforce", "mode: full"))] == ["mode"]


def test_a_wrong_mode_of_a_rule_is_not_compared_with_the_whole() -> None:
    """A rule's mode is called less careful only when it is a mode."""
    text = SAMPLE.replace("mode: enforce", "mode: observe").replace("mode: add", "mode: more")

    assert problems(text) == ['policy.yaml:45: rules[0].mode: got "more"; expected observe, add or enforce']


def test_two_wrong_ids_are_not_one_id_twice() -> None:
    """Malformed ids are each told for themselves, and not as the same."""
    text = SAMPLE.replace('account: "1000000000000002"', "account: x").replace(
        'account: "1000000000000003"', "account: y"
    )

    assert [line.split(": ")[1] for line in problems(text)] == ["owners[0].account", "owners[1].account"]


def test_a_region_that_no_owner_has_is_told() -> None:
    """A rule that names no owner may name the regions of all of them and no other."""
    text = SAMPLE.replace("regions: all", "regions: [cn-beijing]")
    text = text.replace(
        "images: {family: [base-linux, base-windows]}", "images: {family: x, region: [cn-beijing, cn-wuhan]}"
    )

    assert problems(text) == [
        "policy.yaml:47: rules[1].images.region[1]: cn-wuhan is no region of its owners, so the rule would never match;"
        " expected ap-southeast-1, cn-beijing or cn-hangzhou"
    ]


def test_a_partner_has_one_site() -> None:
    """Two rules that put one partner on two sites contradict each other; a site that one leaves out is no other."""
    partner = '{account: "2000000000000002", site: %s}'
    text = SAMPLE.replace('- "2000000000000002"', f"- {partner % 'china'}")
    other = text.replace("audience: {folders: [fd-shop]}", "audience: {partners: [%s]}" % partner)  # noqa: UP031

    assert problems(other % "international") == [
        "policy.yaml:46: rules[1]: partner 2000000000000002 has site international here, and china in rules[0] "
        "(line 22); expected one site for each account"
    ]
    assert problems(other % "china") == []
    assert problems(other.replace(", site: %s", "")) == []


def test_a_wrong_owner_is_not_held_against_the_rules() -> None:
    """While an owner's id is malformed, rules that may mean that owner are not blamed."""
    text = SAMPLE.replace('- account: "1000000000000002"', "- account: 1000000000000002")

    assert [line.split(": ")[1] for line in problems(text)] == ["owners[0].account"]


def test_a_wrong_region_is_not_held_against_the_rules() -> None:
    """While a region of an owner is malformed, rules that may mean that region are not blamed."""
    text = SAMPLE.replace("[cn-hangzhou, ap-southeast-1]", "[cn_hangzhou, ap-southeast-1]")

    assert [line.split(": ")[1] for line in problems(text)] == ["owners[0].regions[0]"]


def test_a_text_in_a_message_stays_on_one_line_and_short() -> None:
    """Values are quoted in messages without control characters and cut where they are long."""
    text = SAMPLE.replace("mode: enforce", 'mode: "a\\e[31m\\u2028b' + "x" * 200 + '"')

    [line] = problems(text)

    assert line.isprintable()
    assert len(line) < 200


def test_more_mistakes_than_anyone_reads_are_counted() -> None:
    """Beyond a hundred mistakes only their number is told."""
    text = SAMPLE.replace("folders: [root, fd-prod]", f"folders: [{'prod, ' * 130}]")

    lines = problems(text)

    assert len(lines) == 101
    assert lines[-1] == "policy.yaml: 30 more problems; mend these first"


def test_no_message_repeats_itself() -> None:
    """A mistake is told once, and each line names a place and an expectation."""
    for case in cases():
        assert len(set(case.messages)) == len(case.messages)
        for line in case.messages:
            assert re.match(r"policy\.yaml:\d+: .+; expected \S", line), line
