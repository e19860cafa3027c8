"""What a valid policy means, and where it is read from."""

import textwrap
from datetime import date, timedelta
from pathlib import Path

import pytest

from orgshare.errors import ConfigurationError
from orgshare.policy.loading import load
from orgshare.policy.model import (
    Audience,
    DirectoryReader,
    Exclusion,
    ImageSelector,
    Limits,
    Owner,
    Partner,
    Policy,
    Rule,
)
from tests.policy.samples import MINIMAL, SAMPLE, edit, problems, read

CONTRACT = Path(__file__).parents[3] / "shared" / "contract.md"


def test_every_key_reaches_the_policy() -> None:
    """The sample, which uses every key of this version, means what it says."""
    assert read(SAMPLE) == Policy(
        deployment="golden-images",
        mode="enforce",
        state="/base/state",
        directory=DirectoryReader(
            "1000000000000001",
            role="acs:ram::1000000000000001:role/orgshare-directory-reader",
            nested_folder_targets="no",
            settle=timedelta(minutes=20),
        ),
        owners=(
            Owner(
                "1000000000000002",
                ("ap-southeast-1", "cn-hangzhou"),
                role="acs:ram::1000000000000002:role/orgshare",
                accounts_per_image=60,
            ),
            Owner("1000000000000003", None, role=None, accounts_per_image=50),
        ),
        rules=(
            Rule(
                name="golden",
                images=ImageSelector(
                    owners=frozenset({"1000000000000002"}),
                    regions=frozenset({"cn-hangzhou"}),
                    ids=frozenset({"m-1"}),
                    names=("golden-*",),
                    families=frozenset({"acme-linux"}),
                    tags=(("share", frozenset({"org"})),),
                ),
                audience=Audience(
                    folders=("fd-prod", "root"),
                    account_tags=(("env", frozenset({"prod"})),),
                    accounts=frozenset({"1000000000000009"}),
                    partners=(
                        Partner("2000000000000001", "Globex", date(2027, 3, 31)),
                        Partner("2000000000000002"),
                    ),
                    excluded=Exclusion(frozenset({"1000000000000005"}), frozenset({"fd-sandbox"})),
                ),
                channel="auto",
                mode="add",
                place="policy.yaml:22",
            ),
            Rule(
                name="base",
                images=ImageSelector(families=frozenset({"base-linux", "base-windows"})),
                audience=Audience(folders=("fd-shop",)),
                channel="auto",
                mode="enforce",
                place="policy.yaml:46",
            ),
        ),
        never=Exclusion(frozenset(), frozenset({"fd-quarantine"})),
        limits=Limits(
            lost_pairs=100, lost_percent=10, departed_accounts=3, departed_percent=2.5, window=timedelta(hours=36)
        ),
        retire=(("lifecycle", frozenset({"retired", "old"})),),
        source="policy.yaml",
        digest=read(SAMPLE).digest,
    )


def test_what_is_left_out_has_the_careful_default() -> None:
    """A policy of the required keys alone has the limits of the contract and excludes nobody."""
    policy = read(MINIMAL)

    assert policy.limits == Limits(200, 20, 5, 5)
    assert policy.never == Exclusion()
    assert policy.rules == ()
    assert policy.directory == DirectoryReader(
        "1000000000000001", role=None, nested_folder_targets="unknown", settle=timedelta(minutes=15)
    )
    assert policy.unmanaged == "keep"


@pytest.mark.parametrize(
    "empty", ["never: {}", "safety: {}", "safety: {hold_when: {departed: {}}}", "never: {accounts: [], folders: []}"]
)
def test_an_empty_part_is_a_part_left_out(empty: str) -> None:
    """A part without keys, and a list that takes nobody away, mean the same as nothing."""
    assert read(f"{MINIMAL}{empty}\n").digest == read(MINIMAL).digest


def test_a_rule_without_a_mode_has_that_of_the_whole() -> None:
    """Where a rule says nothing the deployment's mode holds."""
    text = edit("    mode: add", "", edit("mode: enforce", "mode: observe"))

    assert [rule.mode for rule in read(text).rules] == ["observe", "observe"]


def test_tags_alone_narrow_the_whole_organization() -> None:
    """An audience of account tags without folders starts from Root."""
    text = edit("      folders: [root, fd-prod]", "")

    assert read(text).rules[0].audience.folders == ("root",)


def test_an_empty_list_beside_somebody_is_no_mistake() -> None:
    """An audience may keep an empty list of partners or accounts as long as it names somebody."""
    text = edit("    audience: {folders: [fd-shop]}", "    audience: {folders: [fd-shop], partners: [], accounts: []}")

    assert read(text).rules[1].audience == Audience(folders=("fd-shop",))


