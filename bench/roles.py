"""What the templates' roles may do is enough for what is deployed, and none of it is too much.

The functions of a template run with the roles that it makes, in a local cloud that reads the template itself, together
with the roles that the templates of the other accounts make. Scenarios go through everything that the functions do,
driven by events and timers; each says what must be true of the cloud afterwards. Then every action of every role is
taken away in turn. Only scenarios in which a role took an action can miss it, so those run first, and the others only
where none of them did.

What can go wrong: an action that no scenario misses. Either nobody needs it, or the platform does and the local cloud
does not check it: then it has to be named here, with the reason.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from deploy.project import PLATFORM
from localcloud import LogEntry
from orgshare.errors import OrgshareError
from orgshare.permissions import action_of
from tests.support.channels import LATER, by_shares, directly
from tests.support.deployed import NAMES, OWN, THEIRS, TOPIC, Deployed, deployed, template_policies, things
from tests.support.encrypted import encrypt, let_in
from tests.support.granted import RUNNER, Policies
from tests.support.trial import OWNER, REGION, A, B, C, D, E, policy, rule

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "localcloud" / "samples"
TEMPLATES = ("template.yml", "template-fc2.yml")

NOT_CHECKED = ("log:", "eventbridge:")
"""Services whose calls are not in the local cloud."""

ALL_IMAGES = (*THEIRS, *OWN)
RETRIED = 900.0
"""Seconds after which every retry of an invocation is over, and a mark that was left is old."""


def a_sweep_shares(d: Deployed) -> None:
    """A worker for each owner's shard shares its images."""
    begun(d)
    assert directly(d) == images(A, B)


def a_sweep_shares_desktops(d: Deployed) -> None:
    """A worker for all regions of an owner's Elastic Desktop Service shares its images, of either owner."""
    d.begin()
    for image, owner in (("m-desk", RUNNER), ("m-their-desk", OWNER)):
        d.patch(images={image: {"service": "eds", "owner": owner, "region": REGION, "name": "desk"}})
    d.want(rule(), rule("desks", {"service": "eds", "name": "desk"}))
    d.sweep()
    assert directly(d) == {**images(A, B), "m-desk": {A, B}, "m-their-desk": {A, B}}
    d.move(A, "fd-test")
    d.watch()
    assert directly(d) == {**images(B), "m-desk": {B}, "m-their-desk": {B}}


def a_watch_finds_a_join(d: Deployed) -> None:
    """No event tells of it."""
    begun(d)
    d.move(C, "fd-prod")
    d.watch()
    assert directly(d) == images(A, B, C)


def an_audit_record_brings_a_look(d: Deployed) -> None:
    """A worker looks at the organization, and workers come for the shards that it touches."""
    begun(d)
    d.move(A, "fd-test")
    d.told(A)
    assert directly(d) == images(B)


def an_image_becomes_available(d: Deployed) -> None:
    """Of either owner."""
    begun(d)
    for image, owner in (("m-new", RUNNER), ("m-theirs", OWNER)):
        new = {"owner": owner, "region": REGION, "name": image, "tags": {"share": "org"}}
        d.patch(images={image: new})
        d.changed(image)
        assert directly(d)[image] == {A, B}


def a_trail_file_tells_of_accounts(d: Deployed) -> None:
    """Object storage tells of the file, the function reads it."""
    begun(d)
    (notice,) = json.loads((SAMPLES / "events" / "trail-notice.json").read_bytes())["events"]
    content = (SAMPLES / "trail" / "accounts-created.json").read_bytes()
    joined = {account: {"name": "new", "folder": "fd-prod"} for account in ("1000000000000015", "1000000000000017")}
    d.patch(outsiders=[*d.cloud.world().outsiders, *joined])
    d.patch(directory={"members": joined})
    d.trail_file(notice["oss"]["object"]["key"].partition("/")[2], gzip.compress(content))
    assert directly(d) == images(A, B, *joined)


def a_person_is_told_of_a_hold(d: Deployed) -> None:
    """A worker tells it."""
    limits = {"hold_when": {**policy()["safety"]["hold_when"], "lost_pairs": 1}}
    begun(d, safety=limits)
    d.move(A, "fd-test")
    d.watch()
    assert directly(d) == images(A, B)
    assert any("hold" in message.body for message in d.cloud.messages(TOPIC))


