"""``holds``, ``approve`` and ``reject``: what waits for a person, releasing exactly that, or dropping it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.support.trial import A, B, C, D, E, policy, rule

Make = Callable[..., Shell]
IMAGES = ("m-bronze", "m-gold", "m-silver")
EVERYBODY = {A, B, C, D, E}


def deployment(*names: str, audience: dict[str, Any]) -> dict[str, Any]:
    """A policy with one rule an image, so that each image's audience is a hold of its own when it is lost."""
    rules = [rule(name, {"name": name}, **(audience if name in names else {"folders": ["root"]})) for name in
             ("bronze", "gold", "silver")]  # fmt: skip
    return policy(rules=rules)


@pytest.fixture
def run(shell: Make) -> Shell:
    """Bronze and gold would lose everybody but a newcomer, so both are held."""
    made = shell(policy=deployment(audience={}))
    assert made("apply", "--yes").status == 0
    made.trial.write_policy(deployment("bronze", "gold", audience={"partners": ["2000000000000001"]}))
    made.environment["LOGNAME"] = "ann"
    assert made("apply", "--yes").status == 3
    return made


def ids(run: Shell) -> dict[str, str]:
    """The id of each image's hold."""
    return {hold["changes"][0]["images"][0]: hold["id"] for hold in run("holds", "--json").json["held"]}


def test_holds_lists_what_waits_without_the_cloud(run: Shell) -> None:
    """Holds needs neither credentials nor the cloud, and says who keeps what."""
    calls = dict(run.trial.cloud.calls)
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ORGSHARE_LOCAL_CLOUD"):
        del run.environment[name]
    ran = run("holds")
    assert (ran.status, ran.err, run.trial.cloud.calls) == (0, "", calls)
    for image in ("m-bronze", "m-gold"):
        held = ids(run)[image]
        name = image.removeprefix("m-")
        assert ran.lines[ran.lines.index(f"    ~  {image}  5 accounts") - 1] == (
            f"~ {held}  5 pairs of 1 image, since 2026-11-21 12:00 UTC: "
            f"rule {name} would lose its whole audience, 5 accounts"
        )
        assert (
            f"    they keep access until a person decides; «orgshare approve {held}» releases exactly these, "
            f"«orgshare reject {held}» drops them until the facts change" in ran.lines
        )


def test_one_hold_is_shown_with_its_accounts(run: Shell) -> None:
    """With an id, or its beginning, every account of the hold is listed, and only of that one."""
    held = ids(run)["m-gold"]
    ran = run("holds", held[:6])
    assert ran.status == 0
    assert [line.split()[1] for line in ran.lines if line.startswith("      ~ ")] == sorted(EVERYBODY)
    assert "m-bronze" not in ran.out


def test_approve_releases_exactly_one_hold(run: Shell) -> None:
    """After an approval the next apply revokes the pairs of that hold and keeps the other."""
    held = ids(run)["m-gold"]
    ran = run("approve", held, "--reason", "sold")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines == [
        f"approved {held} by ann: until 2026-11-22T12:00:00Z apply revokes what it still wants to revoke of "
        "5 pairs of 1 image, and nothing else of what is held"
    ]
    before = run.trial.access()
    assert all(before[image] >= EVERYBODY for image in IMAGES)
    assert run("apply", "--yes").status == 3
    after = run.trial.access()
    assert after == {**before, "m-gold": before["m-gold"] - EVERYBODY}
    assert list(ids(run)) == ["m-bronze"]


def test_an_approved_hold_is_shown_as_released(run: Shell) -> None:
    """Until the next apply holds says that it is approved, by whom, why and until when."""
    held = ids(run)["m-gold"]
    run("approve", held, "--reason", "sold")
    ran = run("holds", held)
    assert ran.lines[-2:] == [
        "    approved: the next apply revokes what it still wants to revoke, until 2026-11-22T12:00:00Z",
        "approved by ann at 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z: 5 pairs (sold)",
    ]
    document = run("holds", "--json").json
    assert {hold["id"]: hold["expires"] for hold in document["held"]}[held] == "2026-11-22T12:00:00Z"
    assert document["approved"] == [
        {
            "at": "2026-11-21T12:00:00Z", "expires": "2026-11-22T12:00:00Z", "who": "ann", "reason": "sold",
            "lost_pairs": 5,
        }
    ]  # fmt: skip


def test_an_approval_ends_after_a_day(run: Shell) -> None:
    """An approval that nobody used in time releases nothing."""
    run("approve", ids(run)["m-gold"])
    before = run.trial.access()
    run.trial.cloud.advance(24 * 3600)
    assert run("apply", "--yes").status == 3
    assert run.trial.access() == before


def test_approve_prints_one_object(run: Shell) -> None:
    """With --json the approval is one object."""
    held = ids(run)["m-bronze"]
    assert run("approve", held, "--json").json == {
        "approved": {
            "id": held, "at": "2026-11-21T12:00:00Z", "expires": "2026-11-22T12:00:00Z", "who": "ann", "reason": "",
            "lost_pairs": 5,
        }
    }  # fmt: skip