def test_an_audience_of_accounts_alone_has_no_folders() -> None:
    """Accounts, or partners, are enough of an audience, and nobody else is in it."""
    accounts = edit("    audience: {folders: [fd-shop]}", '    audience: {accounts: ["1000000000000007"]}')
    partners = edit(
        "    audience: {folders: [fd-shop]}", '    audience: {accounts: [], partners: ["2000000000000003"]}'
    )

    assert read(accounts).rules[1].audience == Audience(accounts=frozenset({"1000000000000007"}))
    assert read(partners).rules[1].audience == Audience(partners=(Partner("2000000000000003"),))


def test_limits_may_be_none_or_everything() -> None:
    """A limit of 0 is a limit of none, one of 100 percent never holds; a quota may be 1."""
    text = edit("    lost_pairs: 100", "    lost_pairs: 0").replace("lost_percent: 10", "lost_percent: 100")
    text = text.replace("accounts_per_image: 60", "accounts_per_image: 1").replace("percent: 2.5", "percent: .5")

    assert read(text).limits == Limits(
        lost_pairs=0, lost_percent=100, departed_accounts=3, departed_percent=0.5, window=timedelta(hours=36)
    )
    assert read(text).owners[0].accounts_per_image == 1


@pytest.mark.parametrize(
    ("written", "accepted"),
    [("yes", True), ("on", True), ("True", True), ("no", False), ("Off", False), ("FALSE", False)],
)
def test_every_spelling_of_true_and_false_is_understood(written: str, accepted: bool) -> None:
    """A truth value may be written in any way that YAML knows."""
    never = edit("  accept_moves: false", f"  accept_moves: {written}")
    rule = edit("        accept_moves: false", f"        accept_moves: {written}")

    assert read(never).never.accept_moves is accepted
    assert read(rule).rules[0].audience.excluded.accept_moves is accepted


def test_moves_are_accepted_only_where_it_is_said() -> None:
    """Who excludes accounts and says nothing of moves does not accept them; what never says is of never alone."""
    text = edit(
        "    audience: {folders: [fd-shop]}", '    audience: {folders: [fd-shop], except: {accounts: ["12345"]}}'
    )
    text = edit("  accept_moves: false", "  accept_moves: true", text)

    policy = read(text)

    assert policy.never.accept_moves is True
    assert [rule.audience.excluded.accept_moves for rule in policy.rules] == [False, False]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("unknown", "unknown"), ("yes", "yes"), ("no", "no"), ('"yes"', "yes"), ("'no'", "no"),
        ("true", "yes"), ("False", "no"), ("On", "yes"),
    ],
)  # fmt: skip
def test_whether_folder_targets_reach_subfolders_is_unknown_yes_or_no(written: str, meant: str) -> None:
    """Yes and no may stand bare, which YAML reads as truth values, or in quotes."""
    text = edit("  nested_folder_targets: no", f"  nested_folder_targets: {written}")

    assert read(text).directory.nested_folder_targets == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0s", timedelta()), ("90s", timedelta(seconds=90)), ("15m", timedelta(minutes=15)),
        ('"2h"', timedelta(hours=2)), ("30d", timedelta(days=30)),
    ],
)  # fmt: skip
def test_a_settling_time_is_a_duration_in_any_unit(written: str, meant: timedelta) -> None:
    """Seconds, minutes, hours and days are understood, from none to a month."""
    assert read(edit("  settle: 20m", f"  settle: {written}")).directory.settle == meant


@pytest.mark.parametrize("channel", ["auto", "directory", "direct"])
def test_a_rule_may_ask_for_each_channel(channel: str) -> None:
    """Each channel reaches the policy, with partners in the audience too."""
    assert read(edit("    channel: auto", f"    channel: {channel}")).rules[0].channel == channel


@pytest.mark.parametrize("unmanaged", ["keep", "adopt", "revoke"])
def test_unmanaged_grants_are_kept_adopted_or_revoked(unmanaged: str) -> None:
    """Each way reaches the policy, with limits of the guard or without."""
    text = edit("  unmanaged: keep", f"  unmanaged: {unmanaged}")

    assert read(text).unmanaged == unmanaged
    assert read(text).limits == read(SAMPLE).limits
    assert read(f"{MINIMAL}safety: {{unmanaged: {unmanaged}}}\n").unmanaged == unmanaged


def test_the_policy_of_the_contract_is_accepted() -> None:
    """The contract's own sample has no key that is not in this version."""
    if not CONTRACT.exists():
        pytest.skip(f"{CONTRACT} is absent")
    described = CONTRACT.read_text(encoding="utf-8").split("## Policy (YAML)")[1]
    text = textwrap.dedent(described.split("\nWhat the keys mean")[0])

    assert problems(text) == []
    assert read(text).state == "oss://acme-orgshare/state"
    assert read(text).limits == Limits(window=timedelta(hours=24))


