"""The digest of a policy follows its meaning and nothing else."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orgshare.policy.loading import parse
from tests.policy.samples import SAMPLE, edit, read

DIGEST = read(SAMPLE).digest

CHANGES = [
    ("golden-images", "golden"),
    ("mode: enforce", "mode: add"),
    ("state: file:state", "state: file:other"),
    ('account: "1000000000000001"', 'account: "1000000000000001"\n  role: null'),
    ("role/orgshare-directory-reader", "role/reader"),
    ("nested_folder_targets: no", "nested_folder_targets: unknown"),
    ("nested_folder_targets: no", "nested_folder_targets: yes"),
    ("settle: 20m", "settle: 21m"),
    ("regions: [cn-hangzhou, ap-southeast-1]", "regions: [cn-hangzhou]"),
    ("regions: all", "regions: [cn-hangzhou]"),
    ("role/orgshare\n", "role/other\n"),
    ("accounts_per_image: 60", "accounts_per_image: 61"),
    ("[fd-quarantine]", "[]"),
    ("  accounts: []", '  accounts: ["1000000000000008"]'),
    ("name: golden\n", "name: silver\n"),
    ('      owner: "1000000000000002"', '      owner: ["1000000000000002", "1000000000000003"]'),
    ("      region: cn-hangzhou", "      region: [cn-hangzhou, ap-southeast-1]"),
    ("ids: [m-1]", "ids: [m-1, m-2]"),
    ('name: "golden-*"', 'name: "golden-?"'),
    ("family: acme-linux", "family: Acme-linux"),
    ("tags: {share: org}", "tags: {share: [org, all]}"),
    ("tags: {share: org}", "tags: {share: org, os: linux}"),
    ("[root, fd-prod]", "[root]"),
    ("{env: prod}", "{env: test}"),
    ('["1000000000000009"]', "[]"),
    ("name: Globex", "name: Initech"),
    ("until: 2027-03-31", "until: 2027-03-30"),
    ('        - "2000000000000002"\n', ""),
    ("[fd-sandbox]", "[fd-sand]"),
    ('["1000000000000005"]', '["1000000000000006"]'),
    ("\n  accept_moves: false", "\n  accept_moves: true"),
    ("        accept_moves: false", "        accept_moves: true"),
    ("channel: auto", "channel: direct"),
    ("channel: auto", "channel: directory"),
    ("mode: add", "mode: observe"),
    ("lost_pairs: 100", "lost_pairs: 101"),
    ("lost_percent: 10", "lost_percent: 11"),
    ("accounts: 3", "accounts: 4"),
    ("percent: 2.5", "percent: 2.6"),
    ("window: 36h", "window: 37h"),
    ("partners: run", "partners: hold"),
    ("grace: 0s", "grace: 1s"),
    ("on_leave: revoke", "on_leave: keep"),
    ("on_leave: revoke", "on_leave: 1s"),
    ("unmanaged: keep", "unmanaged: adopt"),
    ("unmanaged: keep", "unmanaged: revoke"),
    ("[retired, old]", "[retired]"),
    ("lifecycle:", "life:"),
]


@pytest.mark.parametrize(("old", "new"), [change for change in CHANGES if "null" not in change[1]])
def test_every_meaning_is_in_the_digest(old: str, new: str) -> None:
    """A change of any value that means something changes the digest."""
    text = SAMPLE.replace(old, new)

    assert text != SAMPLE
    assert read(text).digest != DIGEST


def shuffled(value: Any, order: random.Random, key: str = "") -> Any:
    """The same policy with keys, and lists without an order of their own, in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(item, order, name)) for name, item in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        values = [shuffled(item, order) for item in value]
        order.shuffle(values)
        return values
    return value


@pytest.mark.parametrize("seed", range(20))
def test_order_and_spelling_are_not_in_the_digest(seed: int) -> None:
    """Keys and lists in another order, other quotes and another layout leave the digest as it is."""
    order = random.Random(seed)
    document = shuffled(yaml.safe_load(SAMPLE), order)
    text = yaml.safe_dump(
        document, sort_keys=False, default_flow_style=order.random() < 0.5, width=order.choice([20, 200])
    )

    assert read(text).digest == DIGEST


def test_comments_and_repetitions_are_not_in_the_digest() -> None:
    """Comments, empty lines, a value named twice in a list and a default written down change nothing."""
    text = re.sub("\n", "\n\n# said\n", SAMPLE)
    text = text.replace("[root, fd-prod]", "[root, fd-prod, root]").replace(
        "    regions: all", "    regions: all\n    quotas: {}"
    )
    text = text.replace("lost_percent: 10", "lost_percent: 10.0")

    assert read(text).digest == DIGEST


def test_two_spellings_of_one_time_or_answer_have_one_digest() -> None:
    """A settling time in another unit and a quoted no are the same policy."""
    text = SAMPLE.replace("settle: 20m", "settle: 1200s").replace("targets: no", 'targets: "no"')

    assert read(text).digest == DIGEST


def test_places_are_not_in_the_digest() -> None:
    """One policy has one digest under every name and in every folder."""
    assert parse(SAMPLE, source="other.yaml", base=Path("/elsewhere")).digest == DIGEST


def test_the_digest_names_its_kind() -> None:
    """A digest is written as the contract shows it."""
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", DIGEST)


def test_equal_defaults_have_equal_digests() -> None:
    """A limit written down as its default is the default."""
    limits = "    lost_pairs: 200\n    lost_percent: 20\n    departed: {accounts: 5, percent: 5.0}\n    window: 24h"
    old = "    lost_pairs: 100\n    lost_percent: 10\n    departed: {accounts: 3, percent: 2.5}\n    window: 36h"
    without = edit(f"  hold_when:\n{old}", "  unmanaged: keep", SAMPLE.replace("  unmanaged: keep\n", ""))

    assert read(edit(old, limits)).digest == read(without).digest
