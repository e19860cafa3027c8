"""What a person reads of encrypted images and of the role that lets accounts use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell
from tests.support.desktops import DESKS, desk_policy, desk_rule, desks, everywhere, have
from tests.support.encrypted import encrypt, let_in, sharing_role_of
from tests.support.trial import OWNER, REGION, A, B, E, policy, rule

Make = Callable[..., Shell]

HEAD = f"sharing role, owner {OWNER} images"


def authorizing(*accounts: str) -> dict[str, Any]:
    """Encrypted images are for these accounts, or for everybody below prod."""
    audience: dict[str, Any] = {"accounts": list(accounts)} if accounts else {}
    return policy(rules=[{**rule(**audience), "encrypted": "authorize"}])


def sealed(shell: Make) -> Shell:
    """A state that is begun, three encrypted images, and a role that lets nobody in yet."""
    run = shell(policy=authorizing())
    encrypt(run.trial, OWNER)
    run.trial.begin()
    return run


def block(lines: list[str]) -> list[str]:
    """What is said of the sharing role."""
    start = lines.index(HEAD)
    return [" ".join(line.split()) for line in lines[start + 1 : lines.index("", start)]]


def elsewhere(run: Shell) -> None:
    """A policy that does not name the owner any more."""
    run.trial.patch(roles={f"acs:ram::{E}:role/orgshare": {"trusts": [OWNER]}})
    other = {"account": E, "regions": [REGION], "role": f"acs:ram::{E}:role/orgshare"}
    run.trial.write_policy(policy(owners=[other]))


def test_a_plan_tells_whom_the_sharing_role_lets_in_and_out(shell: Make) -> None:
    """By name, before the images; what is done is counted; afterwards there is nothing to tell."""
    run = sealed(shell)
    ran = run("plan")
    assert ran.status == 3
    assert block(ran.lines) == [f"+ {A} shop they get 3 encrypted images", f"+ {B} shop-eu"]
    assert ran.lines.index(HEAD) < ran.lines.index(f"m-gold gold, ecs cn-hangzhou, owner {OWNER} images")
    assert ran.lines[-1] == (
        "to do: 4 changes of 3 images and 1 sharing role, + 6 pairs gained, 0 of 6 pairs in step now"
    )
    assert let_in(run.trial, OWNER) == set()
    ran = run("apply", "--yes")
    assert "done: 4 of 4 changes, + 6 pairs gained" in ran.lines
    assert (ran.status, let_in(run.trial, OWNER)) == (0, {A, B})
    assert run("plan").lines[-1] == "in step: 3 images, 6 pairs, nothing to do"
    assert run("status").lines[-1] == "3 images, 6 of 6 pairs in step (6 directly)"

    run.trial.write_policy(authorizing(A))
    (line,) = block(run("plan").lines)
    assert line == f"- {B} shop-eu no encrypted image of any region is shared with them any more"
    ran = run("apply", "--yes")
    assert "done: 4 of 4 changes, - 3 pairs lost" in ran.lines
    assert (ran.status, let_in(run.trial, OWNER)) == (0, {A})


def test_the_json_of_a_plan_names_the_role_by_its_owner(shell: Make) -> None:
    """An action of its own, for all regions, that gives nobody an image by itself."""
    first = sealed(shell)("plan", "--json").json["changes"][0]
    assert (first["action"], first["owner"], first["region"]) == ("trust", OWNER, "*")
    assert (first["accounts"], first["images"]) == ([A, B], ["m-bronze", "m-gold", "m-silver"])
    assert (first["gained"], first["lost"]) == (0, 0)


def test_a_plan_file_with_the_role_is_carried_out_as_it_is(shell: Make) -> None:
    """A role that somebody changed since makes it another plan."""
    run = sealed(shell)
    path = str(run.trial.folder / "plan.json")
    run("plan", "--out", path)
    encrypt(run.trial, OWNER)
    assert run("apply", "--plan", path, "--yes").status == 0
    assert let_in(run.trial, OWNER) == {A, B}


def test_what_is_refused_by_default_says_which_key_helps(shell: Make) -> None:
    """In the plan and in the answer to a question; who had it keeps it."""
    run = sealed(shell)
    run.trial.write_policy(authorizing(A))
    run.trial.apply()
    run.trial.write_policy(policy())
    ran = run("plan")
    assert ran.lines[-1] == "nothing to do: 3 images, 3 of 6 pairs in step, ! 3 pairs refused"
    assert HEAD not in ran.lines
    assert any("encrypted-refused: it is encrypted: let the rule say encrypted: authorize" in one for one in ran.lines)
    refused = run("explain", "m-gold", B)
    assert (refused.lines[0], refused.lines[5]) == ("NO", "evidence  refused: encrypted-refused")
    assert "encrypted: authorize" in refused.lines[6]
    assert run("explain", "m-gold", A).lines[0] == "YES"
    assert run("status").lines[-1] == "3 images, 3 of 6 pairs in step (3 directly), 3 refused"


def test_a_pause_of_the_role_is_named_like_a_shard(shell: Make) -> None:
    """Nothing is granted that would need it; resumed, it goes on."""
    run = sealed(shell)
    assert run("pause", "--shard", f"ecs/{OWNER}/*").status == 0
    ran = run("apply", "--yes")
    assert (ran.status, let_in(run.trial, OWNER)) == (3, set())
    assert run.trial.access()["m-gold"] == set()
    assert run("resume", "--shard", f"ecs/{OWNER}/*").status == 0
    assert run("apply", "--yes").status == 0
    assert let_in(run.trial, OWNER) == {A, B}


def test_whom_we_let_in_for_an_owner_that_is_not_named_any_more_goes_with_its_images(shell: Make) -> None:
    """Retiring its last shard leaves nobody in the role who needs nothing; what others added stays."""
    run = sealed(shell)
    run("apply", "--yes")
    elsewhere(run)
    assert any(f"ecs/{OWNER}/*" in line for line in run("plan").lines)
    assert run("retire", "--shard", f"ecs/{OWNER}/{REGION}", "--yes").status == 3  # whole audiences are held
    for hold in run("holds", "--json").json["held"]:
        assert run("approve", hold["id"]).status == 0
    ran = run("retire", "--shard", f"ecs/{OWNER}/{REGION}", "--yes")
    assert ran.status == 0, ran
    assert run.trial.access()["m-gold"] == set()
    assert let_in(run.trial, OWNER) == set()
    assert not any(f"ecs/{OWNER}/*" in line for line in run("plan").lines)


def test_whom_we_let_in_can_be_forgotten_or_ended_alone(shell: Make) -> None:
    """Ended are those that no encrypted image needs; forgotten are all, who stay let in."""
    run = sealed(shell)
    run("apply", "--yes")
    elsewhere(run)
    assert run("release", f"ecs/{OWNER}/{REGION}", "--yes").status == 0
    for image in ("m-gold", "m-silver", "m-bronze"):
        run.trial.revoke_by_hand(image, A)
    ran = run("retire", "--shard", f"ecs/{OWNER}/*", "--yes")
    assert (ran.status, let_in(run.trial, OWNER)) == (0, {B}), ran
    assert run.trial.access()["m-gold"] == {B}
    ran = run("release", f"ecs/{OWNER}/*", "--yes")
    assert ran.lines == [f"ecs/{OWNER}/*: forgot 1 principal; they stay shared"]
    assert let_in(run.trial, OWNER) == {B}
    assert run("release", f"ecs/{OWNER}/*", "--yes").status == 2


def test_the_role_and_the_shard_of_elastic_desktop_service_are_ended_each_alone(shell: Make) -> None:
    """Both are once for an owner and all its regions, and neither is a part of the other."""
    run = shell(world=desks(), policy=desk_policy(desk_rule(), {**rule(), "encrypted": "authorize"}))
    sharing_role_of(run.trial, OWNER)
    run.trial.patch(images={"m-gold": {"encryption": "cmk"}})
    run("apply", "--yes")
    assert (have(run.trial), let_in(run.trial, OWNER)) == (everywhere(A, B), {A, B})
    elsewhere(run)
    assert run("release", f"ecs/{OWNER}/{REGION}", "--yes").status == 0
    run.trial.patch(images={"m-gold": {"encryption": "none"}})  # so nobody needs the key any more
    for _ in range(2):
        run("retire", "--shard", f"eds/{OWNER}/all", "--yes")
        run.trial.approve_all()
    assert (have(run.trial), let_in(run.trial, OWNER)) == (everywhere(), {A, B})
    for image in DESKS:
        run.trial.grant_by_hand(image, A)
    assert run("retire", "--shard", f"ecs/{OWNER}/*", "--yes").status == 0
    assert (have(run.trial), let_in(run.trial, OWNER)) == (everywhere(A), set())
    assert run.trial.access()["m-gold"] == {A, B}


def test_a_role_of_the_policy_is_neither_forgotten_nor_ended(shell: Make) -> None:
    """It is looked after."""
    run = sealed(shell)
    run("apply", "--yes")
    for command in (["release"], ["retire", "--shard"]):
        ran = run(*command, f"ecs/{OWNER}/*", "--yes")
        assert (ran.status, let_in(run.trial, OWNER)) == (2, {A, B})
        assert "the policy names it" in ran.err
