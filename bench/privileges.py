"""``make least-privilege``: with exactly the permissions that the project grants all works, without any one it fails.

Three accounts as a template makes them: the functions' role in one, which holds the state in its bucket, a role in the
account that owns the images, and a reader in the management account. Scenarios go through everything that the program
does, in this process, through the real SDKs; each says what must be true of the cloud afterwards. First all of them run
with the permissions as they are, then again and again with one taken away, until one of them fails.

Then the same is done with what the templates really grant to each function (``bench.roles``).

What can go wrong: a permission that nobody needs, because no scenario fails without it, or because no scenario uses it.
Both are failures here, and so is a scenario that fails without naming what is lacking.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench import roles
from bench.roles import TEMPLATES, prove
from bench.tables import markdown
from localcloud.inprocess import in_process
from orgshare.errors import OrgshareError
from orgshare.logs import json_log
from orgshare.permissions import FREE, PERMISSIONS, action_of
from orgshare.record.series import KEPT_GENERATIONS
from orgshare.report.documents import apply_document
from orgshare.report.runs import keep_report
from orgshare.signals import Signal, parse, worker_request
from orgshare.way.applying import Applied
from orgshare.way.passing import follow
from orgshare.way.recovering import copies_for, identity_of, known_shares, recover, shares_of
from orgshare.wiring import check_store, make_notices, make_workers
from tests.support.channels import LATER, by_shares, directly
from tests.support.encrypted import encrypt, let_in
from tests.support.granted import BUCKET, RUNNER, WORKER, Deployment, Policies, granted, rights, without
from tests.support.trial import OWNER, REGION, A, B, C, D, E, policy, rule

DAYS = 24 * 3600
HEADINGS = ["of", "action", "on", "what fails without it"]


# --- scenarios


def begins_a_state(d: Deployment) -> None:
    """The bucket is checked, the state is begun, and what was begun is found again."""
    store = d.store()
    check_store(store)
    d.begin()
    assert d.state().beginning.deployment == "trial"
    assert store.get("nothing-of-that-name") is None


def shares_directly(d: Deployment) -> None:
    """Accounts get grants, and lose them when they move away."""
    d.begin()
    d.want(rule())
    assert clean(d.apply()).done
    assert directly(d) == images(A, B)
    d.move(A, "fd-test")
    clean(d.apply())
    assert directly(d) == images(B)


def shares_by_the_directory(d: Deployment) -> None:
    """A resource share is made and filled, for a folder with its subfolders."""
    d.begin()
    d.want(rule(channel="directory"))
    settled(d)
    assert by_shares(d) == images(A, B)


def goes_over_to_the_directory_and_back(d: Deployment) -> None:
    """The channel changes both ways, and nobody has an image by both in the end."""
    d.begin()
    d.want(rule())
    settled(d)
    d.want(rule(channel="auto"))
    settled(d)
    assert (by_shares(d), directly(d)) == (images(A, B), images())
    d.want(rule())
    settled(d, approve=True)
    assert (by_shares(d), directly(d)) == (images(), images(A, B))


def confirms_departures(d: Deployment) -> None:
    """Who left the organization loses its grants once the directory says that it is not there."""
    d.begin()
    d.want(rule(folders=["root"]))
    clean(d.apply())
    d.leave(A)
    clean(d.apply())
    assert directly(d) == images(B, C, D, E, RUNNER)


def asks_for_folders_that_nobody_is_in(d: Deployment) -> None:
    """A folder on no member's path is asked for by its id: an exception to the rule takes it out."""
    d.begin()
    excepting: dict[str, Any] = {"except": {"folders": ["fd-empty"]}}
    d.want(rule(folders=["root"], **excepting))
    clean(d.apply())
    assert directly(d) == images(A, B, C, D, E, RUNNER)


def asks_for_the_regions(d: Deployment) -> None:
    """`regions: all` are those that the account has."""
    d.begin()
    d.patch(regions=[REGION, "ap-southeast-1"])
    d.write_policy(policy(owners=[{"account": OWNER, "regions": "all"}]))
    clean(d.apply())
    assert directly(d) == images(A, B)


def lets_encrypted_images_be_used(d: Deployment) -> None:
    """The sharing role lets accounts in before they get anything, and out when they lose it."""
    d.begin()
    encrypt(d, OWNER)
    d.want({**rule(), "encrypted": "authorize"})
    clean(d.apply())
    assert directly(d) == images(A, B)
    assert let_in(d, OWNER) == {A, B}
    d.move(A, "fd-test")
    clean(d.apply())
    assert (directly(d), let_in(d, OWNER)) == (images(B), {B})