def shares_by_the_directory_and_back(d: Deployed) -> None:
    """The channel changes both ways, and nobody has an image by both in the end."""
    begun(d, channel="directory")
    settled(d)
    assert (by_shares(d), directly(d)) == (images(A, B), images())
    d.want(rule())
    settled(d)
    d.approve_all()
    settled(d)
    assert (by_shares(d), directly(d)) == (images(), images(A, B))


def lets_encrypted_images_be_used(d: Deployed) -> None:
    """Of both owners: their sharing roles let accounts in and out."""
    d.begin()
    for owner in (OWNER, RUNNER):
        encrypt(d, owner)
    d.want({**rule(), "encrypted": "authorize"})
    d.sweep()
    assert directly(d) == images(A, B)
    assert [let_in(d, owner) for owner in (OWNER, RUNNER)] == [{A, B}, {A, B}]
    d.move(A, "fd-test")
    d.watch()
    assert directly(d) == images(B)
    d.cloud.advance(LATER)
    d.sweep()
    assert [let_in(d, owner) for owner in (OWNER, RUNNER)] == [{B}, {B}]


def an_event_has_an_image_copied(d: Deployed) -> None:
    """A worker of the other region makes the copy, and shares it when it is told of it."""
    far = "ap-southeast-1"
    d.patch(regions=[REGION, far])
    d.begin()
    d.want({**rule(images={"tags": {"share": "org"}, "region": REGION}), "copy_to": [far]})
    d.changed(THEIRS[0])
    copies = [image for image, row in d.cloud.world().images.items() if row.region == far]
    assert len(copies) == 1
    d.sweep()
    assert directly(d)[copies[0]] == directly(d)[THEIRS[0]] == {A, B}


def confirms_departures(d: Deployed) -> None:
    """Who left loses its grants once the directory says that it is not there; a folder without members is asked for."""
    d.begin()
    excepting: dict[str, Any] = {"except": {"folders": ["fd-empty"]}}
    d.want(rule(folders=["root"], **excepting))
    d.sweep()
    d.leave(A)
    d.watch()
    theirs, own = {B, C, D, E, RUNNER}, {B, C, D, E, OWNER}
    assert directly(d) == {**dict.fromkeys(THEIRS, theirs), **dict.fromkeys(OWN, own)}


def a_lost_invocation_is_made_up_for(d: Deployed) -> None:
    """Workers died, and whoever comes next takes their mark for lost: a sweep, an image's event, a watch."""
    d.begin()
    d.want(rule())
    _lost_and_made_up_for(d, d.sweep)
    assert directly(d) == images(A, B)
    d.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    _lost_and_made_up_for(d, lambda: d.changed("m-new"))
    assert directly(d)["m-new"] == {A, B}
    d.move(C, "fd-prod")
    _lost_and_made_up_for(d, d.watch)
    assert directly(d)["m-silver"] == {A, B, C}


def _lost_and_made_up_for(d: Deployed, ask: Callable[[], None]) -> None:
    d.fail("worker")
    ask()
    d.cloud.advance(RETRIED)
    d.fail()
    ask()


def failures_are_delivered(d: Deployed) -> None:
    """What a function could not do after all retries is in the topic."""
    d.begin()
    d.want(rule())
    for name in NAMES:
        d.fail(name)
        before = len(d.cloud.messages(TOPIC))
        d.invoke(name, {"triggerName": "t", "triggerTime": "now", "payload": "{}"})
        d.cloud.advance(RETRIED)
        assert len(d.cloud.messages(TOPIC)) > before, name


def observes(d: Deployed) -> None:
    """Workers plan for events and sweeps, and nothing is changed."""
    d.begin()
    d.want(rule(), mode="observe")
    for ask in (d.sweep, d.watch, lambda: d.told(A), lambda: d.changed("m-gold"), lambda: d.changed("m-own")):
        ask()
    assert d.ran.count("worker") == 5
    assert directly(d) == images()