def test_sites_reach_the_policy() -> None:
    """Owners and partners may say on which of the vendor's sites they are; only two that are known can differ."""
    text = edit("    quotas: {accounts_per_image: 60}", "    site: china")
    text = edit('        - "2000000000000002"', '        - {account: "2000000000000002", site: international}', text)
    text = edit("          name: Globex", "          site: china", text)

    policy = read(text)

    assert [owner.site for owner in policy.owners] == ["china", None]
    assert policy.on_another_site("1000000000000002") == {"2000000000000002"}
    assert policy.on_another_site("1000000000000003") == frozenset()
    assert read(text).digest != read(text.replace("site: international", "site: china")).digest
    assert read(text).digest != read(text.replace("    site: china\n", "    site: international\n", 1)).digest


def test_root_may_be_named_by_its_id() -> None:
    """The id of the Root folder is a folder id like any other."""
    text = edit("    audience: {folders: [fd-shop]}", "    audience: {folders: [r-abc123]}")

    assert read(text).rules[1].audience.folders == ("r-abc123",)


def test_one_value_may_stand_without_brackets() -> None:
    """In a choice of images a value and a list of this value mean the same."""
    one = edit("      ids: [m-1]", "      ids: m-1")
    many = edit("      tags: {share: org}", "      tags: {share: [org]}", one)

    assert read(many).digest == read(SAMPLE).digest


def test_a_tag_may_have_an_empty_value() -> None:
    """A tag that has only a key can be asked for."""
    text = edit("      tags: {share: org}", '      tags: {share: ""}')

    assert read(text).rules[0].images.tags == (("share", frozenset({""})),)


@pytest.mark.parametrize(
    "region",
    ["cn-hangzhou", "ap-southeast-1", "cn-shanghai-finance-1", "me-east-1", "cn-qingdao-et2-bo1", "rus-west-1-pop"],
)
def test_regions_of_every_form_are_regions(region: str) -> None:
    """The forms that the vendor's region ids have are accepted."""
    text = edit("    regions: all", f"    regions: [{region}]")

    assert read(text).owners[1].regions == (region,)


@pytest.mark.parametrize("account", ['"0123456789012345"', "'31524094'", "0123456789012345"])
def test_account_ids_of_every_form_are_account_ids(account: str) -> None:
    """A leading 0 and the short ids of old accounts are accepted, and bare digits where YAML leaves them alone."""
    text = edit('  - account: "1000000000000003"', f"  - account: {account}")

    assert read(text).owners[1].account == account.strip("\"'")


def test_a_day_may_be_quoted() -> None:
    """A date in quotes is the same date."""
    text = edit("          until: 2027-03-31", '          until: "2027-03-31"')

    assert read(text).digest == read(SAMPLE).digest


@pytest.mark.parametrize("zero", ["0s", "0m", "0h", "0d", '"0s"'])
def test_no_grace_can_be_said_in_any_unit(zero: str) -> None:
    """A grace of nothing is what a policy has that says nothing, in whatever unit it is written."""
    assert read(edit("  grace: 0s", f"  grace: {zero}")).digest == read(SAMPLE).digest
    assert read(edit("  on_leave: revoke", f"  on_leave: {zero}")).digest == read(SAMPLE).digest


def test_grace_on_leave_and_partners_reach_the_policy() -> None:
    """Durations, keeping for good, and asking before the first grant to a partner; without a word nothing is kept."""
    text = edit("  grace: 0s", "  grace: 7d", edit("  partners: run", "  partners: hold"))
    assert (read(text).grace, read(text).partners, read(text).on_leave) == (timedelta(days=7), "hold", timedelta())
    assert read(edit("  on_leave: revoke", "  on_leave: 30d")).on_leave == timedelta(days=30)
    assert read(edit("  on_leave: revoke", "  on_leave: keep")).on_leave is None
    assert (read(MINIMAL).grace, read(MINIMAL).on_leave, read(MINIMAL).partners) == (timedelta(), timedelta(), "run")


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("  grace: 0s", "  grace: 7d", "safety.grace: 7d"),
        ("  on_leave: revoke", "  on_leave: keep", "safety.on_leave: keep"),
        ("  on_leave: revoke", "  on_leave: 1d", "safety.on_leave: 1d"),
    ],
)
def test_what_only_direct_grants_can_do_is_refused_where_the_directory_alone_serves(
    old: str, new: str, kept: str
) -> None:
    """The rule's place and the key are named; a rule that may use direct grants is no mistake."""
    for channel, wrong in (("auto", False), ("direct", False), ("directory", True)):
        found = problems(edit(old, new, edit("    channel: auto", f"    channel: {channel}")))
        assert (
            found
            == [
                "policy.yaml:44: rules[0].channel: directory cannot keep anything longer than it is wanted, and "
                f"{kept} does; expected auto or direct (only direct grants can be kept)"
            ]
            * wrong
        )