@pytest.mark.parametrize("command", ["holds", "approve", "reject"])
def test_an_unknown_or_ambiguous_hold_is_refused(run: Shell, command: str) -> None:
    """An id that no hold has, or that several begin with, changes nothing and names those there are."""
    state = run.state()
    both = ", ".join(sorted(ids(run).values()))
    ran = run(command, "h-zzz")
    assert (ran.status, ran.out) == (2, "")
    assert sorted(ran.errors[0].removeprefix("Error: hold h-zzz: there is no such hold; there is ").split(", ")) == (
        sorted(ids(run).values())
    )
    for beginning in ("h-", ""):
        ran = run(command, beginning)
        assert (ran.status, ran.out) == (2, "")
        assert sorted(ran.errors[0].partition(": 2 begin so: ")[2].split(", ")) == both.split(", ")
    assert run.state() == state


def test_an_empty_id_approves_nothing_even_if_there_is_one_hold_only(run: Shell) -> None:
    """An empty variable in a script never releases a hold."""
    run("approve", ids(run)["m-gold"])
    run("apply", "--yes")
    (held,) = ids(run).values()
    for beginning in ("", "h-"):
        assert run("approve", beginning).errors == [f"Error: hold {beginning}: give more of its id: {held}"]
    assert run("approve", held[:3]).status == 0


def test_nothing_held_is_said_so(shell: Make) -> None:
    """Without holds the list is one line, and approve says that apply records them."""
    made = shell()
    assert made("holds").lines == ["nothing is held"]
    assert made("approve", "h-1").errors == [
        "Error: hold h-1: there is no such hold; there is none (apply records what it holds)"
    ]


def test_a_user_without_a_name_can_approve(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without a user's name the approval has the user's number."""

    def nameless() -> str:
        raise KeyError("no name for this uid")

    monkeypatch.setattr("orgshare.cli.running.getpass.getuser", nameless)
    who = run("approve", ids(run)["m-gold"], "--json").json["approved"]["who"]
    assert who.startswith("uid ")


def rejected(run: Shell) -> set[tuple[str, str]]:
    """The pairs that apply says stay because a person said no."""
    findings = run("apply", "--yes", "--json").json["findings"]
    return {(f["image"], f["account"]) for f in findings if f["kind"] == "rejected"}


def test_reject_drops_exactly_one_hold(run: Shell) -> None:
    """The hold goes and the other stays, everybody in it keeps access, and every report says so."""
    held, before = ids(run)["m-gold"], run.trial.access()
    ran = run("reject", held, "--reason", "still ours")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines == [f"rejected {held} by ann: 5 pairs of 1 image stay as they are until the facts change"]
    assert list(ids(run)) == ["m-bronze"]
    for _ in range(2):
        assert {image for image, _ in rejected(run)} == {"m-gold"}
        run.trial.cloud.advance(3 * 24 * 3600)
    assert list(ids(run)) == ["m-bronze"]
    assert run.trial.access() == before


def test_what_is_rejected_makes_nothing_due(run: Shell) -> None:
    """With every hold rejected a plan is as quiet as one in step, though the finding stays."""
    for held in ids(run).values():
        run("reject", held)
    run("apply", "--yes")
    assert run("holds").lines == ["nothing is held"]
    assert (run("apply", "--yes").status, run("plan").status) == (0, 0)
    assert {image for image, _ in rejected(run)} == {"m-gold", "m-bronze"}


def test_reject_prints_one_object(run: Shell) -> None:
    """With --json the rejection is one object."""
    held = ids(run)["m-bronze"]
    assert run("reject", held, "--reason", "no", "--json").json == {
        "rejected": {"id": held, "at": "2026-11-21T12:00:00Z", "who": "ann", "reason": "no", "pairs": 5}
    }


def test_a_rejection_is_forgotten_when_the_pairs_are_wanted_again(run: Shell) -> None:
    """Wanted once more and then unwanted, the same pairs are a new case, and held anew."""
    run("reject", ids(run)["m-gold"])
    run.trial.write_policy(deployment("bronze", audience={"partners": ["2000000000000001"]}))
    run("apply", "--yes")
    run.trial.write_policy(deployment("bronze", "gold", audience={"partners": ["2000000000000001"]}))
    before = run.trial.access()
    assert run("apply", "--yes").status == 3
    assert set(ids(run)) == {"m-bronze", "m-gold"}
    assert rejected(run) == set()
    assert all(run.trial.access()[image] >= accounts for image, accounts in before.items())


def test_for_another_cause_the_same_pairs_are_held_anew(run: Shell) -> None:
    """A person kept them when the policy dropped them: that they left the organization is for a person too."""
    run("reject", ids(run)["m-gold"])
    assert (("m-gold", C) in rejected(run), list(ids(run))) == (True, ["m-bronze"])
    run.trial.leave(C)
    before = run.trial.access()
    assert run("apply", "--yes").status == 3
    assert C in before["m-gold"]
    assert run.trial.access()["m-gold"] == before["m-gold"]
    holds = run("holds", "--json").json["held"]
    assert {account for h in holds for c in h["changes"] if c["images"] == ["m-gold"] for account in c["accounts"]} == {
        C
    }


def test_a_rejected_hold_is_nothing_to_approve(run: Shell) -> None:
    """What was dropped has no id any more, neither to approve nor to reject again."""
    held = ids(run)["m-gold"]
    run("reject", held)
    for command in ("approve", "reject"):
        assert run(command, held).status == 2


def test_a_rejection_takes_an_approval_back(run: Shell) -> None:
    """Whoever says no after somebody said yes is believed: nothing is revoked."""
    held, before = ids(run)["m-gold"], run.trial.access()
    run("approve", held)
    run("reject", held)
    run("apply", "--yes")
    assert run.trial.access() == before