def a_region_shares_by_itself(d: Deployed) -> None:
    """Where no worker is named, the function image shares, in the worker's role, and its failures are delivered."""
    d.begin()
    d.want(rule())
    for image in ("m-gold", "m-own"):
        d.changed(image)
        assert directly(d)[image] == {A, B}
    d.fail("image")
    d.changed("m-gold")
    d.cloud.advance(RETRIED)
    assert d.cloud.messages(TOPIC)


def begun(d: Deployed, *, channel: str = "direct", **more: object) -> None:
    """A state, a policy, and a first sweep."""
    d.begin()
    d.want(rule(channel=channel), **more)
    d.sweep()


def settled(d: Deployed) -> None:
    """A few sweeps, each some time after the other."""
    for _ in range(3):
        d.cloud.advance(LATER)
        d.sweep()


def images(*accounts: str) -> dict[str, set[str]]:
    """These accounts for each of the images."""
    return {image: set(accounts) for image in ALL_IMAGES}


SCENARIOS: tuple[Callable[[Deployed], None], ...] = (
    a_sweep_shares,
    a_sweep_shares_desktops,
    a_watch_finds_a_join,
    an_audit_record_brings_a_look,
    an_image_becomes_available,
    a_person_is_told_of_a_hold,
    observes,
    failures_are_delivered,
    a_lost_invocation_is_made_up_for,
    a_trail_file_tells_of_accounts,
    confirms_departures,
    lets_encrypted_images_be_used,
    an_event_has_an_image_copied,
    shares_by_the_directory_and_back,
)


class Failed(NamedTuple):
    """The first scenario that failed, and all that was said in it."""

    scenario: str
    why: str


Scenario = Callable[[Deployed], None]
Used = Mapping[str, frozenset[tuple[str, str]]]
"""Scenario -> (role, action) of every call that a role made in it."""


def run(template: str, policies: Policies, scenarios: Iterable[Scenario]) -> tuple[Failed | None, Used]:
    """Run scenarios until one fails, each in a world of its own. A function that fails unasked is a failure, too."""
    used: dict[str, frozenset[tuple[str, str]]] = {}
    for scenario in scenarios:
        with deployed(template, policies) as d:
            took: set[tuple[str, str]] = set()
            d.cloud.on_request(lambda entry, took=took: took.add(_taken(entry)))  # type: ignore[misc]
            try:
                scenario(d)
                assert not d.troubles(), "functions failed"
            except (OrgshareError, AssertionError) as error:
                said = "\n".join([str(error), *d.troubles(), *d.said])
                return Failed(scenario.__name__, said), used
            used[scenario.__name__] = frozenset(took)
    return None, used


def _taken(entry: LogEntry) -> tuple[str, str]:
    found = re.search(r"/orgshare-([a-z-]+)/", entry.principal)
    role = found[1] if found else ""
    return {"directory-reader": "directory"}.get(role, role), action_of(f"{entry.product}:{entry.action}")


class Row(NamedTuple):
    """An action of a role on a thing, and what fails without it; ``wrong`` says why that proves nothing."""

    role: str
    action: str
    thing: str
    fails: str
    wrong: str = ""


def prove(template: str) -> list[Row]:
    """Take every action of every role away in turn. ``AssertionError`` if a scenario fails with all of them."""
    policies = template_policies(template)
    failed, used = run(template, policies, SCENARIOS)
    assert failed is None, f"{template}: with all that is granted {failed} fails"
    return [_without(template, used, *thing, rest) for thing, rest in things(policies).items()]


def _without(template: str, used: Used, role: str, action: str, thing: str, rest: Policies) -> Row:
    reason = PLATFORM.get(action) if action.startswith(NOT_CHECKED) else None
    if reason:
        return Row(role, action, thing, f"(not tried: {reason})")
    likely = sorted(SCENARIOS, key=lambda scenario: (role, action) not in used[scenario.__name__])
    failed, _ = run(template, rest, likely)
    if failed is None:
        return Row(role, action, thing, "NOTHING FAILS", "nothing fails")
    wrong = "" if action in failed.why else f"{failed.scenario} fails and does not say so: {failed.why[:500]}"
    return Row(role, action, thing, failed.scenario, wrong)