def copies_images(d: Deployment) -> None:
    """Each image has a copy in another region, with the same accounts."""
    d.begin()
    far = "ap-southeast-1"
    d.want({**rule(), "copy_to": [far]}, owners=[{"account": OWNER, "regions": [REGION, far]}])
    clean(d.apply())
    d.cloud.advance(LATER)
    clean(d.apply())
    copies = [image for image, row in d.cloud.world().images.items() if row.region == far]
    assert len(copies) == len(images())
    assert directly(d) == {**images(A, B), **{copy: {A, B} for copy in copies}}


def follows_signals(d: Deployment) -> None:
    """An event names accounts, a run looks at their images, and its report is kept in the state."""
    d.begin()
    d.want(rule())
    clean(d.apply())
    d.move(C, "fd-prod")
    event = {"AccountId": C, "DestinationFolderId": "fd-prod"}
    signal = parse(_moved(event)).signal
    runtime = d.runtime()
    began = runtime.now()
    applied = clean(follow(runtime, signal))
    report = apply_document(applied, calls=runtime.cloud.calls())
    keep_report(runtime, applied, report, why=signal.why, began=began, log=json_log())
    assert directly(d) == images(A, B, C)
    assert runtime.state.store.listed("runs").objects


def prunes_the_state(d: Deployment) -> None:
    """Generations older than a week are removed but for the newest, with the first that there was."""
    d.begin()
    d.want(rule())
    (shard,) = clean(d.apply()).planned.looked.services
    series = f"shards/{shard}"
    first = min(d.store().listed(series).objects, key=lambda stored: stored.put_at)
    for number in range(16):
        d.cloud.advance(8 * DAYS)
        d.move(C, "fd-test" if number % 2 else "fd-prod")
        clean(d.apply())
    left = [stored.name for stored in d.store().listed(series).objects]
    assert len(left) >= KEPT_GENERATIONS
    assert first.name not in left


def recovers_a_lost_state(d: Deployment) -> None:
    """The bucket was emptied; the tags of the resource shares tell what was ours, and sharing goes on from there."""
    d.begin()
    d.want(rule(channel="directory"))
    settled(d)
    bucket = {"owner": RUNNER, "region": REGION}
    d.patch(buckets={BUCKET: None})
    d.patch(buckets={BUCKET: bucket})
    runtime = d.runtime(state=d.begin())
    shares = shares_of(runtime.policy, runtime.cloud, known_shares(runtime.state))
    identity = identity_of(shares)
    assert identity == "x"
    copies = copies_for(runtime.policy, runtime.cloud, d.now())
    assert recover(runtime.state, shares, copies, run="recovery", now=d.now()).shares == 1
    assert settled(d).done == ()
    d.want(rule(channel="directory", folders=["fd-test"]))
    settled(d, approve=True)
    assert by_shares(d) == images(C, D)


def wakes_a_worker(d: Deployment) -> None:
    """The function that does the work of shards has a request, which it would run as soon as it can."""
    workers = make_workers(d.settings(), "run")
    assert workers is not None
    workers.invoke(worker_request(Signal(everything=True)))
    assert [waiting["function"] for waiting in d.cloud.waiting()] == [WORKER]


def tells_a_person(d: Deployment) -> None:
    """A message is in the topic."""
    notices = make_notices(d.settings(), "run")
    assert notices is not None
    notices.publish("a hold waits")
    assert [message.body for message in d.cloud.messages()] == ["a hold waits"]


def shares_desktops(d: Deployment) -> None:
    """Images of Elastic Desktop Service are listed, granted and taken back."""
    d.begin()
    d.patch(images={"m-desk": {"service": "eds", "owner": OWNER, "region": REGION, "name": "desk"}})
    d.want(rule(), rule("desks", {"service": "eds", "name": "desk"}, channel="auto"))
    clean(d.apply())
    assert directly(d) == {**images(A, B), "m-desk": {A, B}}
    d.move(A, "fd-test")
    clean(d.apply())
    assert directly(d) == {**images(B), "m-desk": {B}}


SCENARIOS: tuple[Callable[[Deployment], None], ...] = (
    begins_a_state,
    shares_directly,
    shares_desktops,
    wakes_a_worker,
    tells_a_person,
    shares_by_the_directory,
    confirms_departures,
    asks_for_folders_that_nobody_is_in,
    asks_for_the_regions,
    lets_encrypted_images_be_used,
    copies_images,
    follows_signals,
    goes_over_to_the_directory_and_back,
    recovers_a_lost_state,
    prunes_the_state,
)