def test_the_window_of_the_limits_is_a_duration() -> None:
    """A day unless the policy says otherwise."""
    assert read(edit("    window: 36h", "    window: 30d")).limits.window == timedelta(days=30)
    assert read(MINIMAL).limits.window == timedelta(hours=24)


@pytest.mark.parametrize("place", ["oss://abc/s", "oss://acme-orgshare/state", "oss://0-0/a/b.c/D_e-f"])
def test_a_state_in_a_bucket_is_kept_as_it_is_written(place: str) -> None:
    """Wherever the policy lies."""
    assert read(edit("state: file:state", f"state: {place}")).state == place


@pytest.mark.parametrize(
    "place",
    [
        "oss://ab/s", f"oss://{'a' * 64}/s", "oss://-ab/s", "oss://ab-/s", "oss://a.b/s", "oss://Abc/s", "oss:abc/s",
        "oss://abc/", "oss://abc//s", "oss://abc/s/", "oss://abc/../s", "oss://abc/s/.", "oss://abc/a b", "oss:",
    ],
)  # fmt: skip
def test_what_is_no_bucket_and_prefix_is_a_mistake(place: str) -> None:
    """A bucket has 3 to 63 lower-case letters, digits and inner hyphens; a prefix has segments and no dots alone."""
    assert len(problems(edit("state: file:state", f"state: {place}"))) == 1


@pytest.mark.parametrize(
    ("state", "path"),
    [
        ("file:state", "/base/state"),
        ("file:./state/", "/base/state"),
        ("file:../state", "/base/../state"),
        ("file:///var/lib/orgshare", "/var/lib/orgshare"),
        ("file:/var/lib/orgshare", "/var/lib/orgshare"),
        ('"file:my state"', "/base/my state"),
    ],
)
def test_the_state_is_an_absolute_path(state: str, path: str) -> None:
    """A relative state lies beside the policy file, an absolute one where it says."""
    assert read(edit("state: file:state", f"state: {state}")).state == path


def test_a_rule_may_name_a_region_of_an_owner_of_all_regions() -> None:
    """Where one of the rule's owners has every region, no region is impossible."""
    text = edit("    images: {family: [base-linux, base-windows]}", "    images: {family: x, region: eu-central-1}")

    assert read(text).rules[1].images.regions == {"eu-central-1"}


def test_aliases_and_merge_keys_are_followed() -> None:
    """Parts of rules can be shared the YAML way; a rule's own keys win."""
    text = edit("    audience: {folders: [fd-shop]}", "    audience: &shop {folders: [fd-shop]}").replace(
        "safety:",
        "  - {name: x, images: {name: x}, audience: *shop}\n"
        '  - {name: y, images: {name: y}, audience: {<<: [*shop, {folders: [fd-y]}], accounts: ["12345"]}}\n'
        "  - {name: z, images: {name: z}, audience: {folders: [fd-z], <<: *shop}}\n"
        "safety:",
    )

    audiences = [rule.audience for rule in read(text).rules[2:]]

    assert audiences == [
        Audience(folders=("fd-shop",)),
        Audience(folders=("fd-shop",), accounts=frozenset({"12345"})),
        Audience(folders=("fd-z",)),
    ]


def test_a_file_is_read_with_its_folder_as_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a policy file lies beside the file, from wherever it is read, and messages have the name given."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "policy.yaml").write_text(SAMPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    policy = load("etc/policy.yaml")

    assert policy.state == str(tmp_path / "etc" / "state")
    assert policy.rules[0].place == "etc/policy.yaml:22"
    assert load(tmp_path / "etc" / "policy.yaml").digest == policy.digest


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    """A file from an editor on Windows reads like any other."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SAMPLE.replace("\n", "\r\n").encode())

    assert load(file).digest == read(SAMPLE).digest
    assert load(file).rules[1].place == f"{file}:46"


EXPECTED = "expected a policy file (named with --policy or ORGSHARE_POLICY)"


def test_what_is_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    """A missing file, a folder, and a name that no file can have each get one line."""
    told = {}
    for name in ("missing.yaml", ".", "a\0b", "x" * 300):
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path / name)
        told[name] = str(caught.value).removeprefix(f"{tmp_path / name}: ")

    assert told == {
        "missing.yaml": f"cannot be read: No such file or directory; {EXPECTED}",
        ".": f"cannot be read: Is a directory; {EXPECTED}",
        "a\0b": f"cannot be read: embedded null byte; {EXPECTED}",
        "x" * 300: f"cannot be read: File name too long; {EXPECTED}",
    }