def settled(d: Deployment, *, approve: bool = False) -> Applied:
    """Sweeps that do all that they set out to do, each some time after the other, until one has nothing to do."""
    for _ in range(10):
        applied = clean(d.apply())
        if approve and applied.plan.held:
            d.approve_all()
        elif not applied.plan.changes and not applied.plan.pending:
            return applied
        d.cloud.advance(LATER)
    raise AssertionError("not settled after ten sweeps")


def images(*accounts: str) -> dict[str, set[str]]:
    """These accounts for each of the trial's images."""
    return {image: set(accounts) for image in ("m-gold", "m-silver", "m-bronze")}


def clean(applied: Applied) -> Applied:
    """The run, which did all that it set out to do and read all that it wanted to."""
    trouble = [
        *(gap.why for gap in applied.plan.incomplete),
        *(failure.remedy for failure in applied.failed),
        *(refusal.remedy for refusal in applied.plan.refused),
        *(finding.why for finding in applied.plan.findings if finding.kind == "not-permitted"),
    ]
    if trouble:
        raise AssertionError(trouble[-1])
    return applied


def _moved(asked: Mapping[str, str]) -> bytes:
    """The record of a move in the audit trail, as an event bus hands it on."""
    sample = Path(__file__).parents[1] / "localcloud" / "samples" / "events" / "account-moved.json"
    event = msgspec.json.decode(sample.read_bytes())
    event["data"]["requestParameters"] = dict(asked)
    return msgspec.json.encode(event)


# --- with everything, and with one thing less


class Failed(NamedTuple):
    """The first scenario that failed, and what it said."""

    scenario: str
    why: str


def run(
    policies: Policies, scenarios: Iterable[Callable[[Deployment], None]], calls: Counter[str] | None = None
) -> Failed | None:
    """Run scenarios until one fails, each in a world of its own; their calls are counted."""
    for scenario in scenarios:
        with _deployment(policies) as deployment:
            try:
                scenario(deployment)
            except (OrgshareError, AssertionError) as error:
                return Failed(scenario.__name__, " ".join(str(error).split()))
            finally:
                if calls is not None:
                    calls.update(deployment.cloud.calls)
    return None


@contextmanager
def _deployment(policies: Policies) -> Iterator[Deployment]:
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), policies)
        with in_process(deployment.cloud, sleep=lambda _: None):
            yield deployment


def unused(calls: Counter[str]) -> set[str]:
    """Actions that are granted and that no call took."""
    every = {permission.action for permissions in PERMISSIONS.values() for permission in permissions}
    return every - {action_of(operation) for operation in calls} - FREE


def main() -> int:
    """Take away each permission of the list, then of each template; 1 if something is lacking or too much."""
    wrong = [*_of_the_list(), *(line for template in TEMPLATES for line in _of_a_template(template))]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _of_the_list() -> Iterator[str]:
    """Print for each permission of the list what fails without it; what is wrong, if anything is."""
    policies = granted()
    calls: Counter[str] = Counter()
    failed = run(policies, SCENARIOS, calls)
    if failed is not None:
        yield f"with all permissions {failed.scenario} fails: {failed.why}"
        return
    if missing := unused(calls):
        yield f"granted, but used by no scenario: {', '.join(sorted(missing))}"
    rows: list[list[str]] = []
    for right in rights(policies):
        found = run(without(policies, right), SCENARIOS)
        if found is None:
            yield f"without {right.action} on {right.on} of {right.bearer} nothing fails"
        elif right.action not in found.why:
            yield f"without {right.action} of {right.bearer} {found.scenario} fails and does not say so: {found.why}"
        rows.append([right.bearer, right.action, right.on, found.scenario if found else "NOTHING FAILS"])
    title = f"With all {len(rows)} permissions all {len(SCENARIOS)} scenarios pass; without one of them this fails"
    print(markdown(title, HEADINGS, rows), flush=True)


def _of_a_template(template: str) -> Iterator[str]:
    """The same for what the roles of a template may do, with those of the templates of the other accounts."""
    rows = prove(template)
    for row in rows:
        if row.wrong:
            yield f"{template}: without {row.action} on {row.thing} of {row.role}: {row.wrong}"
    count = len(roles.SCENARIOS)
    title = f"With the {len(rows)} permissions of {template} all {count} scenarios pass; without one of them this fails"
    print(markdown(title, HEADINGS, [[row.role, row.action, row.thing, row.fails] for row in rows]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
